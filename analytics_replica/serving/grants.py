"""Who may look at what in the warehouse.

Here: the rights of the roles analyst and engineer, applied and proven. Not here: creating roles,
which is the DBA's, or masking, which is done long before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import psycopg2.extensions

from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import compose, name
from analytics_replica.serving.editions import ANALYTICS, Edition

_READ: Final = (
    "grant usage on schema {schema} to {role}",
    "grant select on all tables in schema {schema} to {role}",
    # for what dbt and publish create later; only for tables that we create
    "alter default privileges in schema {schema} grant select on tables to {role}",
)

_NOTHING: Final = (
    "alter default privileges in schema {schema} revoke all on tables from {role}",
    "revoke all on all tables in schema {schema} from {role}",
    "revoke all on schema {schema} from {role}",
)

_OUTSIDE = """
-- relations that the role may read or change outside the schema it is meant for; the catalog and
-- information_schema are open to everybody in every PostgreSQL
select n.nspname, c.relname
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema', %(allowed)s)
    and n.nspname not like 'pg\\_%%'
    and has_schema_privilege(%(role)s, n.oid, 'usage')
    and has_table_privilege(%(role)s, c.oid, 'select, insert, update, delete, truncate')
order by n.nspname, c.relname
"""

_INSIDE = """
-- published views that the role may not read
select n.nspname, c.relname
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and n.nspname = %(allowed)s
    and not (
        has_schema_privilege(%(role)s, n.oid, 'usage')
        and has_table_privilege(%(role)s, c.oid, 'select')
    )
order by c.relname
"""


def apply_grants(
    conn: Connection,
    *,
    analyst: str = "analyst",
    engineer: str = "analytics_engineer",
    staging: str = "staging",
    history: str | None = None,
) -> Verdict:
    """The analyst reads schema analytics and nothing else of ours; the engineer reads all layers.

    Also for tables and views that we create later. `history` is a schema that may be absent: no
    table may have a history yet. Repeatable; commits. FAIL names a role or
    schema that does not exist: what concerns the others is applied all the same.
    """
    private = [staging, *(edition.value for edition in Edition)]
    with conn.cursor() as cursor:
        schemas = _present(cursor, "select nspname from pg_namespace")
        roles = _present(cursor, "select rolname from pg_roles")
        if history in schemas:
            private.append(history)
        faults = [
            Finding(schema, "this schema does not exist yet")
            for schema in (*private, ANALYTICS)
            if schema not in schemas
        ]
        for role, may, may_not in (
            (analyst, [ANALYTICS], [*private, "serving"]),
            (engineer, [ANALYTICS, *private], ["serving"]),
        ):
            if role not in roles:
                faults.append(Finding(role, "this role does not exist; ask the DBA to create it"))
                continue
            _execute(cursor, _READ, role, [s for s in may if s in schemas])
            _execute(cursor, _NOTHING, role, [s for s in may_not if s in schemas])
    conn.commit()
    return Verdict.from_findings("grants", faults)


def prove_analyst(conn: Connection, *, analyst: str = "analyst") -> Verdict:
    """PASS if the role can read every published view and no other relation of this database.

    Asks PostgreSQL itself, so rights through PUBLIC and through other roles count. CANNOT_TELL if
    the role does not exist.
    """
    about = {"role": analyst, "allowed": ANALYTICS}
    with conn.cursor() as cursor:
        if analyst not in _present(cursor, "select rolname from pg_roles"):
            return Verdict.cannot_tell("grants", Finding(analyst, "this role does not exist"))
        cursor.execute(_OUTSIDE, about)
        outside = cursor.fetchall()
        cursor.execute(_INSIDE, about)
        inside = cursor.fetchall()
    faults = [Finding(f"{s}.{r}", f"is open to {analyst}") for s, r in outside]
    faults += [Finding(f"{s}.{r}", f"is closed to {analyst}") for s, r in inside]
    return Verdict.from_findings("grants", faults)


def _execute(
    cursor: psycopg2.extensions.cursor,
    templates: Iterable[str],
    role: str,
    schemas: Sequence[str],
) -> None:
    for schema in schemas:
        for template in templates:
            statement = compose(template, schema=name(schema), role=name(role))
            cursor.execute(statement.text)


def _present(cursor: psycopg2.extensions.cursor, query: str) -> set[str]:
    cursor.execute(query)
    return {row[0] for row in cursor.fetchall()}
