"""Erasure: proving that nothing of a deleted person is left in any store.

Here: what a key became (traces.py), the search of each kind of store, the receipt. Not here:
deleting (production does that; the log and folds bring it to all stores).
"""
