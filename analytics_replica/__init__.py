"""analytics-replica: a masked, exact copy of production that is ready at 04:00, or says so early.

Nothing is imported here, so importing any part stays cheap and has no effect.
"""
