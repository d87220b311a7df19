"""Which bytes a row changes: tables, rows and index entries over the engine port."""
