"""The search for personal values outside production, in every byte on disk and every table.

Here: searching files and servers, and the report. Not here: what is searched for (demo.planted),
how a file is read (demo.disk).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2.extensions import make_dsn

from analytics_replica.demo.disk import (
    PIECE_BYTES,
    UNREADABLE,
    expanded_pieces,
    files_under,
    raw_pieces,
)
from analytics_replica.demo.dump import Rows, copy_rows, databases_behind, tables_in
from analytics_replica.demo.packed import packed_in
from analytics_replica.demo.planted import Planted, PlantedValues, Scanner, planted_values
from analytics_replica.demo.shop.people import Kind
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.postgres.connect import Connection, connect

__all__ = ["Hit", "PlantedValues", "SearchReport", "planted_values", "search"]

_NOTHING: Final = bytes(PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class Hit:
    """Personal values of one kind in one place; how many, never which."""

    where: str
    kind: Kind
    count: int


@dataclass(frozen=True)
class SearchReport:
    """What was searched, what was found, and what could not be read."""

    files: int
    bytes: int
    tables: int
    rows: int
    planted: int
    hits: tuple[Hit, ...]
    unsearched: tuple[str, ...]
    took: timedelta

    @property
    def found(self) -> int:
        """How many values were found; 0 means little unless `verdict` passes."""
        return sum(hit.count for hit in self.hits)

    def verdict(self) -> Verdict:
        """PASS if all was searched and nothing found; CANNOT_TELL if something was not searched."""
        figures = {"files": self.files, "bytes": self.bytes, "rows": self.rows, "found": self.found}
        if self.hits:
            faults = [Finding(hit.where, f"{hit.kind}, {hit.count} times") for hit in self.hits]
            return Verdict.from_findings("leaks", faults, **figures)
        reasons = [Finding(where, "could not be searched") for where in self.unsearched]
        if not self.planted:
            reasons.append(Finding("production", "holds no value to search for"))
        if reasons:
            return Verdict.cannot_tell("leaks", *reasons, **figures)
        return Verdict.from_findings("leaks", (), **figures)


def search(paths: Sequence[Path], dsns: Sequence[str], planted: Planted) -> SearchReport:
    """Looks for the planted values in all files under `paths` and in all tables behind `dsns`.

    Links are followed. Each DSN opens all databases of its server, so it should be a superuser's.
    Files that vanish meanwhile are passed over; what cannot be read is reported.
    """
    started = time.monotonic()
    disk, servers = _Sweep(planted), _Sweep(planted)
    # Reading and matching leave Python's lock, so disk and servers are searched side by side.
    with ThreadPoolExecutor(max_workers=2) as both:
        for done in (
            both.submit(disk.search_files, paths),
            both.submit(servers.search_servers, dsns),
        ):
            done.result()
    hits = disk.hits + servers.hits
    return SearchReport(
        files=disk.files,
        bytes=disk.read_bytes + servers.read_bytes,
        tables=servers.tables,
        rows=servers.rows,
        planted=len(planted),
        hits=tuple(Hit(where, kind, count) for (where, kind), count in sorted(hits.items())),
        unsearched=(*disk.unsearched, *servers.unsearched),
        took=timedelta(seconds=time.monotonic() - started),
    )


@dataclass
class _Sweep:
    """One search in progress: what was seen so far."""

    planted: Planted
    files: int = 0
    read_bytes: int = 0
    tables: int = 0
    rows: int = 0
    hits: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    unsearched: list[str] = field(default_factory=list)

    def search_files(self, paths: Iterable[Path]) -> None:
        """Every file at or below the paths: its name, as it is, what it holds if it is packed."""
        names = Scanner(self.planted)
        paths = list(paths)
        self.unsearched.extend(str(path) for path in paths if not path.exists())
        for file in files_under(paths):
            self.files += 1
            names.feed(f"{file}\n".encode())
            self._search_file(file, raw_pieces(file), str(file))
            self._search_file(file, expanded_pieces(file), f"{file} (unpacked)")
        self._note("names of files", names)

    def search_servers(self, dsns: Iterable[str]) -> None:
        """Every table of every database of the servers."""
        for dsn in dsns:
            for database in databases_behind(dsn):
                with closing(connect(make_dsn(dsn, dbname=database))) as opened:
                    opened.autocommit = True
                    for of in tables_in(opened):
                        self._search_table(opened, database, of)

    def _search_file(self, file: Path, pieces: Iterator[bytes], where: str) -> None:
        scanner = Scanner(self.planted)
        try:
            for piece in pieces:
                self._feed(scanner, piece)
        except UNREADABLE:
            if file.exists():
                self.unsearched.append(where)
        self._note(where, scanner)

    def _search_table(self, opened: Connection, database: str, of: TableName) -> None:
        scanner = Scanner(self.planted)
        where = f"{database}: {of}"
        rows = Rows(lambda piece: self._feed_rows(scanner, piece))
        try:
            copy_rows(opened, of, rows)
        except psycopg2.errors.UndefinedTable:
            return  # dropped meanwhile
        except psycopg2.Error:
            self.unsearched.append(where)
        self.tables += 1
        self.rows += rows.count
        self._note(where, scanner)

    def _feed_rows(self, scanner: Scanner, rows: bytes) -> None:
        self._feed(scanner, rows)
        for expanded in packed_in(rows):
            scanner.feed(b"\n" + expanded + b"\n")

    def _feed(self, scanner: Scanner, piece: bytes) -> None:
        self.read_bytes += len(piece)
        # empty pages are compared much faster than they are searched
        scanner.feed(piece if piece != _NOTHING[: len(piece)] else b"\0")

    def _note(self, where: str, scanner: Scanner) -> None:
        scanner.end()
        for kind, count in scanner.found.items():
            self.hits[where, kind] += count
