"""Somebody else's HTTP, read as it comes."""
