"""Transactions that are counted: what production committed, and whether it is landed exactly once.

Here: writing numbered transactions, and the judgement by DuckDB through the manifests. Not here:
what goes wrong in between (scenarios/test_crash_matrix.py, scenarios/test_faults.py).

Every row has a number that no other row has and the number of its transaction, and says how many
rows that transaction has: a lost, doubled, torn or invented row cannot hide.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from analytics_replica.domain.verdicts import Outcome
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.layout import UNFINISHED
from analytics_replica.landing.manifest import manifests
from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

COLUMNS = ("n", "tx", "rows_of_tx", "filler")
TABLES: dict[str, Columns] = {
    "public.keyed": dict.fromkeys(COLUMNS, "keep"),
    "public.keyless": dict.fromkeys(COLUMNS, "keep"),
}

_SCHEMA = """
create table keyed (n bigint primary key, tx bigint, rows_of_tx int, filler text);
create table keyless (n bigint, tx bigint, rows_of_tx int, filler text);
alter table keyless replica identity full;
create sequence numbers;
"""

_INSERT = """
insert into {table}
select nextval('numbers'), %s, %s, repeat('x', 150) from generate_series(1, %s)
"""

LARGE_ROWS = 700
"""More than logical_decoding_work_mem holds (64 kB in this database): production may stream it."""


@dataclass
class Workload:
    """Numbered transactions in one production."""

    production: Database
    transactions: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def prepare(self) -> None:
        """Makes the tables, empty."""
        self.production.execute(_SCHEMA)
        self.production.execute(
            f"alter database {self.production.name} set logical_decoding_work_mem = '64kB'"
        )

    def write(self, small: int = 8, large: int = 1) -> None:
        """Commits so many small transactions and, among them, large ones; each in both tables.

        Some are rolled back, wholly or to a savepoint: none of that may be landed.
        """
        sizes = [self.random.randint(1, 6) for _ in range(small)] + [LARGE_ROWS] * large
        self.random.shuffle(sizes)
        for size in sizes:
            self._transaction(size, kept=True)
            if self.random.random() < 0.2:
                self._transaction(size, kept=False)

    def _transaction(self, size: int, *, kept: bool) -> None:
        self.transactions += 1
        with self.production.session() as cursor:
            for table in ("keyed", "keyless"):
                statement = _INSERT.format(table=table)
                cursor.execute(statement, (self.transactions, 2 * size, size))
                cursor.execute("savepoint undone")
                cursor.execute(statement, (self.transactions, -1, max(1, size // 2)))
                cursor.execute("rollback to savepoint undone")
            if not kept:
                cursor.connection.rollback()


@dataclass(frozen=True)
class Judgement:
    """Where landing and production differ in the numbered transactions."""

    lost: int
    invented: int
    twice: int
    torn: int
    rows: int
    contiguity: str
    unfinished: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """True if every committed row is landed once, with its transaction, and nothing else is."""
        wrong = (self.lost, self.invented, self.twice, self.torn, len(self.unfinished))
        return wrong == (0, 0, 0, 0, 0) and self.contiguity == Outcome.PASS and self.rows > 0


def judge(pipeline: Pipeline) -> Judgement:
    """The judgement of DuckDB, which reads the files that the manifests name, and no others."""
    with duckdb.connect() as connection:
        connection.register("produced", _produced(pipeline.production))
        connection.execute(_LANDED, [_paths(pipeline)])
        (counts,) = connection.execute(_COUNTS).fetchall()
    lost, invented, twice, torn, rows = counts
    unfinished = pipeline.root / "landing" / UNFINISHED
    left = unfinished.rglob("*") if unfinished.exists() else ()
    return Judgement(
        lost=lost,
        invented=invented,
        twice=twice,
        torn=torn,
        rows=rows,
        contiguity=check_contiguity(pipeline.store, files=True).outcome,
        unfinished=tuple(sorted(path.name for path in left)),
    )


_LANDED = """
create table landed as
select n, tx, rows_of_tx, filler, _replica_lsn as lsn, _replica_op as op
from read_parquet($1, union_by_name => true)
"""

_COUNTS = """
-- committed rows that are not landed; landed rows that were not committed; rows landed again;
-- transactions whose rows are not all there at one position; landed rows
with events as (select n, tx, rows_of_tx, filler from landed where op = 'i')
select
    (select count(*) from (from produced except from events)),
    (select count(*) from (from events except from produced))
        + (select count(*) from landed where op <> 'i'),
    (select count(*) - count(distinct n) from landed),
    (select count(*) from (
        from landed select tx group by tx
        having count(*) <> any_value(rows_of_tx) or count(distinct lsn) <> 1)),
    (select count(*) from landed)
"""


def _produced(production: Database) -> pa.Table:
    names = ", ".join(COLUMNS)
    rows = production.rows(f"select {names} from keyed union all select {names} from keyless")
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    types = (pa.int64(), pa.int64(), pa.int32(), pa.string())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(dict(zip(COLUMNS, arrays, strict=True)))


def _paths(pipeline: Pipeline) -> list[str]:
    store = pipeline.store
    return [store.full(file.path) for manifest in manifests(store) for file in manifest.files]
