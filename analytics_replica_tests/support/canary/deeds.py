"""What happens in the canary's production: every way in which a value may get into its log.

Here: statements with planted values, committed, rolled back, streamed, prepared, as DDL, as
messages. Not here: the schema (world.py), the values (plant.py), what is captured when (run.py).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from analytics_replica_tests.support.canary.plant import Canaries
from analytics_replica_tests.support.servers import Database

MEGABYTE = 1 << 20
DEEPER_THAN_PYTHON = 3_000
PEOPLE = (
    "id, tier, email, full_name, phone, card, iban, born, notes, attributes, raw_json, aliases, "
    "photo, state, contact, home, extra, ip, ref, pages, words, amount, paper, "
    "memo, origin, joined"
)
TYPES = {"home": "canary.place", "attributes": "jsonb"}
AWKWARD = (
    # email, phone, card, born, attributes
    ("{name}", "{name}", "{name}", "infinity", '["{word}"]'),
    ("{word}@", "+{word}", "{word} 12", "0044-03-15 BC", '"{word}"'),
    ("{word}@b@{name}", "", "{phone}", "-infinity", "null"),
    ("{name} <{email}>, {email}", "{phone} / {phone}", "{card} {card}", None, '{{"tier": null}}'),
    (
        "mailto:{email}?subject={word}",
        "tel:{phone}",
        "{iban}",
        "20000-01-01",
        '{{"a": ["{word}"]}}',
    ),
)


@dataclass
class Deeds:
    """Acts in production, planting as it goes."""

    production: Database
    plant: Canaries

    def __post_init__(self) -> None:
        self._ids = count(1)
        self._waiting = ""

    def fill(self) -> None:
        """What is there before anything is copied, in tables, defaults, comments, constraints."""
        with self.production.session() as cursor:
            self.add_people(cursor, 190, "first copy")
            self.add_papers(cursor, "first copy, very long")
            self._accounts(cursor, 100, "key, first copy")
            self._journal(cursor, 150, "keyless, first copy")
            self._rows(cursor, "left_out", 50, "a table that replica.yaml does not list")
            self._rows(cursor, "doomed", 30, "a table that is dropped")
            self._rows(cursor, "drafts", 20, "a table that is truncated", "id, body")
            for text in (
                "comment on column canary.people.email is '{name}'",
                "comment on table canary.people is '{name}, {phone}'",
                "comment on database current_db is '{name}'",
                "alter table canary.people alter state set default '{name}'",
                "alter table canary.people add check (state <> '{email}')",
                "create view canary.one as select * from canary.people where email = '{email}'",
                "create type canary.who as enum ('{word}', '{word}')",
            ):
                filled = self.plant.filled(text, "the catalog")
                cursor.execute(filled.replace("current_db", self.production.name))

    def change(self) -> None:
        """Inserts, updates, deletes and moved keys in small transactions."""
        with self.production.session() as cursor:
            self.add_people(cursor, 30, "stream, inserted")
            self._awkward(cursor)
        for column, value in (
            ("email", self.plant.email),
            ("notes", self.plant.remark),
            ("home", lambda place: f"({self.plant.word(place)},Oslo)"),
            ("attributes", self.plant.attributes),
            ("paper", self.plant.name),
        ):
            rows = [(n, value(f"stream, updated {column}")) for n in range(1, 25)]
            with self.production.session() as cursor:
                execute_values(
                    cursor,
                    f"update canary.people set {column} = new.v::{TYPES.get(column, 'text')} "
                    "from (values %s) new (id, v) where people.id = new.id",
                    rows,
                )
        self.production.execute("update canary.people set tier = 'silver' where id % 3 = 0")
        self.production.execute("delete from canary.people where id % 10 = 7")
        self._move_keys()
        with self.production.session() as cursor:
            self._accounts(cursor, 30, "key, stream")
            self._journal(cursor, 40, "keyless, stream")
            cursor.execute("update canary.journal set at = at + 1 where at % 5 = 0")
            cursor.execute("delete from canary.journal where at % 7 = 0")
            self.add_papers(cursor, "stream, very long")
            cursor.execute("update canary.people set tier = 'long' where paper is not null")

    def undo(self) -> None:
        """What is rolled back, whole or in part; what exists within one transaction only."""
        with self._open() as (cursor, connection):
            self.add_people(cursor, 15, "rolled back")
            connection.rollback()
        with self._open() as (cursor, connection):
            self.add_people(cursor, 5, "beside a savepoint")
            cursor.execute("savepoint s")
            self.add_people(cursor, 15, "rolled back savepoint")
            cursor.execute("rollback to savepoint s")
            cursor.execute("savepoint t")
            self._journal(cursor, 10, "released savepoint")
            cursor.execute("release savepoint t")
            connection.commit()
        with self._open() as (cursor, connection):
            ids = self.add_people(cursor, 10, "inserted and deleted at once")
            cursor.execute("delete from canary.people where id = any(%s)", (ids,))
            connection.commit()
        with self.production.session() as cursor:
            self._rows(cursor, "drafts", 20, "inserted and truncated", "id, body")
            cursor.execute("truncate canary.drafts")
            self._rows(cursor, "drafts", 10, "after a truncate", "id, body")
        with self._open() as (cursor, connection):
            lines = "".join(
                f"{next(self._ids)}\t{self.plant.name('copied in')}\n" for _ in range(40)
            )
            cursor.copy_expert("copy canary.drafts (id, author) from stdin", io.StringIO(lines))
            connection.commit()

    def announce(self) -> None:
        """DDL and messages: what is in the log and in no row."""
        place = "DDL of the stream"
        for text in (
            "alter table canary.people add nickname text default '{name}'",
            "comment on column canary.people.nickname is '{name}'",
            "update canary.people set nickname = '{name}' where id < 9",
            "alter table canary.people alter nickname set default '{phone}'",
            "drop table canary.doomed",
            "select pg_logical_emit_message(true, '{word}', '{name} {card}')",
            "select pg_logical_emit_message(false, 'analytics_replica', '{email}')",
            "do $$ begin raise notice '{name}'; end $$",
        ):
            self.production.execute(self.plant.filled(text, place))
        self.prepare_transactions()

    def forget_nickname(self) -> None:
        """Drops the column that nobody classified."""
        self.production.execute("alter table canary.people drop nickname")

    def prepare_transactions(self) -> None:
        """Prepared transactions: committed, rolled back, and one that stays, with its locks."""
        for ending in ("commit prepared '{gid}'", "rollback prepared '{gid}'", ""):
            place = f"prepared transaction: {ending[:8] or 'open'}"
            gid = self.plant.word(place)
            with self._open() as (cursor, _):
                self._journal(cursor, 5, place)
                cursor.execute(f"prepare transaction '{gid}'")
            self._waiting = gid
            if ending:
                self._autocommit(ending.format(gid=gid))

    def forget_the_prepared(self) -> None:
        """Ends the transaction that stayed, so that its database can be dropped."""
        if self._waiting:
            self._autocommit(f"rollback prepared '{self._waiting}'")

    def stream(self) -> None:
        """Large transactions, which production sends before they end: kept, in part, not at all."""
        with self._open() as (cursor, connection):
            self.add_people(cursor, 50, "streamed")
            for half in ("kept", "aborted"):
                cursor.execute("savepoint s")
                self.add_people(cursor, 20, f"streamed, {half} part")
                cursor.execute(f"{'rollback to' if half == 'aborted' else 'release'} savepoint s")
            cursor.execute("update canary.people set email = email || 'x' where id < 40")
            cursor.execute("delete from canary.people where id between 40 and 60")
            connection.commit()
        with self._open() as (cursor, connection):
            self.add_people(cursor, 25, "streamed and aborted")
            self._journal(cursor, 200, "streamed and aborted, keyless")
            connection.rollback()

    def nest(self) -> None:
        """A document that is nested deeper than Python reads."""
        place = "a document that no mask can read"
        brackets = "[" * DEEPER_THAN_PYTHON, "]" * DEEPER_THAN_PYTHON
        body = f'{{"tier": "x", "{self.plant.word(place)}": {brackets[0]}"'
        body += f'{self.plant.email(place)}"{brackets[1]}}}'
        self.production.execute(
            "update canary.people set raw_json = %s, notes = %s where id = 2",
            (body, self.plant.remark(place)),
        )

    def add_people(self, cursor: Any, number: int, place: str) -> list[int]:
        """People with a value in every column; their ids."""
        rows = [self._person(place) for _ in range(number)]
        execute_values(cursor, f"insert into canary.people ({PEOPLE}) values %s", rows)
        return [row[0] for row in rows]

    def add_papers(self, cursor: Any, place: str) -> None:
        """Texts that are stored out of line: short ones, and one of more than a megabyte."""
        for letters in (3_000, 50_000, MEGABYTE + 77):
            row = (next(self._ids), self.plant.long(place, letters))
            cursor.execute("insert into canary.people (id, paper) values (%s, %s)", row)

    def _person(self, place: str) -> tuple[Any, ...]:
        plant = self.plant
        return (
            next(self._ids),
            "basic",
            plant.email(place),
            plant.name(place),
            plant.phone(place),
            plant.card(place),
            plant.iban(place),
            "1980-02-29",
            plant.remark(place),
            plant.attributes(place),
            f'{{"tier": 1.50, "{plant.word(place)}": ["{plant.email(place)}"]}}',
            [plant.name(place), f'"{plant.word(place)}", \\'],
            plant.document(place),
            plant.word(place).upper(),
            plant.email(place).strip(),
            f'("{plant.street(place)}",Oslo)',
            f'"{plant.word(place)}"=>"{plant.phone(place)}"',
            plant.address(place),
            plant.uuid(place),
            [[plant.word(place), plant.name(place)], [plant.email(place), None]],
            plant.name(place),
            "NaN" if len(plant) % 3 else "12.5",
            None,
            plant.memo(place),
            plant.phone(place),
            "2019-10-27 02:30:00+02",
        )

    def _awkward(self, cursor: Any) -> None:
        for email, phone, card, born, attributes in AWKWARD:
            place = "what no mask expects"
            values = [self.plant.filled(v, place) if v else v for v in (email, phone, card, born)]
            cursor.execute(
                "insert into canary.people (id, email, phone, card, born, attributes) "
                "values (%s, %s, left(%s, 40), %s, %s, %s)",
                (next(self._ids), *values, self.plant.filled(attributes, place)),
            )

    def _accounts(self, cursor: Any, number: int, place: str) -> None:
        for _ in range(number):
            login = self.plant.word(place)
            cursor.execute(
                "insert into canary.accounts values (%s, %s, %s)",
                (login, self.plant.email(place), self.plant.name(f"{place}, dropped column")),
            )
            row = (next(self._ids), login, self.plant.address(place))
            cursor.execute("insert into canary.sessions values (%s, %s, %s)", row)

    def _move_keys(self) -> None:
        logins = self.production.rows("select login from canary.accounts order by 1 limit 30")
        with self.production.session() as cursor:
            for (login,) in logins:
                new = f"{self.plant.word('key, moved')}@{len(self.plant)}"
                cursor.execute(
                    "update canary.accounts set login = %s where login = %s", (new, login)
                )
            cursor.execute("delete from canary.accounts where ctid = any(%s::tid[])", (["(0,3)"],))

    def _journal(self, cursor: Any, number: int, place: str) -> None:
        rows = [(n, self.plant.remark(place), self.plant.name(place)) for n in range(number)]
        execute_values(cursor, "insert into canary.journal values %s", rows)

    def _rows(
        self, cursor: Any, table: str, number: int, place: str, columns: str = "id, email"
    ) -> None:
        rows = [(next(self._ids), self.plant.remark(place)) for _ in range(number)]
        execute_values(cursor, f"insert into canary.{table} ({columns}) values %s", rows)

    def _autocommit(self, statement: str) -> None:
        opened = psycopg2.connect(self.production.dsn())
        opened.autocommit = True
        with opened.cursor() as cursor:
            cursor.execute(statement)
        opened.close()

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        opened = psycopg2.connect(self.production.dsn())
        try:
            with opened.cursor() as cursor:
                yield cursor, opened
        finally:
            opened.close()
