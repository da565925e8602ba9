"""What production does while nobody captures: the backlogs that every reader is given.

Here: the table, its masks, and the changes. Not here: who reads them (readers.py, peers.py).
Two thirds of the changes are inserts, four fifteenths updates, one fifteenth deletes: of 750,000
changes 500,000, 200,000 and 50,000. A row is 10 columns and about 150 bytes of text.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

import psycopg2

from analytics_replica_tests.support.servers import Database

TABLE: Final = "wide"

COLUMNS: Final[dict[str, Any]] = {
    "id": "keep",
    "customer_id": "keep",
    "email": {"mask": "token", "domain": "email"},
    "phone": {"mask": "token", "domain": "phone"},
    "status": "keep",
    "amount": "keep",
    "placed_at": "keep",
    "day": "keep",
    "is_gift": "keep",
    "note": "keep",
}

CREATE: Final = """
create table wide (
    id bigint primary key, customer_id bigint, email text, phone text, status text,
    amount numeric(12, 2), placed_at timestamptz, day date, is_gift boolean, note text)
"""

_INSERT: Final = """
insert into wide
select i, i %% 5000, 'user' || i || '@example.org', '+1555' || lpad(i::text, 7, '0'),
       (array['new', 'paid', 'sent'])[1 + i %% 3], (i %% 100000) / 100.0,
       timestamptz '2026-01-01' + i * interval '1 second', date '2026-01-01' + i %% 300,
       i %% 7 = 0, md5(i::text)
from generate_series(%s, %s) i
"""
_UPDATE: Final = "update wide set status = 'done', amount = amount + 1 where id between %s and %s"
_NEXT_ID: Final = "select coalesce(max(id), 0) + 1 from wide"
_DELETE: Final = "delete from wide where id between %s and %s"


def make_backlog(production: Database, changes: int, transactions: int) -> None:
    """Commits exactly so many changes in so many transactions, each with its share of every kind.

    Rows that are there already stay as they are.
    """
    inserts, deletes = changes * 2 // 3, changes // 15
    shares = (
        (_INSERT, inserts),
        (_UPDATE, changes - inserts - deletes),
        (_DELETE, deletes),
    )
    first = production.scalar(_NEXT_ID)
    with closing(psycopg2.connect(production.dsn())) as opened, opened.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        for number in range(transactions):
            for statement, total in shares:
                begin, end = (total * n // transactions for n in (number, number + 1))
                if end > begin:
                    cursor.execute(statement, (first + begin, first + end - 1))
            if number == transactions - 1:
                cursor.execute("set synchronous_commit = on")
            opened.commit()


def make_transaction(production: Database, rows: int) -> None:
    """Commits one transaction of so many inserted rows."""
    first = production.scalar(_NEXT_ID)
    production.execute(_INSERT, (first, first + rows - 1))
