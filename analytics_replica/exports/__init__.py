"""Reserved: published gold, delivered to where other systems read it.

Here, later: what is exported, in which form, and the record that it arrived. Only published
editions are exported, so it stands above serving. Not here: publishing itself (serving), or landing
as a lake (it is plain Parquet already). Siblings migration and access are not imported.
"""
