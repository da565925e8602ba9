"""Claims about the dbt project."""
