"""Assets: one file for each step of the journey; each takes resources, calls down, reports."""
