"""The canary: a world full of planted values, and the ways that they may take out of it."""
