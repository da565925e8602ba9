"""Compaction and one merge give what applying every change one by one gives, for any history.

Oracle: PostgreSQL executes the same inserts, updates, changes of keys, deletes and truncations on
a plain table. Histories are cut into transactions, batches and applies at random.
A failure prints a line that replays it (@reproduce_failure).
Known gaps: columns do not change within a history (integration/test_staging_tables.py); a re-copy
in the middle is integration/test_staging_apply.py's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.drawings import UNCHANGED, Drawn, Row, shown
from analytics_replica_tests.support.landed import Landing
from analytics_replica_tests.support.servers import Database

AT_ONCE = 5
"""Histories that share landing and applies, each with a table of its own: that is cheaper."""

KEYED = {"id": "integer key", "n": "numeric(6,2)", "small": "text", "big": "text"}
KEYLESS = {"n": "real", "small": "text"}

Pair = tuple[str | None, str | None]

KEYS = st.integers(1, 4)
TEXTS = st.sampled_from(["a", "b", "", None])
NUMBERS = st.sampled_from(["1.50", "1.5", "NaN", "-0.00", None])
FLOATS = st.sampled_from(["1.5", "-0", "0", "NaN", None])


@dataclass
class History:
    """A table as PostgreSQL would have it, what it was told, and what its log would say."""

    rows: dict[int, Row] = field(default_factory=dict)
    statements: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def insert(self, key: int, image: Row) -> None:
        if key not in self.rows:
            self.rows[key] = image
            sql = "insert into t (id, n, small, big) values (%s, %s, %s, %s)"
            self._did(sql, key, image["n"], image["small"], image["big"])
            self._logged("insert", key, image)

    def update(self, key: int, image: Row, to: int, *, logs_big: bool) -> None:
        """A new image under the key `to`; without `logs_big` the big value stays and is absent."""
        if key not in self.rows or (to != key and to in self.rows):
            return
        old = self.rows.pop(key)
        new = image if logs_big else {**image, "big": old["big"]}
        self.rows[to] = new
        if logs_big:
            sql = "update t set id = %s, n = %s, small = %s, big = %s where id = %s"
            self._did(sql, to, new["n"], new["small"], new["big"], key)
        else:
            sql = "update t set id = %s, n = %s, small = %s where id = %s"
            self._did(sql, to, new["n"], new["small"], key)
        logged = new if logs_big else {**new, "big": UNCHANGED}
        if to != key:
            self._logged("delete", key, dict.fromkeys(image))
        self._logged("move" if to != key else "update", to, logged)

    def swap(self, one: int, two: int, image: Row) -> None:
        """Two rows change keys in one transaction, through a third."""
        if one in self.rows and two in self.rows and one != two:
            self.update(one, image, 9, logs_big=False)
            self.update(two, image, one, logs_big=False)
            self.update(9, image, two, logs_big=False)

    def delete(self, key: int) -> None:
        if self.rows.pop(key, None) is not None:
            self._did("delete from t where id = %s", key)
            self._logged("delete", key, dict.fromkeys(("n", "small", "big")))

    def truncate(self) -> None:
        self.rows.clear()
        self._did("truncate t")
        self.events.append({"op": "truncate"})

    def transaction(self, steps: list[Callable[[History], None]]) -> list[Row]:
        """Takes these steps; the events that tell of them."""
        self.events = []
        for step in steps:
            step(self)
        return self.events

    def _did(self, statement: str, *values: object) -> None:
        self.statements.append((statement, values))

    def _logged(self, op: str, key: int, image: Row) -> None:
        self.events.append({"op": op, "id": str(key), **image})


IMAGES = st.fixed_dictionaries({"n": NUMBERS, "small": TEXTS, "big": TEXTS})
STEPS: st.SearchStrategy[Callable[[History], None]] = st.one_of(
    st.builds(lambda k, i: lambda h: h.insert(k, dict(i)), KEYS, IMAGES),
    st.builds(
        lambda k, i, logs: lambda h: h.update(k, dict(i), k, logs_big=logs),
        KEYS,
        IMAGES,
        st.booleans(),
    ),
    st.builds(
        lambda k, to, i, logs: lambda h: h.update(k, dict(i), to, logs_big=logs),
        KEYS,
        KEYS,
        IMAGES,
        st.booleans(),
    ),
    st.builds(lambda k, to, i: lambda h: h.swap(k, to, dict(i)), KEYS, KEYS, IMAGES),
    st.builds(lambda k: lambda h: h.delete(k), KEYS),
    st.just(lambda h: h.truncate()),
)
Step = Callable[[History], None]
FIRST = st.dictionaries(KEYS, IMAGES, max_size=3)
TRANSACTIONS = st.lists(st.lists(STEPS, min_size=1, max_size=5), min_size=1, max_size=8)
ROWS = st.tuples(FLOATS, TEXTS)
CHANGES = st.lists(st.lists(st.tuples(st.booleans(), ROWS), max_size=6), min_size=1, max_size=8)
CUTS = st.lists(st.sampled_from(["", "batch", "apply"]), min_size=8, max_size=8)
FEW = settings(
    max_examples=8,
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def directories() -> Iterator[Callable[[], Path]]:
    """A new directory for each example."""
    with tempfile.TemporaryDirectory() as root:
        yield lambda: Path(tempfile.mkdtemp(dir=root))


@FEW
@given(
    histories=st.lists(st.tuples(FIRST, TRANSACTIONS), min_size=AT_ONCE, max_size=AT_ONCE),
    cuts=CUTS,
)
def test_a_keyed_table_ends_as_postgresql_ends_it(
    warehouse: Database,
    directories: Callable[[], Path],
    histories: list[tuple[dict[int, Row], list[list[Step]]]],
    cuts: list[str],
) -> None:
    tables = [Drawn(f"shop.t{number}", KEYED) for number in range(AT_ONCE)]
    landing = Landing(directories(), tuple(tables))
    told, copied, logged = [], {}, {}
    for table, (first, transactions) in zip(tables, histories, strict=True):
        history = History()
        for key, image in first.items():
            history.insert(key, dict(image))
        copied[table] = [{k: v for k, v in row.items() if k != "op"} for row in history.events]
        logged[table] = [history.transaction(steps) for steps in transactions]
        told.append(history.statements)
    landing.copy_rows("0/100", copied)
    _land_and_apply(landing, warehouse, logged, cuts)
    for table, statements in zip(tables, told, strict=True):
        with warehouse.session() as cursor:
            cursor.execute("drop table if exists t")
            cursor.execute(
                "create table t (id int primary key, n numeric(6,2), small text, big text)"
            )
            for statement, values in statements:
                cursor.execute(statement, values)
        assert shown(warehouse, f"staging.{table.table.name}") == shown(warehouse, "t")


@FEW
@given(
    histories=st.lists(
        st.tuples(st.lists(ROWS, max_size=4), CHANGES), min_size=AT_ONCE, max_size=AT_ONCE
    ),
    cuts=CUTS,
)
def test_a_table_without_a_key_ends_as_postgresql_ends_it(
    warehouse: Database,
    directories: Callable[[], Path],
    histories: list[tuple[list[Pair], list[list[tuple[bool, Pair]]]]],
    cuts: list[str],
) -> None:
    tables = [Drawn(f"shop.m{number}", KEYLESS) for number in range(AT_ONCE)]
    landing = Landing(directories(), tuple(tables))
    landing.copy_rows(
        "0/100",
        {
            table: [{"n": n, "small": small} for n, small in first]
            for table, (first, _) in zip(tables, histories, strict=True)
        },
    )
    logged = {}
    held = [list(first) for first, _ in histories]
    for table, rows, (_, changes) in zip(tables, held, histories, strict=True):
        logged[table] = [_changed(rows, steps) for steps in changes]
    _land_and_apply(landing, warehouse, logged, cuts)
    for table, rows in zip(tables, held, strict=True):
        with warehouse.session() as cursor:
            cursor.execute("drop table if exists m; create table m (n real, small text)")
            cursor.executemany("insert into m values (%s, %s)", rows)
        assert shown(warehouse, f"staging.{table.table.name}") == shown(warehouse, "m")


def _changed(held: list[Pair], steps: list[tuple[bool, Pair]]) -> list[Row]:
    """Adds and removes these rows; the events that tell of it."""
    events: list[Row] = []
    for adds, row in steps:
        if not adds and row not in held:
            continue
        (held.append if adds else held.remove)(row)
        events.append({"op": "insert" if adds else "delete", "n": row[0], "small": row[1]})
    return events


def _land_and_apply(
    landing: Landing,
    warehouse: Database,
    logged: Mapping[Drawn, list[list[Row]]],
    cuts: list[str],
) -> None:
    warehouse.execute("drop schema if exists staging, ops cascade")
    wanted = landing.settings(warehouse)
    rows: dict[Drawn, list[Row]] = {}
    for number, cut in enumerate(cuts):
        lsn = Lsn(0x200 + 0x10 * number)
        for table, transactions in logged.items():
            for event in transactions[number] if number < len(transactions) else ():
                rows.setdefault(table, []).append({"lsn": str(lsn), **event})
        if cut or number == len(cuts) - 1:
            landing.stream_rows(str(Lsn(lsn.value + 8)), rows)
            rows = {}
        if cut == "apply":
            assert apply_pending(wanted, SystemClock()).quarantined == {}
    assert apply_pending(wanted, SystemClock()).quarantined == {}
