"""The model test's parts: a random schema, writers, and what judges the outcome."""
