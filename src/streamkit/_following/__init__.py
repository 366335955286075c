"""Everybody who reads a stream in this process."""
