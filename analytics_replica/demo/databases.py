"""The databases and roles that a DBA would make on the demo's servers.

Here: making one database with its owner and its readers. Not here: the role of capture, which the
printed script makes (source.dba), and what is inside (demo.shop, staging, serving).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Final

from analytics_replica.postgres.connect import Connection, connect
from analytics_replica.postgres.identifiers import Sql, compose, name, names

_HAS_ROLE: Final = "select exists (select from pg_roles where rolname = %s)"
_HAS_DATABASE: Final = "select exists (select from pg_database where datname = %s)"


def prepare_database(
    admin_dsn: str, database: str, owner: str = "postgres", readers: Sequence[str] = ()
) -> None:
    """The database exists, belongs to `owner`, and lets in its owner and `readers`; all may log in.

    May run again without harm; what exists stays as it is.
    """
    with closing(connect(admin_dsn, application="analytics-replica demo")) as opened:
        opened.autocommit = True
        for role in (owner, *readers):
            if not _answer(opened, _HAS_ROLE, role):
                _run(opened, compose("create role {role} login", role=name(role)))
        if _answer(opened, _HAS_DATABASE, database):
            return
        at, whose = name(database), name(owner)
        _run(opened, compose("create database {at} owner {whose}", at=at, whose=whose))
        if readers:
            _run(opened, compose("revoke all on database {at} from public", at=at))
            whom = names(readers)
            _run(opened, compose("grant connect on database {at} to {whom}", at=at, whom=whom))


def _answer(opened: Connection, question: str, about: str) -> bool:
    with opened.cursor() as cursor:
        cursor.execute(question, (about,))
        return cursor.fetchone() == (True,)


def _run(opened: Connection, statement: Sql) -> None:
    with opened.cursor() as cursor:
        cursor.execute(str(statement))
