"""Adapters, one file for each web framework. Nothing is re-exported here."""
