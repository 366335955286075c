"""One HTTP exchange, the same for every framework."""
