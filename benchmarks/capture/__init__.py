"""Capture beside its references: speed, memory, and what it costs production.

`python -m benchmarks.capture` measures everything in one run. Every speed is a ratio to a reference
that was measured in the same run, in interleaved rounds, because machines are shared and noisy.
"""
