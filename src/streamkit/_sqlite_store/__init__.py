"""What `SQLiteStore` is made of: the file, the log in it, the threads. Only that store uses it."""
