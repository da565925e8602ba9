"""What analysts read: the editions of gold, the views over one of them, and who may look.

Here: which edition is published, which one is built, repointing the views, grants. Not here:
building an edition (dbt_project) or judging it (orchestration.checks).
"""
