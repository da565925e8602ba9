"""Claims about one part against a real server."""
