"""Staging: production's tables, masked, at one instant, in the analytics database."""
