"""Claims about pure functions."""
