"""Claims about the code itself: imports, sizes, docstrings."""
