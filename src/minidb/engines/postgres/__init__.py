"""The PostgreSQL engine: the same tables on a server, by psycopg. What psycopg raises stays in this package.

``address`` knows the URL and its secrets, ``statements`` every statement in each dialect, ``connections`` the idle
ones, ``transactions`` snapshots and the base of a write transaction, ``layout`` what a server must have, ``ids`` what
is allotted outside of transactions, ``engine`` the port, ``scratch`` databases for a while.
"""
