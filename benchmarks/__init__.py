"""One file per figure in the README; each prints a table and ends with one line of JSON.

Speed is given as a ratio to a reference that was measured in the same run, because machines are
shared and noisy.
"""
