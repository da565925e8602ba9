"""Production's tables as landing knows them, for those who may not ask production.

Here: names of columns from the newest catalog, types from the newest files. Not here: the catalog
of a server that may be asked (postgres.catalog), a physical copy's (sampling.py).
"""

from __future__ import annotations

from analytics_replica.domain.batches import LandedFile
from analytics_replica.domain.tables import Column, Table, TableName
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests


def known_tables(store: Store) -> dict[TableName, Table]:
    """The captured tables as production had them at the newest batch; empty if nothing was landed.

    A column that was never landed (dropped, or not classified yet) has type OID 0: only its name is
    known. ManifestUnreadable or LandingBroken if landing cannot be trusted.
    """
    newest: dict[TableName, LandedFile] = {}
    catalog = None
    for manifest in manifests(store):
        newest.update({file.table: file for file in manifest.files})
        catalog = manifest.catalog or catalog
    known = {}
    for table in catalog.tables if catalog is not None else ():
        file = newest.get(table.table)
        landed = {c.column.name: c.column for c in file.columns} if file is not None else {}
        columns = tuple(
            landed.get(name) or Column(name, 0, -1, "", key=name in table.key)
            for name, number in table.columns
            if number > 0
        )
        known[table.table] = Table(table.table, columns, oid=table.oid)
    return known
