"""Streams in one process, and in several on one store."""
