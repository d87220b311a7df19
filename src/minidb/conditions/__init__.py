"""Does this row count? Conditions on the columns of a row, fitted to a schema, and decided for one row."""
