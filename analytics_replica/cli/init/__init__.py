"""`init`: a replica.yaml and a dbt base layer for a database of one's own, from its catalog.

Here: the command (command.py), the policy file (policy_file.py), the dbt project
(gold_project.py), names that are safe everywhere (names.py), fixed texts (templates/).
"""

from analytics_replica.cli.init.command import EPILOG, init_command

__all__ = ["EPILOG", "init_command"]
