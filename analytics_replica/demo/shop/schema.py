"""The shop's tables in an empty database.

Here: applying schema.sql and making the month partitions of the order events. Not here: rows
(fill.py, traffic).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib import resources
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import Connection
from analytics_replica.postgres.identifiers import Sql, compose, literal, table

EVENTS: Final = TableName("shop", "order_events")
KEPT_MONTHS: Final = 13
"""The shop drops the partition of older events, as the owners of big logs do."""
FUTURE_MONTHS: Final = 12

_PARTITION: Final = """
create table {partition} partition of {events}
for values from ({first}) to ({beyond})
"""


def create_schema(connection: Connection, months_from: date, months_to: date) -> None:
    """Makes all tables of the shop, with one partition of events for each month and a default one.

    Both months are included; only their year and month count. Nothing is committed here, so an
    interrupted start leaves the database empty.
    """
    with connection.cursor() as cursor:
        cursor.execute(resources.files(__package__).joinpath("schema.sql").read_text())
        for statement in _partitions(months_from, months_to):
            cursor.execute(str(statement))


def has_schema(connection: Connection) -> bool:
    """True if the shop is already in this database, filled or being used."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", (str(EVENTS),))
        return cursor.fetchone() == (True,)


def event_months(now: datetime) -> tuple[date, date]:
    """The first and last month for which the shop has partitions of events at this moment."""
    today = now.astimezone(UTC).date()
    return _month(today, -KEPT_MONTHS), _month(today, FUTURE_MONTHS)


def _partitions(months_from: date, months_to: date) -> Iterator[Sql]:
    first, last = _month(months_from, 0), _month(months_to, 0)
    while first <= last:
        beyond = _month(first, 1)
        yield compose(
            _PARTITION,
            partition=table(TableName(EVENTS.schema, f"{EVENTS.name}_{first:%Y_%m}")),
            events=table(EVENTS),
            first=literal(f"{first} 00:00:00+00"),
            beyond=literal(f"{beyond} 00:00:00+00"),
        )
        first = beyond
    yield compose(
        "create table {partition} partition of {events} default",
        partition=table(TableName(EVENTS.schema, f"{EVENTS.name}_other")),
        events=table(EVENTS),
    )


def _month(day: date, later: int) -> date:
    """The first day of the month that lies `later` months after the one of `day`."""
    years, month = divmod(day.year * 12 + day.month - 1 + later, 12)
    return date(years, month + 1, 1)
