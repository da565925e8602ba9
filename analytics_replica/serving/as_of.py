"""`analytics.data_as_of`: up to when what analysts read is complete, told by the edition itself.

Here: the table in each edition, the view's contract, and reading it back. Not here: the judgement
(staging.freshness), repointing the view (publish.py).

The table is made in the edition that nobody reads, when dbt has built it, from what staging was
when the build began. So it is published, rolled back, waited for and pinned as every gold model
is: readers find the figures of what they read, whole, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import PublishRefused
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import compose, name
from analytics_replica.serving.editions import ANALYTICS, Edition
from analytics_replica.serving.views import ViewSpec
from analytics_replica.staging.freshness import Freshness, Mark, Standing

NAME: Final = "data_as_of"

VIEW: Final = ViewSpec(
    NAME,
    ("layer", "name", "data_as_of", "position", "applied_at", "state", "reason"),
    description="Up to when the tables that you read are complete: one row per table.",
    column_descriptions={
        "layer": "staging: a table as production has it, masked; gold: a table of this schema.",
        "name": "The table's name in its layer.",
        "data_as_of": "Commit time up to which the table is complete, by production's clock; the "
        "capture's clock where no commit was seen since the first copy.",
        "position": "The same as a position in production's log.",
        "applied_at": "When staging was last brought forward, by the clock of the apply.",
        "state": "current, no changes (production made none, which is proven) or stuck; as it was "
        "when this edition was built.",
        "reason": "Since when there are no changes, or why the table is stuck.",
    },
)

_FILL: Final = """
-- one statement for the server, so that the edition has the old table or the new one, whole
begin;
drop table if exists {edition}.{table} cascade;
create table {edition}.{table} (
    layer text not null check (layer in ('staging', 'gold')),
    name text not null,
    data_as_of timestamptz,
    position pg_lsn,
    applied_at timestamptz,
    state text not null check (state in ('current', 'no changes', 'stuck')),
    reason text not null,
    primary key (layer, name)
);
insert into {edition}.{table}
select layer, name, data_as_of, position, applied_at, state, reason
from jsonb_to_recordset(%s::jsonb) as given (
    layer text, name text, data_as_of timestamptz, position pg_lsn, applied_at timestamptz,
    state text, reason text
);
commit
"""

_PUBLISHED: Final = """
-- what readers see of staging
select name, data_as_of, position::text from analytics.data_as_of where layer = 'staging'
"""


@dataclass(frozen=True, slots=True)
class AsOf:
    """A row of `data_as_of`."""

    layer: str
    name: str
    data_as_of: datetime | None
    position: Lsn | None
    applied_at: datetime | None
    state: Standing
    reason: str


def rows_of(
    tables: Mapping[str, Freshness], models: Mapping[str, Sequence[str]]
) -> tuple[AsOf, ...]:
    """One row for each staging table, by its name there, and one for each gold model.

    `models` gives the staging tables that each model is made of: it is as old as the oldest of
    them, and stuck if one of them is. PublishRefused if a model has the view's own name.
    """
    if NAME in models:
        raise PublishRefused(
            what=f"The gold model {NAME} has the name of the view that says how fresh gold is.",
            why=f"{ANALYTICS}.{NAME} cannot be both.",
            next="Give the model another name.",
        )
    staging = {table: _row_of(table, found) for table, found in sorted(tables.items())}
    gold = (
        _model(model, [staging[table] for table in sorted(made_of) if table in staging])
        for model, made_of in sorted(models.items())
    )
    return (*staging.values(), *gold)


def write_as_of(conn: Connection, edition: Edition, rows: Iterable[AsOf]) -> None:
    """The edition, which nobody reads, has these rows as its `data_as_of`, instead of any before.

    `conn` is in autocommit.
    """
    statement = compose(_FILL, edition=name(edition.value), table=name(NAME))
    with conn.cursor() as cursor:
        cursor.execute(statement.text, (json.dumps([_json(row) for row in rows]),))


def published_marks(conn: Connection) -> dict[str, Mark]:
    """How far the published edition is, by staging table; empty if readers are not told."""
    with conn.cursor() as cursor:
        cursor.execute("select to_regclass('analytics.data_as_of') is not null")
        if cursor.fetchone() == (False,):
            return {}
        cursor.execute(_PUBLISHED)
        rows = cursor.fetchall()
    return {table: Mark(Lsn.parse(at), when, None) for table, when, at in rows if at is not None}


def staging_of(manifest: Mapping[str, Any], views: Iterable[ViewSpec]) -> dict[str, list[str]]:
    """For each published view, the staging tables that its model is made of, at whatever depth."""
    wanted = {view.name for view in views}
    nodes: Mapping[str, Any] = manifest["nodes"]
    sources: Mapping[str, Any] = manifest["sources"]
    found = {}
    for unique_id, node in nodes.items():
        if node["resource_type"] == "model" and node["alias"] in wanted:
            above = _above(unique_id, nodes)
            found[node["alias"]] = sorted({sources[s]["identifier"] for s in above & set(sources)})
    return found


def _above(unique_id: str, nodes: Mapping[str, Any]) -> set[str]:
    seen: set[str] = set()
    waiting = [unique_id]
    while waiting:
        for parent in nodes.get(waiting.pop(), {}).get("depends_on", {}).get("nodes", ()):
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return seen


def _row_of(table: str, found: Freshness) -> AsOf:
    applied = found.applied
    return AsOf(
        layer="staging",
        name=table,
        data_as_of=(applied.committed_at or applied.seen_at) if applied else None,
        position=applied.position if applied else None,
        applied_at=found.applied_at,
        state=found.standing,
        reason=found.reason,
    )


def _model(model: str, made_of: Sequence[AsOf]) -> AsOf:
    states = {row.state for row in made_of}
    stuck = [row.name for row in made_of if row.state is Standing.STUCK]
    state, reason = Standing.CURRENT, ""
    if stuck:
        state, reason = Standing.STUCK, f"made of what is stuck: {', '.join(stuck)}"
    elif states == {Standing.NO_CHANGES}:
        state, reason = Standing.NO_CHANGES, "no changes of what it is made of"
    return AsOf(
        layer="gold",
        name=model,
        data_as_of=_oldest(row.data_as_of for row in made_of),
        position=_oldest(row.position for row in made_of),
        applied_at=_oldest(row.applied_at for row in made_of),
        state=state,
        reason=reason,
    )


def _oldest(found: Iterable[Any]) -> Any:
    """The least of them; None if one is not known: then nobody can promise anything."""
    known = list(found)
    return None if not known or None in known else min(known)


def _json(row: AsOf) -> dict[str, str | None]:
    return {
        "layer": row.layer,
        "name": row.name,
        "data_as_of": None if row.data_as_of is None else row.data_as_of.isoformat(),
        "position": None if row.position is None else str(row.position),
        "applied_at": None if row.applied_at is None else row.applied_at.isoformat(),
        "state": row.state.value,
        "reason": row.reason,
    }
