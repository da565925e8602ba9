"""Reconciliation: whether every value of staging is what its position promises.

Here: comparing staged tables with landing's replay or a physical copy of production. Not here:
counting rows against the ledger (staging.reconcile), columns and treatments (staging.drift).
"""
