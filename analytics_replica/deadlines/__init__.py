"""Ready by four, or told early: deadlines, projections, verdicts, incidents and their messages."""
