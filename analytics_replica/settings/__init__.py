"""replica.yaml and the environment, read once and turned into one immutable object."""
