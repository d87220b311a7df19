"""What a person holds, and for how long: a database, its tables and rows, transactions, connections."""
