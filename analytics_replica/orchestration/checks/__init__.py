"""Checks: what must hold of each layer; the judgements are made below and only shown here."""
