"""Formats and stores, one file each. Nothing is re-exported here."""
