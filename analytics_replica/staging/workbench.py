"""DuckDB as the place where landed files are looked through: bounded memory, private spill.

Here: one in-memory database with its limits, and reading landed files in it. Not here: what is
asked of them (compact.py, lineage.py, multiset.py).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from analytics_replica.errors import LandingBroken, LandingFull, ReplicaError, SettingsInvalid
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import Store
from analytics_replica.postgres.identifiers import Sql, compose, join, literal
from analytics_replica.settings.load import Settings

MEGABYTE: Final = 2**20

_SPILL: Final = "analytics-replica-spill-"
_OWNER: Final = "owner"

BATCH_ROWS: Final = 20_000
"""Rows that are handed on at once. 5 to 100 thousand load equally fast (measured 2026-11)."""


@dataclass(frozen=True)
class Workbench:
    """An in-memory DuckDB that reads landed files of one store."""

    connection: duckdb.DuckDBPyConnection
    store: Store

    def execute(self, statement: Sql) -> None:
        """Runs the statement."""
        with _translated():
            self.connection.execute(statement.text)

    def rows(self, query: Sql) -> list[tuple[Any, ...]]:
        """All rows of the query."""
        with _translated():
            return self.connection.execute(query.text).fetchall()

    def scalar(self, query: Sql) -> Any:
        """The first column of the first row."""
        return self.rows(query)[0][0]

    def reader(self, query: Sql) -> pa.RecordBatchReader:
        """The query's rows as they are computed; nothing else may run until it is read."""
        with _translated():
            computed = self.connection.sql(query.text).to_arrow_reader(BATCH_ROWS)
        return pa.RecordBatchReader.from_batches(computed.schema, _handed_on(computed))

    def types(self, query: Sql) -> dict[str, str]:
        """The query's columns and their DuckDB types, in order."""
        described = self.rows(compose("describe {query}", query=query))
        return {row[0]: row[1] for row in described}

    def files(self, paths: Sequence[str], *, options: Sql | None = None) -> Sql:
        """These landed files as one relation, columns matched by name."""
        listed = join(", ", (literal(self._address(path)) for path in paths))
        return compose(
            "read_parquet([{paths}], union_by_name => true{options})",
            paths=listed,
            options=compose("") if options is None else options,
        )

    def _address(self, path: str) -> str:
        filesystem = self.store.filesystem
        if self.store.local is not None:
            return _without_patterns(self.store.full(path))
        return str(filesystem.unstrip_protocol(_without_patterns(self.store.full(path))))


@contextlib.contextmanager
def workbench(
    store: Store,
    *,
    memory_limit_bytes: int = 512 * MEGABYTE,
    spill_directory: Path | None = None,
) -> Iterator[Workbench]:
    """A workbench on this store; its spill is private and gone when the block ends.

    `spill_directory` is where the private directory is made; default: the system's place for
    temporary files. What spills is masked already. What a killed process left goes, too.
    """
    with _spill(spill_directory or Path(tempfile.gettempdir())) as spill:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit_bytes} bytes",
                "temp_directory": spill,
                # Texts of one batch may be more than the 2 GB that 32-bit offsets reach.
                "arrow_large_buffer_size": "true",
                "preserve_insertion_order": "false",
                # Nothing is fetched from anywhere while rows are looked at.
                "autoinstall_known_extensions": "false",
            }
        )
        try:
            connection.execute("set TimeZone = 'UTC'")
            if store.local is None:
                connection.register_filesystem(store.filesystem)
            yield Workbench(connection, store)
        finally:
            connection.close()


@contextlib.contextmanager
def _spill(place: Path) -> Iterator[str]:
    """A path in a private directory, which is there until the block ends."""
    for left in place.glob(f"{_SPILL}*/{_OWNER}"):
        # One that somebody still holds, or that is another account's, stays.
        with contextlib.suppress(OSError), left.open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    with contextlib.ExitStack() as held:
        with disk_errors("making a place for what does not fit into memory"):
            made = held.enter_context(tempfile.TemporaryDirectory(prefix=_SPILL, dir=place))
            # The system frees it when we die.
            # It has its name only when it is held: nobody finds it free meanwhile.
            owner = held.enter_context((Path(made) / "new").open("w"))
            fcntl.flock(owner, fcntl.LOCK_EX)
            (Path(made) / "new").rename(Path(made) / _OWNER)
        yield str(Path(made) / "pages")


def workbench_of(settings: Settings) -> AbstractContextManager[Workbench]:
    """A workbench on landing, with the memory and the place for its spill that a person decided.

    SettingsInvalid if that place is no directory that we may write to.
    """
    warehouse = settings.replica.warehouse
    place = None
    if warehouse.spill_directory is not None:
        place = settings.path(warehouse.spill_directory)
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise SettingsInvalid(
                what=f"warehouse.spill_directory ({place}) is no directory that we may write to.",
                why="What does not fit into memory could not be kept there; nothing was changed.",
                next="Make the directory, or correct `spill_directory` in replica.yaml.",
            )
    return workbench(
        Store.of(settings),
        memory_limit_bytes=warehouse.memory_mb * MEGABYTE,
        spill_directory=place,
    )


def _without_patterns(path: str) -> str:
    # DuckDB would read these as wildcards; each in brackets of its own is only itself.
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as cause:
        raise _refused(cause, type(cause).__name__) from None


def _handed_on(computed: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; Arrow brings DuckDB's errors as its own, of which only the words tell them."""
    try:
        yield from computed
    except (OSError, pa.ArrowException) as cause:
        raise _refused(cause, "while reading") from None


def _is_out_of_space(cause: Exception) -> bool:
    words = str(cause)
    return "Out of Memory Error" in words or os.strerror(errno.ENOSPC) in words


def _refused(cause: Exception, kind: str) -> ReplicaError:
    # DuckDB's words may quote values, so only the kind of its error goes further.
    if _is_out_of_space(cause):
        return LandingFull(
            what="The memory and the temporary disk for comparing landed files are used up.",
            why="Nothing was changed in staging.",
            next="Free space where temporary files are kept (TMPDIR, or `spill_directory` in "
            "replica.yaml), or raise `warehouse.memory_mb`; then apply again.",
        )
    return LandingBroken(
        what=f"Landed files cannot be read together (DuckDB: {kind}).",
        why="Nothing was changed in staging.",
        next="Check landing with `analytics-replica check`; report this if it passes.",
    )
