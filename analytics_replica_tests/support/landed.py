"""Landing as text: batches drawn as tables (drawings.py).

Here: building batches from drawings, and the settings that go with them. Not here: batches from a
real production (pipeline.py).

In the drawing of a stream, `lsn` and `op` come first; a copy has neither.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from analytics_replica.domain.batches import (
    COMMITTED_AT,
    EXACT_PREFIX,
    LSN,
    OP,
    ORDINAL,
    UNCHANGED_PREFIX,
    BatchKind,
    LandedColumn,
    LandedFile,
    Manifest,
    Op,
    SlotState,
    SourceIdentity,
)
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.landing.layout import Store, data_path
from analytics_replica.landing.manifest import publish_manifest
from analytics_replica.postgres.types import from_text
from analytics_replica.settings.load import Settings, load_settings
from analytics_replica.staging.apply import ApplyReport, apply_pending
from analytics_replica.staging.upto import Upto
from analytics_replica_tests.support.drawings import UNCHANGED, Drawn, Row, drawn
from analytics_replica_tests.support.servers import Database

DAY = datetime(2026, 1, 1, tzinfo=UTC)

PEOPLE = Drawn("shop.people", {"id": "bigint key", "city": "text", "bio": "text"})
LOG = Drawn("shop.log", {"at": "date", "line": "text"})
"""Tables for tests that need any with a key, and any without."""


@dataclass
class Landing:
    """A landing in a directory, to which a test adds batches."""

    root: Path
    tables: tuple[Drawn, ...]
    url: str = "landing"
    system_identifier: str = "7000000000000000001"
    sequence: int = 0
    position: Lsn = ZERO
    previous: str = ""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What replica.yaml says of a table besides its columns, by table name."""
    limits: dict[str, Any] = field(default_factory=dict)
    """What replica.yaml says of the warehouse besides its DSN."""

    @property
    def store(self) -> Store:
        """Landing's files."""
        return Store(self.url if "://" in self.url else str(self.root / self.url))

    def settings(self, warehouse: Database, aliases: Mapping[str, str] | None = None) -> Settings:
        """Settings that keep every column of the tables; aliases by table name."""
        file = self.root / "replica.yaml"
        tables: dict[str, Any] = {
            t.name: {
                "columns": dict.fromkeys(t.columns, "keep"),
                **self.options.get(t.name, {}),
            }
            for t in self.tables
        }
        for name, alias in (aliases or {}).items():
            tables[name]["alias"] = alias
        body = {
            "source": {"dsn": {"env": "SOURCE"}, "copy_directory": "copy"},
            "masking": {"keys": {"k1": {"env": "KEY"}}, "active_key": "k1"},
            "tables": tables,
            "landing": {"url": self.url},
            "warehouse": {"dsn": {"env": "WAREHOUSE"}, **self.limits},
            "gold": {"project_dir": "dbt_project"},
        }
        file.write_text(yaml.safe_dump(body, allow_unicode=True), encoding="utf-8")
        return load_settings(file, {"WAREHOUSE": warehouse.dsn("loader")})

    def apply(self, warehouse: Database, upto: int | None = None) -> ApplyReport:
        """Applies what is pending, as the command would."""
        whole = None if upto is None else Upto(upto)
        return apply_pending(self.settings(warehouse), SystemClock(), upto=whole)

    def copy(self, at: str, drawings: Mapping[Drawn, str] | None = None) -> Manifest:
        """A copy of these tables at this position; a copy of all of them starts the stream."""
        return self.copy_rows(at, {t: drawn(text) for t, text in (drawings or {}).items()})

    def copy_rows(self, at: str, drawings: Mapping[Drawn, list[Row]]) -> Manifest:
        """The same from rows."""
        position = Lsn.parse(at)
        whole = {t.table for t in drawings} >= {t.table for t in self.tables}
        rows = {
            t: [{"lsn": str(Lsn(position.value - 1)), "op": "insert", **row} for row in copied]
            for t, copied in drawings.items()
        }
        came_from = position if whole else self.position
        return self._publish(BatchKind.COPY, came_from, position, rows)

    def stream(self, upto: str, drawings: Mapping[Drawn, str] | None = None) -> Manifest:
        """The changes up to this position; without any, a batch that proves silence."""
        rows = {t: drawn(text) for t, text in (drawings or {}).items()}
        return self.stream_rows(upto, rows)

    def stream_rows(self, upto: str, rows: Mapping[Drawn, list[Row]]) -> Manifest:
        """The same from rows."""
        return self._publish(BatchKind.STREAM, self.position, Lsn.parse(upto), rows)

    def _publish(
        self, kind: BatchKind, start: Lsn, end: Lsn, rows: Mapping[Drawn, list[Row]]
    ) -> Manifest:
        self.sequence += 1
        ordinals: Counter[str] = Counter()
        files = tuple(self._file(table, table_rows, ordinals) for table, table_rows in rows.items())
        commits = {Lsn.parse(str(r["lsn"])) for table_rows in rows.values() for r in table_rows}
        stream = kind is BatchKind.STREAM
        manifest = Manifest(
            sequence=self.sequence,
            kind=kind,
            from_lsn=start,
            to_lsn=end,
            source=SourceIdentity(self.system_identifier, 1, "shop", "slot", "pub", "fingerprint"),
            slot=SlotState(ZERO, ZERO, "reserved", 0, None),
            policy="policy",
            files=files,
            transactions=len(commits) if stream else 0,
            last_commit_at=_commit_time(max(commits)) if commits and stream else None,
            captured_at=DAY + timedelta(hours=self.sequence),
            previous=self.previous,
        )
        self.previous = publish_manifest(self.store, manifest)
        self.position = manifest.position
        return manifest

    def _file(self, drawing: Drawn, rows: list[Row], ordinals: Counter[str]) -> LandedFile:
        arrays: dict[str, pa.Array] = _system_arrays(rows, ordinals)
        columns = []
        for landed in drawing.landed():
            side, counted = _landed_arrays(landed, rows)
            arrays |= side
            columns.append(counted)
        buffer = io.BytesIO()
        pq.write_table(pa.table(arrays), buffer)
        data = buffer.getvalue()
        path = data_path(drawing.table, self.sequence, 0)
        written = self.store.unfinished()
        written.write_bytes(data)
        self.store.publish(written, path)
        ops = Counter(_op(row) for row in rows)
        return LandedFile(
            path=path,
            table=drawing.table,
            columns=tuple(columns),
            rows=len(rows),
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            inserts=ops[Op.INSERT],
            updates=ops[Op.UPDATE] + ops[Op.MOVE],
            deletes=ops[Op.DELETE],
            truncates=ops[Op.TRUNCATE],
        )


