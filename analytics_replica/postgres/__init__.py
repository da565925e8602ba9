"""Talking to PostgreSQL: connections, quoting, catalog, types, local servers."""
