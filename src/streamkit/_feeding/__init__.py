"""Open any source in one task, take what it gives, and close it for certain."""
