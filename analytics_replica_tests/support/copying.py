"""Tables that are copied again: a small shop, and what is asked of it.

Here: making it, copying, landing, comparing. Not here: pipelines in general (pipeline.py), standbys
(standbys.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from analytics_replica.domain.batches import BatchKind
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.resync import ResyncReport, resync
from analytics_replica.postgres.connect import connection
from analytics_replica.staging.apply import ApplyReport, apply_pending
from analytics_replica.staging.drift import check_drift
from analytics_replica_tests.support.comparison import differences
from analytics_replica_tests.support.pipeline import Columns, Pipeline
from analytics_replica_tests.support.servers import Database

ACCOUNTS = TableName("public", "accounts")
NOTES = TableName("public", "notes")
TABLES: dict[str, Columns] = {
    "public.accounts": {"id": "keep", "email": {"mask": "token", "domain": "e"}, "amount": "keep"},
    "public.notes": {"at": "keep", "line": "keep"},
}
WRITES = """
insert into accounts select n, 'e' || n, n from generate_series({n}, {n} + 4) n
    on conflict (id) do update set amount = accounts.amount + 1;
update accounts set amount = amount + 1, email = 'x' || amount where id % 7 = {n} % 7;
delete from accounts where id % 11 = {n} % 11;
insert into notes select {n} % 5, 'same line' from generate_series(1, 3);
delete from notes where ctid = (select min(ctid) from notes);
"""


def small_shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """A keyed and a keyless table, copied once and applied."""
    production.execute("create table accounts (id int primary key, email text, amount int)")
    production.execute("create table notes (at int, line text)")
    production.execute("alter table notes replica identity full")
    production.execute("insert into accounts select n, 'e' || n, 0 from generate_series(1, 500) n")
    production.execute("insert into notes select n % 3, 'same line' from generate_series(1, 50) n")
    made = pipeline(dict(TABLES), **{"landing.batch_rows": 50})
    made.prepare()
    made.capture()
    apply(made)
    return made


def apply(pipeline: Pipeline) -> ApplyReport:
    return apply_pending(pipeline.settings, SystemClock())


def again(pipeline: Pipeline, *tables: TableName, **options: object) -> ResyncReport:
    return resync(pipeline.settings, SystemClock(), tables, **options)  # type: ignore[arg-type]


def same(pipeline: Pipeline) -> bool:
    """Everything that is committed now is captured and applied, and staging equals production."""
    pipeline.capture()
    assert apply(pipeline).quarantined == {}
    assert check_contiguity(pipeline.store, files=True).passed
    return differences(pipeline.production, pipeline.warehouse, pipeline.settings) == {}


@contextmanager
def going_on(*works: Callable[[], object]) -> Iterator[None]:
    """Each of these is done again and again by a thread of its own; what one raises is raised."""
    stop, failed = threading.Event(), []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except Exception as cause:  # noqa: BLE001 - handed on below
            failed.append(cause)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []


def copies(pipeline: Pipeline) -> list[set[str]]:
    return [
        {str(file.table) for file in manifest.files}
        for manifest in manifests(pipeline.store)
        if manifest.kind is BatchKind.COPY
    ]


def once(point: str, work: Callable[[], object]) -> Callable[[str], None]:
    """Does the work when the point is reached first."""
    begun = threading.Lock()

    def reached(name: str) -> None:
        if name == point and begun.acquire(blocking=False):
            work()

    return reached


def drift_of(pipeline: Pipeline, table: TableName) -> tuple[Outcome, str]:
    with connection(pipeline.warehouse.dsn("loader")) as opened:
        verdict = check_drift(opened, pipeline.settings, pipeline.store)[table]
    return verdict.outcome, "; ".join(finding.says for finding in verdict.findings)
