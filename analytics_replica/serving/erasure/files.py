"""Searching files: landing's Parquet, page-decoded by DuckDB, and others by their bytes.

Here: which files there are, whether a manifest names them or not, and what is in them. Not here:
databases (warehouse.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from analytics_replica.domain.batches import EXACT_PREFIX, SYSTEM_COLUMNS, Manifest
from analytics_replica.errors import ReplicaError
from analytics_replica.landing.copy_area import copies_folder
from analytics_replica.landing.layout import DATA, Store, data_path
from analytics_replica.landing.manifest import manifests
from analytics_replica.postgres.identifiers import (
    Sql,
    column_label,
    compose,
    join,
    literal,
    type_name,
)
from analytics_replica.serving.erasure.recorded import files_of
from analytics_replica.serving.erasure.search import Hit, Searched
from analytics_replica.serving.erasure.traces import Person
from analytics_replica.settings.load import Settings
from analytics_replica.staging.workbench import Workbench, workbench_of

CHUNK: Final = 2**22

_COUNT: Final = "select count(*) {counts} from {files}"
_ONE: Final = ", count_if(coalesce({condition}, false))"
_INSIDE: Final = "contains({column}::varchar, {text})"
_EQUAL: Final = "{column} in ({values})"
_READ: Final = "try_cast({text} as {type})"
_BYTES: Final = "unhex({digits})"

_PRINTED_BYTES: Final = re.compile(r"\\x(?:[0-9a-f]{2})*")

_NO_TEXT: Final = ("BOOLEAN", "DATE", "TIME", "FLOAT", "DOUBLE", "INTERVAL")


def search_landing(
    settings: Settings, person: Person, gone: Callable[[Manifest | None], str]
) -> Searched:
    """Searches every file that a manifest names, and every other Parquet file in landing.

    Those are left by crashes, set aside, or of copies that wait. `gone` says of a batch (None: of
    none) when what is found in it goes.
    """
    hits: list[Hit] = []
    unreadable: list[str] = []
    files = rows = 0
    named: set[str] = set()
    with workbench_of(settings) as bench:
        store = bench.store
        for manifest, file in ((m, file) for m in manifests(store) for file in files_of(m)):
            named.add(file.path)
            where = f"batch {manifest.sequence}, {file.table}"
            own = file.table == person.table
            if own and person.misses_key([landed.column.name for landed in file.columns]):
                unreadable.append(f"{where} (it lacks a column of the key)")
            count, found = _search(bench, bench.files([file.path]), person, own=own)
            files, rows = files + 1, rows + count
            hits += [Hit(f"{where}.{c}", what, n, gone(manifest)) for c, what, n in found]
        for path in _others(store, named):
            files += 1
            try:
                count, found = _search(bench, _alone(path), person, own=_is_of(person, path))
            except ReplicaError:
                unreadable.append(f"{path} (it is not complete)")
                continue
            rows += count
            hits += [Hit(f"{path}, {c}", what, n, gone(None)) for c, what, n in found]
    return Searched(
        "landing",
        files=files,
        rows=rows,
        hits=tuple(hits),
        unreadable=tuple(unreadable),
        not_searched=person.why_not_searched(by_row=True),
    )


def search_bytes(store: str, folders: Iterable[Path], person: Person, gone: str) -> Searched:
    """Searches all files below these folders for the tokens, as UTF-8, without decompressing."""
    wanted = [trace.text.encode() for trace in person.wide]
    if not wanted:
        return Searched(store, not_searched=person.why_not_searched())
    hits: list[Hit] = []
    unreadable: list[str] = []
    files = size = 0
    for path in sorted({p for folder in folders for p in folder.rglob("*") if p.is_file()}):
        try:
            count, read = _count_in(path, wanted)
        except OSError as cause:
            unreadable.append(f"{path.name} (errno {cause.errno})")
            continue
        files, size = files + 1, size + read
        hits += [Hit(str(path), "a token", count, gone)] if count else []
    return Searched(
        store,
        files=files,
        rows=size,
        hits=tuple(hits),
        unreadable=tuple(unreadable),
        not_searched=person.why_not_searched(),
    )


def _count_in(path: Path, wanted: Sequence[bytes]) -> tuple[int, int]:
    count = size = 0
    keep = max(map(len, wanted)) - 1
    tail = b""
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            size += len(chunk)
            window = tail + chunk
            count += sum(window.count(one) - tail.count(one) for one in wanted)
            tail = window[-keep:] if keep else b""
    return count, size


def _others(store: Store, named: set[str]) -> list[str]:
    """Files that no manifest names, by the address that DuckDB reads."""
    folders = [store.home]
    copies = copies_folder(store)
    if copies.is_dir() and not copies.is_relative_to(store.home):
        folders.append(copies)
    found = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _may_hold_rows(path) and _relative(store, path) not in named
    ]
    if store.local is None:
        orphans = (path for path in store.matching("data/*/*/*.parquet") if path not in named)
        return [
            *(str(path) for path in found),
            *(str(store.filesystem.unstrip_protocol(store.full(path))) for path in orphans),
        ]
    return [str(path) for path in found]


def _may_hold_rows(path: Path) -> bool:
    """Parquet, finished or not: our unfinished files have no suffix, or `.unfinished`."""
    return (
        path.stat().st_size > 0
        and path.suffix in {".parquet", ".unfinished", ""}
        and (path.suffix != "" or path.parent.name in {"unfinished", "folding"})
    )


def _relative(store: Store, path: Path) -> str:
    base = store.local
    inside = base is not None and path.is_relative_to(base)
    return str(path.relative_to(base)) if inside and base is not None else str(path)


def _is_of(person: Person, path: str) -> bool:
    """Whose rows a file has that no manifest names is known by its folder, else assumed."""
    folder = Path(path).parts[-4:-1]
    return folder[:1] != (DATA,) or folder == Path(data_path(person.table, 0, 0)).parts[:-1]


def _alone(path: str) -> Sql:
    escaped = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
    return compose("read_parquet({path})", path=literal(escaped))


def _search(
    bench: Workbench, files: Sql, person: Person, *, own: bool
) -> tuple[int, list[tuple[str, str, int]]]:
    types = bench.types(compose("select * from {files}", files=files))
    asked: list[tuple[str, str, Sql]] = []
    wide = [trace.text for trace in person.wide]
    for column, kind in types.items():
        if column in SYSTEM_COLUMNS:
            continue
        if wide and not kind.startswith(_NO_TEXT):
            asked.append((column, "a token", _inside(column, wide)))
        if narrow := person.narrow_in(column):
            asked.append((column, "the key or a kept value", _equal(types, column, narrow)))
    if own and person.has_key(types):
        parts = [_equal(types, column, texts) for column, texts in person.key.items()]
        asked.append((", ".join(person.key), "an event of the row", join(" and ", parts)))
    counts = join("", (compose(_ONE, condition=condition) for _, _, condition in asked))
    found = bench.rows(compose(_COUNT, counts=counts, files=files))[0]
    hits = [(c, what, n) for (c, what, _), n in zip(asked, found[1:], strict=True) if n]
    return int(found[0]), hits


def _inside(column: str, texts: Sequence[str]) -> Sql:
    label = column_label(column)
    return join(" or ", (compose(_INSIDE, column=label, text=literal(t)) for t in texts))


def _equal(types: Mapping[str, str], column: str, texts: Sequence[str]) -> Sql:
    """The column has one of these values, in its own type or as the exact text beside it."""
    values = join(", ", (_value(types[column], text) for text in texts))
    parts = [compose(_EQUAL, column=column_label(column), values=values)]
    if (exact := EXACT_PREFIX + column) in types:
        plain = join(", ", map(literal, texts))
        parts.append(compose(_EQUAL, column=column_label(exact), values=plain))
    return compose(
        "({either})", either=join(" or ", (compose("coalesce({c}, false)", c=c) for c in parts))
    )


def _value(kind: str, text: str) -> Sql:
    """The text as a value of the column's type; NULL if it is none."""
    if kind == "BLOB":
        digits = text[2:] if _PRINTED_BYTES.fullmatch(text) else None
        return compose("null") if digits is None else compose(_BYTES, digits=literal(digits))
    return compose(_READ, text=literal(text), type=type_name(kind.lower()))
