"""Claims about the whole journey."""
