"""Two tables that only make sense together: what leaves one account arrives at another.

Here: the tables, transfers between them, and the invariant, in production and in staging. Not
here: the random tables (tables.py).

The invariant: the sum of all debits is the sum of all credits, in every committed state.
"""

from __future__ import annotations

import random
from typing import Final

from analytics_replica_tests.support.model.operations import Statement
from analytics_replica_tests.support.pipeline import Columns
from analytics_replica_tests.support.servers import Database

DDL: Final = """
create table debits (account int primary key, amount numeric(14, 2) not null, owner text);
create table credits (account int primary key, amount numeric(14, 2) not null, owner text);
create table journal (entry bigint, amount numeric(14, 2), remark text);
alter table journal replica identity full
"""

RULES: Final[dict[str, Columns]] = {
    "public.debits": {"account": "keep", "amount": "keep", "owner": {"mask": "null"}},
    "public.credits": {"account": "keep", "amount": "keep", "owner": {"mask": "null"}},
    "public.journal": {"entry": "keep", "amount": "keep", "remark": "keep"},
}

ACCOUNTS: Final = 40
JOURNALED: Final = 400
"""Lines of one large transaction: more than its logical_decoding_work_mem of 64 kB."""

_BOOK: Final = """
insert into {table} as a values (%s, %s, 'somebody')
on conflict (account) do update set amount = a.amount + excluded.amount
"""

_JOURNAL: Final = """
insert into journal select %s, %s, repeat('x', 200) from generate_series(1, %s)
"""

BALANCE: Final = """
select (select coalesce(sum(amount), 0) from {schema}.debits)
     - (select coalesce(sum(amount), 0) from {schema}.credits)
"""


def transfer(rng: random.Random) -> list[Statement]:
    """From one account to another; sometimes journaled at length; rarely both tables begin anew."""
    if rng.random() < 0.02:
        return [("truncate debits, credits", ())]
    amount = f"{rng.randint(1, 99_999)}.{rng.randint(0, 99):02d}"
    sides = [(_BOOK.format(table=t), (rng.randrange(ACCOUNTS), amount)) for t in _sides(rng)]
    lines = JOURNALED if rng.random() < 0.02 else 1
    return [*sides, (_JOURNAL, (rng.getrandbits(40), amount, lines))]


def _sides(rng: random.Random) -> tuple[str, str]:
    """In either order: a staging that applied half of a transaction would be out of balance."""
    return rng.choice((("debits", "credits"), ("credits", "debits")))


def imbalance(database: Database, schema: str) -> object:
    """Debits minus credits in one snapshot; 0 is balanced."""
    return database.scalar(BALANCE.format(schema=schema))
