"""The warehouse's questions: it answers, we may build there, analysts may read what is published.

Here: read-only questions to the warehouse. Not here: granting (serving.grants), staging's content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analytics_replica.cli.doctor.answers import fine, missing, unknown
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import ReplicaError, WarehouseError
from analytics_replica.postgres.connect import Connection, connection
from analytics_replica.postgres.identifiers import name
from analytics_replica.serving.editions import ANALYTICS, Edition
from analytics_replica.serving.grants import prove_analyst
from analytics_replica.settings.load import Settings
from analytics_replica.source.preflight import failed

ANSWERS: Final = "the warehouse answers"
BUILD: Final = "we may build in the warehouse"
READERS: Final = "the readers' roles exist"
RIGHTS: Final = "analysts can read what is published, and nothing else"

_OURS: Final = """
-- whether we may make schemas here, and which of ours belong to somebody else
select has_database_privilege(current_database(), 'create'), current_database(), current_user,
       array(select nspname::text from pg_namespace
             where nspname = any(%s) and not pg_has_role(nspowner, 'usage') order by 1),
       array(select w from unnest(%s) w where to_regnamespace(quote_ident(w)) is null)
"""

_ROLES: Final = "select rolname from pg_roles where rolname = any(%s)"


def warehouse(settings: Settings) -> Iterator[Verdict]:
    """The answers, in order; CANNOT_TELL for those that need what is missing."""
    try:
        dsn = settings.secrets.get(settings.replica.warehouse.dsn)
        with connection(dsn, application="analytics-replica doctor") as opened:
            answers = [fine(ANSWERS, version=_version(opened)), _build(opened, settings)]
            answers.append(_roles(opened, settings))
            answers.append(_rights(opened, settings, answers[-1]))
    except ReplicaError as cause:
        yield failed(ANSWERS, cause)
        yield from (
            unknown(about, "the warehouse was not read") for about in (BUILD, READERS, RIGHTS)
        )
        return
    yield from answers


def _version(opened: Connection) -> str:
    return str(opened.server_version // 10000)


def _build(opened: Connection, settings: Settings) -> Verdict:
    schemas = [
        settings.replica.warehouse.staging_schema,
        settings.replica.warehouse.history_schema,
        *(edition.value for edition in Edition),
        ANALYTICS,
        "serving",
        "ops",
    ]
    with opened.cursor() as cursor:
        cursor.execute(_OURS, (schemas, schemas))
        may_create, database, role, foreign, absent = cursor.fetchone() or (False, "", "", [], [])
    if foreign:
        return missing(
            BUILD,
            WarehouseError,
            [f"schema {schema} belongs to another role than {role}" for schema in foreign],
            f"Have the DBA run: alter schema {name(foreign[0])} owner to {name(role)};",
        )
    if absent and not may_create:
        return missing(
            BUILD,
            WarehouseError,
            [f"role {role} may not create the schemas {', '.join(absent)} in {database}"],
            f"Have the DBA run: grant create on database {name(database)} to {name(role)};",
        )
    return fine(BUILD, role=role, schemas_to_make=len(absent))


def _roles(opened: Connection, settings: Settings) -> Verdict:
    wanted = [settings.replica.warehouse.analyst_role, settings.replica.warehouse.engineer_role]
    with opened.cursor() as cursor:
        cursor.execute(_ROLES, (wanted,))
        present = {row[0] for row in cursor.fetchall()}
    absent = [role for role in wanted if role not in present]
    if not absent:
        return fine(READERS, roles=", ".join(wanted))
    statements = " ".join(f"create role {name(role)};" for role in absent)
    return missing(
        READERS,
        WarehouseError,
        [f"role {role} does not exist" for role in absent],
        f"Have the DBA run: {statements} Then grant it to the people who read.",
    )


def _rights(opened: Connection, settings: Settings, roles: Verdict) -> Verdict:
    if not roles.passed:
        return unknown(RIGHTS, "the role does not exist")
    verdict = prove_analyst(opened, analyst=settings.replica.warehouse.analyst_role)
    if verdict.passed:
        return fine(RIGHTS)
    then = "`analytics-replica run` sets the rights again when it publishes."
    return missing(RIGHTS, WarehouseError, [str(f) for f in verdict.findings], then)
