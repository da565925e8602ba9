"""Production's side: its log, its slot, its physical copy, and what the DBA runs once."""
