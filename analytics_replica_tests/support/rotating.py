"""A shop whose masking key is changed: its tables, its keys, and tokens computed without us.

Here: making it, what other systems would compute, what landing and staging hold. Not here: copies
in general (copying.py).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb

from analytics_replica.domain.clock import SystemClock
from analytics_replica.landing.manifest import manifests
from analytics_replica.landing.rotation import RotationReport, rotate
from analytics_replica_tests.support.copying import apply
from analytics_replica_tests.support.pipeline import KEY, Columns, Pipeline
from analytics_replica_tests.support.servers import Database

KEYS = {
    "k1": KEY,
    "k2": "9b7e04d1c85a36f21e4fb07d9358ca6611f0ab29d4783e5cc7206d8fa15be493",
    "k3": "30d7c6a95bf81e4207b3d86a1fc5e9724d08fa63b79e12c45a6fd03b98e7412c",
}
TABLES: dict[str, Columns] = {
    "public.people": {"id": "keep", "email": {"mask": "token", "domain": "e"}, "n": "keep"},
    "public.visits": {"who": {"mask": "token", "domain": "e"}, "page": "keep"},
    "public.pages": {"page": "keep", "title": "keep"},
}
WRITES = """
insert into people values ({n} + 1000, 'p' || {n} + 1000, {n});
insert into visits values ('p' || {n} + 1000, 1), ('p' || {n} % 40, 2);
update people set n = n + 1, email = email || 'x' where id % 40 = {n} % 40 and length(email) < 9;
delete from visits where ctid = (select min(ctid) from visits);
insert into pages values ({n} + 100, 'page');
"""


def rotating_shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    """Two tables that join by tokens and one without any, copied under k1 and applied."""
    production.execute("create table people (id int primary key, email text, n int)")
    production.execute("create table visits (who text, page int)")
    production.execute("alter table visits replica identity full")
    production.execute("create table pages (page int primary key, title text)")
    production.execute("insert into people select n, 'p' || n, 0 from generate_series(1, 300) n")
    production.execute("insert into visits select 'p' || n, n % 9 from generate_series(1, 300) n")
    production.execute("insert into pages select n, 'page' from generate_series(1, 9) n")
    made = pipeline({table: dict(rules) for table, rules in TABLES.items()})
    keys_are(made, "k1", "k1")
    made.prepare()
    made.capture()
    apply(made)
    return made


def keys_are(pipeline: Pipeline, active: str, *known: str) -> None:
    """Writes the keys' files and names them in replica.yaml."""
    for key_id in known:
        key_file(pipeline.root / f"{key_id}.key", KEYS[key_id])
    pipeline.changes["masking.keys"] = {key_id: {"file": f"{key_id}.key"} for key_id in known}
    pipeline.changes["masking.active_key"] = active


def key_file(file: Path, text: str, mode: int = 0o600) -> None:
    """A key file with this mode."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text, encoding="ascii")
    file.chmod(mode)


def rotated(pipeline: Pipeline, **options: object) -> RotationReport:
    return rotate(pipeline.settings, SystemClock(), **options)  # type: ignore[arg-type]


def token(key_id: str, value: str, domain: str = "e") -> str:
    """The token as docs/reference/tokens.md says that anybody can compute it."""
    key = bytes.fromhex(KEYS[key_id])
    of_domain = hmac.new(key, b"analytics-replica/token/v1/" + domain.encode(), hashlib.sha256)
    return hmac.new(of_domain.digest(), value.encode(), hashlib.sha256).hexdigest()[:32]


def made_with(tokens: Iterable[str], values: Iterable[str]) -> dict[str, int]:
    """How many of these tokens each key has made from one of the values; `""` counts the others."""
    known = {token(key_id, value): key_id for value in set(values) for key_id in KEYS}
    counts: dict[str, int] = {}
    for found in tokens:
        key_id = known.get(found, "")
        counts[key_id] = counts.get(key_id, 0) + 1
    return counts


def staged(pipeline: Pipeline) -> dict[str, dict[str, int]]:
    """Which keys have made the tokens in staging, by table."""
    return {
        table: made_with(
            (row[0] for row in pipeline.warehouse.rows(f"select {column} from staging.{table}")),
            (row[0] for row in pipeline.production.rows(f"select {column} from {table}")),
        )
        for table, column in (("people", "email"), ("visits", "who"))
    }


def all_under(pipeline: Pipeline, key_id: str) -> bool:
    """Staging has production's rows of both tables, each token made with this key and no other."""
    return staged(pipeline) == {
        table: {key_id: pipeline.production.scalar(f"select count(*) from {table}")}
        for table in ("people", "visits")
    }


def landed_tokens(pipeline: Pipeline, since: int, *, beside: bool = False) -> set[str]:
    """The tokens in the files of the batches after this one, read by DuckDB."""
    paths = [
        (pipeline.store.full(file.path), "email" if file.table.name == "people" else "who")
        for manifest in manifests(pipeline.store, after=since)
        for file in (manifest.beside if beside else manifest.files)
        if file.table.name in ("people", "visits")
    ]
    with duckdb.connect() as connection:
        return {
            row[0]
            for path, column in paths
            for row in connection.execute(
                f"select {column} from read_parquet($1) where {column} is not null", [path]
            ).fetchall()
        }


def last_batch(pipeline: Pipeline) -> int:
    """The number of the newest batch."""
    return max(manifest.sequence for manifest in manifests(pipeline.store))
