"""Searching files: landing's Parquet, page-decoded by DuckDB, and others by their bytes.

Here: which files there are, whether a manifest names them or not, and what is in them. Not here:
databases (warehouse.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from analytics_replica.domain.batches import SYSTEM_COLUMNS, Manifest
from analytics_replica.errors import ReplicaError
from analytics_replica.landing.copy_area import copies_folder
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import manifests
from analytics_replica.postgres.identifiers import Sql, column_label, compose, join, literal
from analytics_replica.serving.erasure.search import Hit, Searched
from analytics_replica.serving.erasure.traces import Person
from analytics_replica.settings.load import Settings
from analytics_replica.staging.workbench import Workbench, workbench_of

CHUNK: Final = 2**22

_COUNT: Final = "select count(*) {counts} from {files}"
_ONE: Final = ", count_if(coalesce({condition}, false))"
_INSIDE: Final = "contains({column}::varchar, {text})"
_EQUAL: Final = "{column}::varchar in ({texts})"

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
        for manifest in manifests(store):
            for file in manifest.files:
                named.add(file.path)
                own = file.table == person.table
                found = _search(bench, bench.files([file.path]), person, own=own)
                files, rows = files + 1, rows + found[0]
                hits += [
                    Hit(
                        f"batch {manifest.sequence}, {file.table}.{column}", what, n, gone(manifest)
                    )
                    for column, what, n in found[1]
                ]
        for path in _others(store, named):
            files += 1
            try:
                found = _search(bench, _alone(path), person, own=_is_of(person, path))
            except ReplicaError:
                unreadable.append(f"{path} (it is not complete)")
                continue
            rows += found[0]
            hits += [Hit(f"{path}, {c}", what, n, gone(None)) for c, what, n in found[1]]
    return Searched(
        "landing", files=files, rows=rows, hits=tuple(hits), unreadable=tuple(unreadable)
    )


def search_bytes(store: str, folders: Iterable[Path], person: Person, gone: str) -> Searched:
    """Searches all files below these folders for the tokens, as UTF-8, without decompressing."""
    wanted = [trace.text.encode() for trace in person.wide]
    if not wanted:
        return Searched(store, not_searched="the key is kept as it is, and too short for a search")
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
    return Searched(store, files=files, rows=size, hits=tuple(hits), unreadable=tuple(unreadable))


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
    parts = Path(path).parts
    return "data" not in parts or parts[-3:-1] == (person.table.schema, person.table.name)


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
        narrow = [t.text for t in person.traces if not t.wide and column in t.columns]
        if narrow:
            asked.append((column, "the key or a kept value", _equal(column, narrow)))
    for key in person.keys if own else ():
        if key and key.keys() <= types.keys():
            parts = [_equal(column, [text]) for column, text in key.items()]
            asked.append((", ".join(key), "an event of the row", join(" and ", parts)))
    counts = join("", (compose(_ONE, condition=condition) for _, _, condition in asked))
    found = bench.rows(compose(_COUNT, counts=counts, files=files))[0]
    hits = [(c, what, n) for (c, what, _), n in zip(asked, found[1:], strict=True) if n]
    return int(found[0]), hits


def _inside(column: str, texts: Sequence[str]) -> Sql:
    label = column_label(column)
    return join(" or ", (compose(_INSIDE, column=label, text=literal(t)) for t in texts))


def _equal(column: str, texts: Sequence[str]) -> Sql:
    return compose(_EQUAL, column=column_label(column), texts=join(", ", map(literal, texts)))
