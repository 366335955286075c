"""One file, or one folder, for each source."""
