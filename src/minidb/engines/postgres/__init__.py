"""The PostgreSQL engine: the same tables on a server, by psycopg. What psycopg raises stays in this package.

``address`` knows the URL and its secrets, ``statements`` every statement in each dialect, ``wire`` how they are sent,
``connections`` the idle ones, ``transactions`` snapshots and the base of a write transaction, ``layout`` what a server
must have, ``ids`` and ``tokens`` what is done outside of transactions, ``engine`` the port, ``scratch`` databases for a
while.
"""
