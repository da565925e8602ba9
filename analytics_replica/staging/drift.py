"""Drift: where production, policy and staging no longer have the same columns.

Here: one verdict for each table, from the ledger, the newest landed files and the warehouse's
catalog. Not here: what masked values look like (masking.proof), rows (reconcile.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from analytics_replica.domain.batches import LSN, RESERVED_PREFIX, LandedFile
from analytics_replica.domain.tables import Table, TableName
from analytics_replica.domain.verdicts import Finding, Outcome, Verdict
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest, manifests
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import SEALED, Kind
from analytics_replica.postgres.catalog import read_tables
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import compose, name
from analytics_replica.postgres.identifiers import table as table_sql
from analytics_replica.settings.load import Settings
from analytics_replica.staging.ledger import AppliedTable, State, read

_OLDER: Final = """
select exists (select from {table} where {lsn} < %s::pg_lsn)
"""


def check_drift(conn: Connection, settings: Settings, store: Store) -> Mapping[TableName, Verdict]:
    """A verdict for each table of replica.yaml.

    FAIL: changes of the table were not published, it is quarantined, production renamed it, a
    column is sealed or new and not in replica.yaml, a listed column no longer comes, rows from
    before a change of policy are still treated as before, or staging has other columns than were
    landed. CANNOT_TELL: it was never applied, or a column came or changed its type later than rows
    that are there, which may have got values of which the log says nothing.
    """
    policy = Policy.from_settings(settings)
    ledger = read(conn)
    schema = settings.replica.warehouse.staging_schema
    names = {t: TableName(schema, known.staging_name) for t, known in ledger.tables.items()}
    held = read_tables(conn, set(names.values()))
    newest = _newest_files(store, after=ledger.last_batch)
    verdicts = {}
    for table in settings.tables:
        known = ledger.tables.get(table)
        about = f"drift of {table}"
        if known is None:
            never = Finding(str(table), "was never applied")
            verdicts[table] = Verdict.cannot_tell(about, never)
            continue
        treatments = _treatments(known, newest.get(table))
        faults = [
            *_hole(table, store),
            *_quarantine(known),
            *_production_faults(known, policy, treatments),
            *_policy_faults(table, policy, treatments),
            *_staging_faults(known, held.get(names[table])),
        ]
        late = list(_late_columns(conn, known, names[table])) if names[table] in held else []
        verdicts[table] = _verdict(about, faults, late, len(treatments))
    return verdicts


def _verdict(
    about: str, faults: list[Finding], late: list[tuple[Finding, bool]], columns: int
) -> Verdict:
    faults = [*faults, *(finding for finding, certain in late if certain)]
    unsure = tuple(finding for finding, certain in late if not certain)
    if faults or not unsure:
        return Verdict(
            about,
            Outcome.FAIL if faults else Outcome.PASS,
            (*faults, *unsure),
            {"columns": columns},
        )
    return Verdict.cannot_tell(about, *unsure, columns=columns)


def _newest_files(store: Store, after: int) -> dict[TableName, LandedFile]:
    return {file.table: file for m in manifests(store, after=after) for file in m.files}


def _treatments(known: AppliedTable, newest: LandedFile | None) -> dict[str, str]:
    if newest is not None:
        return {c.column.name: c.treatment for c in newest.columns}
    return {c.name: c.treatment for c in known.columns}


def _hole(table: TableName, store: Store) -> Iterator[Finding]:
    last = last_manifest(store)
    if last is not None and table in last[0].incomplete:
        yield Finding(
            str(table),
            "has a hole: changes of it were not published for a time; have the DBA run "
            f"`analytics-replica source sql`, then `analytics-replica resync {table}`",
        )


def _quarantine(known: AppliedTable) -> Iterator[Finding]:
    if known.state is State.QUARANTINED:
        yield Finding(str(known.table), f"stands still at {known.position}: {known.reason}")


def _production_faults(
    known: AppliedTable, policy: Policy, treatments: Mapping[str, str]
) -> Iterator[Finding]:
    now = known.identity
    if now is None:
        return
    if now.table != known.table:
        yield Finding(str(known.table), f"is called {now.table} in production now")
    listed = policy.tables[known.table]
    for column, number in now.columns:
        if number > 0 and column not in listed and column not in treatments:
            says = "is new in production: it stays there until "
            if policy.treatment(known.table, column) is SEALED:
                says += "replica.yaml classifies it"
            else:
                says += "the DBA runs what `analytics-replica source sql` prints (a pattern has it)"
            yield Finding(f"{known.table}.{column}", says)


def _policy_faults(
    table: TableName, policy: Policy, treatments: Mapping[str, str]
) -> Iterator[Finding]:
    for column, treatment in treatments.items():
        kind, _, reason = treatment.partition(": ")
        if kind == Kind.SEALED:
            why = reason or "replica.yaml does not classify it"
            yield Finding(f"{table}.{column}", f"is sealed: {why}")
    for column in policy.published(table):
        if column not in treatments:
            yield Finding(f"{table}.{column}", "is in replica.yaml and no longer comes")


def _staging_faults(known: AppliedTable, held: Table | None) -> Iterator[Finding]:
    if held is None:
        if known.columns:
            yield Finding(str(known.table), "has no table in staging")
        return
    landed = (c for c in held.columns if not c.name.startswith(RESERVED_PREFIX))
    types = {c.name: c.type_name for c in landed}
    for column in known.columns:
        if column.name not in types:
            yield Finding(f"{held.name}.{column.name}", "is landed and not in staging")
        elif types[column.name] != column.staging_type:
            found = f"is {types[column.name]} in staging and {column.staging_type} in landing"
            yield Finding(f"{held.name}.{column.name}", found)
    for left in types.keys() - {column.name for column in known.columns}:
        yield Finding(f"{held.name}.{left}", "is in staging and no longer comes")


def _late_columns(
    conn: Connection, known: AppliedTable, target: TableName
) -> Iterator[tuple[Finding, bool]]:
    """Columns that older rows do not have as landed now; True if that is certainly wrong."""
    for column in known.columns:
        if column.since is None:
            continue
        with conn.cursor() as cursor:
            query = compose(_OLDER, table=table_sql(target), lsn=name(LSN))
            cursor.execute(query.text, (str(column.since),))
            if cursor.fetchone() != (True,):
                continue
        where = f"{target}.{column.name}"
        if column.was is not None and column.before is None:
            says = f"was {column.was} until {column.since}; earlier rows have what they had then"
            yield Finding(where, says), False
        elif column.before is not None:
            yield (
                Finding(where, f"rows from before {column.since} are still: {column.before}"),
                True,
            )
        else:
            yield Finding(where, f"came at {column.since}; earlier rows are NULL in it"), False
