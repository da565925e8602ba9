"""`doctor`: what is missing until the first night runs, and the next command for each thing.

Here: the command (command.py), the order of the questions (questions.py), and one file for each
place that is looked at. Nothing is changed anywhere, and production is asked what a capture asks.
"""

from analytics_replica.cli.doctor.command import EPILOG, doctor_command

__all__ = ["EPILOG", "doctor_command"]
