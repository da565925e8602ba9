"""Where the policy's commands learn of production's tables, without asking production.

Here: choosing between a sample's catalog, a server's and landing's; reading a table's name. Not
here: what is done with them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated, Final

import typer

from analytics_replica.cli.progress import shown_progress
from analytics_replica.domain.tables import Relations, Table, TableName
from analytics_replica.landing.known_tables import known_tables
from analytics_replica.landing.layout import Store
from analytics_replica.landing.sampling import ROWS, Sample, sample
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import connection
from analytics_replica.settings.load import Settings
from analytics_replica.source.copy_catalog import read_relations

CatalogOption = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        metavar="DSN",
        help="A server that has production's schema: a standby, a restored backup, a staging "
        "system. Only its catalog is read.",
    ),
]
SampleOption = Annotated[
    bool,
    typer.Option(
        "--sample",
        help="Also look at values, in a physical copy: the one that source.physical_copy names, "
        "else a base backup, which is gone afterwards.",
    ),
]
RowsOption = Annotated[int, typer.Option(min=1, help="How many rows of a table are sampled.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

SAMPLED_ROWS: Final = ROWS


@dataclass(frozen=True)
class Production:
    """Production's tables, whether these are all there are, and a sample if one was wanted."""

    tables: dict[TableName, Table]
    whole: bool
    relations: Relations = field(default_factory=Relations)
    sample: Sample = field(default_factory=lambda: Sample({}))


def production_of(
    settings: Settings,
    *,
    catalog: str | None,
    sampled: Collection[TableName] | None,
    rows: int,
    quiet: bool,
) -> Production:
    """What is known of production's tables, and a sample of the `sampled` ones unless None.

    From the server that `catalog` names, else the physical copy, else landing; empty if there is
    none of them.
    """
    seen = Sample({})
    if sampled is not None:
        with shown_progress(quiet=quiet) as progress:
            seen = sample(settings, sampled, rows=rows, progress=progress)
    if catalog is not None:
        tables, relations = _catalog_of(catalog)
        return Production(tables, whole=True, relations=relations, sample=seen)
    if sampled is not None:
        return Production(dict(seen.tables), whole=True, relations=seen.relations, sample=seen)
    if settings.replica.source.physical_copy is not None:
        dsn = settings.secrets.get(settings.replica.source.physical_copy)
        tables, relations = _catalog_of(dsn)
        return Production(tables, whole=True, relations=relations)
    return Production(known_tables(Store.of(settings)), whole=False)


def table_named(written: str) -> TableName:
    """The table that an argument names; a usage error if it is not one."""
    try:
        return TableName.parse(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not written as schema.name") from None


def _catalog_of(dsn: str) -> tuple[dict[TableName, Table], Relations]:
    with connection(dsn, application="analytics-replica policy") as opened:
        opened.set_session(readonly=True)
        tables = read_tables(opened)
        return tables, read_relations(opened, tables)
