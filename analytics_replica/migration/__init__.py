"""Reserved: moving a report from its legacy source to the replica, and only with proof.

Here, later: the stages of a move, the comparison of both sides, and the gate that it must pass.
Not here: building what is compared (dbt_project) or publishing it (serving). Siblings exports and
access are not imported.
"""
