"""Labels of enums: which texts come, and the statements that add what a held enum lacks.

Here: reading a window's texts, and where a new label has its place. Not here: when labels are added
and renamed (type_changes.py), which texts are of before a label was renamed (user_types.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from analytics_replica.domain.definitions import Label, UserType
from analytics_replica.postgres.identifiers import Sql, column_label, compose, literal
from analytics_replica.staging.held_types import HeldType, oids_of
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.shapes import ShapeColumn
from analytics_replica.staging.windows import Window
from analytics_replica.staging.workbench import Workbench

_SEEN: Final = "select distinct {column} from {files} where {column} is not null"


def texts_of(bench: Workbench, window: Window, column: str) -> set[str]:
    """The different texts of this column in the window's files."""
    paths = [f.path for f in window.files if column in {c.column.name for c in f.columns}]
    query = compose(_SEEN, column=column_label(column), files=bench.files(paths))
    return {row[0] for row in bench.rows(query)}


def mentioned(labels: Iterable[str], texts: Collection[str], *, array: bool) -> set[str]:
    """Which of the labels the texts are, or may have in them; an array escapes some signs."""
    if not array:
        return set(labels) & set(texts)
    plain = [text.replace("\\", "") for text in texts]
    return {label for label in labels if any(label.replace("\\", "") in text for text in plain)}


def require_clear(
    window: Window, column: ShapeColumn, enum: UserType, doubtful: Collection[str]
) -> None:
    """TableQuarantined if a change of the column may mean one of two labels."""
    if doubtful:
        raise quarantined(
            window.table,
            f"{column.name}: labels of its type {enum.name} were renamed to each other's names, "
            "and which one a change means cannot be told",
        )


def additions(
    target: Sql, described: UserType, held: HeldType, seen: Iterable[str]
) -> Iterable[Sql]:
    """The statements that add what the held enum lacks, each label in its place."""
    texts = {oid: text for text, oid in oids_of(held).items() if oid}
    present = set(held.labels)

    def called(label: Label) -> str:
        return texts.get(label.oid, label.text)

    for place, label in enumerate(described.labels):
        if called(label) in present:
            continue
        after = described.labels[place - 1] if place else None
        before = next((x for x in described.labels if called(x) in present), None)
        beside = after or before
        where = compose("")
        if beside is not None:
            where = compose(
                " {side} {label}",
                side=compose("after" if after is not None else "before"),
                label=literal(called(beside)),
            )
        present.add(label.text)
        yield _add(target, label.text, where)
    for text in seen:
        if text not in present:
            yield _add(target, text, compose(""))


def _add(target: Sql, text: str, where: Sql) -> Sql:
    return compose(
        "alter type {type} add value {label}{where}",
        type=target,
        label=literal(text),
        where=where,
    )