def three_people(landing: Landing, warehouse: Database) -> None:
    """Copies and applies three people: the state that many tests begin with."""
    landing.copy(
        "0/100",
        {
            PEOPLE: """
            id | city   | bio
             1 | Oslo   | one
             2 | Bergen | two
             3 | Turku  |
            """
        },
    )
    landing.apply(warehouse)


def _commit_time(lsn: Lsn) -> datetime:
    return DAY + timedelta(seconds=lsn.value)


def _op(row: Row) -> Op:
    return Op[str(row["op"]).upper()]


def _system_arrays(rows: list[Row], ordinals: Counter[str]) -> dict[str, pa.Array]:
    lsns = [str(row["lsn"]) for row in rows]
    numbers = []
    for lsn in lsns:
        numbers.append(ordinals[lsn])
        ordinals[lsn] += 1
    positions = [Lsn.parse(lsn) for lsn in lsns]
    return {
        OP: pa.array([_op(row).value for row in rows], pa.string()).dictionary_encode(),
        LSN: pa.array([p.value for p in positions], pa.int64()),
        ORDINAL: pa.array(numbers, pa.int64()),
        COMMITTED_AT: pa.array([_commit_time(p) for p in positions], pa.timestamp("us", "UTC")),
    }


def _landed_arrays(
    landed: LandedColumn, rows: list[Row]
) -> tuple[dict[str, pa.Array], LandedColumn]:
    name = landed.column.name
    texts: list[Any] = [row.get(name) for row in rows]
    unchanged = [text == UNCHANGED for text in texts]
    known = [None if text == UNCHANGED else text for text in texts]
    values, exact = from_text(landed.column, pa.array(known, pa.string()))
    arrays = {name: values}
    if exact is not None:
        arrays[EXACT_PREFIX + name] = exact
    if any(unchanged):
        arrays[UNCHANGED_PREFIX + name] = pa.array(unchanged)
    exact_rows = 0 if exact is None else len(exact) - exact.null_count
    counted = LandedColumn(
        landed.column, landed.treatment, landed.staging_type, exact_rows, sum(unchanged)
    )
    return arrays, counted
