"""Reserved: who may read which published model, for how long, and who decided so.

Here, later: requests, approvals, their expiry, and the rights that follow from them. Not here: the
rights of the fixed roles (serving.grants) or what is masked (masking). Siblings exports and
migration are not imported.
"""
