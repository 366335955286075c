"""Carriers ask a provider and hand on its JSON, by a client of HTTP or by an SDK."""
