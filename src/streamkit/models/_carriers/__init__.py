"""Who asks a provider and hands on its JSON: a client of HTTP, or an SDK."""
