"""The command line: one file for each group of verbs. Printing happens here and nowhere else."""
