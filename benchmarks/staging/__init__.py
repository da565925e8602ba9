"""What staging costs, beside PostgreSQL's own means."""
