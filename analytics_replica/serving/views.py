"""The views that analysts read: names, column lists and comments that never change under them.

Here: what a published view promises, and the statements that point it at an edition, decided
without touching anything. Not here: executing them (publish.py), reading the catalog
(relations.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from analytics_replica.errors import PublishRefused
from analytics_replica.postgres.identifiers import Sql, compose, join, literal, name
from analytics_replica.serving.editions import ANALYTICS, Edition
from analytics_replica.serving.relations import Relation

PREPARING: Final = frozenset({"base", "intermediate"})
"""Folders below models/ whose models readers never see."""

_POINT = """
-- the same view with the same columns over another edition: grants and dependents stay
create or replace view {schema}.{view} as
select {columns}
from {edition}.{view}
"""


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """A view that readers were promised: its name, its columns in order, what they mean."""

    name: str
    columns: tuple[str, ...]
    description: str = ""
    column_descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ViewChange:
    """The statements that point one view at an edition.

    `is_news` says that readers would see another contract: a new view, column or comment.
    """

    name: str
    statements: tuple[Sql, ...]
    is_news: bool = False


def views_of_manifest(manifest: Mapping[str, Any]) -> tuple[ViewSpec, ...]:
    """The views that dbt's manifest.json promises: one for each gold model, by name.

    Gold is what stands in no folder below models/ that only prepares it (base, intermediate).
    Columns come in the order of the model's YAML. PublishRefused for a model that lists none.
    """
    return tuple(
        sorted(
            (_view_of(node) for node in manifest["nodes"].values() if _is_gold(node)),
            key=lambda view: view.name,
        )
    )


def plan_publication(
    edition: Edition,
    wanted: Sequence[ViewSpec],
    built: Mapping[str, Relation],
    existing: Mapping[str, Relation],
) -> tuple[ViewChange, ...]:
    """What must be executed so that the wanted views read this edition.

    `built` are the edition's tables, `existing` the views that readers have now. Columns that
    readers have keep their place; new ones are appended. PublishRefused, naming every fault at
    once, if a model was not built, or readers would lose a view, a column or a type.
    """
    names = {view.name for view in wanted}
    faults = [
        f"{view} is published, but gold has no such model" for view in existing.keys() - names
    ]
    for view in wanted:
        faults += _faults(view, built.get(view.name), existing.get(view.name))
    if faults:
        raise _incompatible(edition, sorted(faults))
    return tuple(_change(edition, view, existing.get(view.name)) for view in wanted)


def plan_rollback(
    edition: Edition, built: Mapping[str, Relation], existing: Mapping[str, Relation]
) -> tuple[ViewChange, ...]:
    """What must be executed so that the existing views read this older edition.

    A column that is younger than the edition reads as null. PublishRefused if a whole view is
    younger, or a type differs.
    """
    faults, changes = [], []
    for view in existing.values():
        table = built.get(view.name)
        if table is None:
            faults.append(f"{view.name} is younger than {edition}")
            continue
        faults += _retyped(view.name, table, view)
        columns = [_column_or_null(c.name, c.type_name, table) for c in view.columns]
        point = _point(edition, view.name, columns)
        changes.append(ViewChange(view.name, (point,)))
    if faults:
        raise _incompatible(edition, sorted(faults))
    return tuple(changes)


def _faults(view: ViewSpec, table: Relation | None, published: Relation | None) -> list[str]:
    if table is None:
        return [f"the table of {view.name} was not built"]
    faults = [
        f"{view.name}.{column} is in the contract, but was not built"
        for column in view.columns
        if column not in table.types
    ]
    if published is not None:
        faults += [
            f"{view.name}.{column} would be removed"
            for column in published.types
            if column not in view.columns
        ]
        faults += _retyped(view.name, table, published)
    return faults


def _retyped(view: str, table: Relation, published: Relation) -> Iterable[str]:
    for column, now in published.types.items():
        built = table.types.get(column, now)
        if built != now:
            yield f"{view}.{column} would change from {now} to {built}"


def _incompatible(edition: Edition, faults: Sequence[str]) -> PublishRefused:
    return PublishRefused(
        what=f"{edition} cannot be published: {'; '.join(faults)}.",
        why="Readers were promised names and types that do not change under them, so nothing was "
        "changed and they keep the last edition.",
        next="Build the models that are missing. For a change of contract, give the model a new "
        f"name, and drop the old view from schema {ANALYTICS} once nobody reads it.",
    )


def _change(edition: Edition, view: ViewSpec, published: Relation | None) -> ViewChange:
    kept = tuple(published.types) if published else ()
    added = tuple(column for column in view.columns if column not in kept)
    point = _point(edition, view.name, [name(column) for column in kept + added])
    comments = tuple(_comments(view, published))
    return ViewChange(view.name, (point, *comments), is_news=bool(added or comments))


def _point(edition: Edition, view: str, columns: Iterable[Sql]) -> Sql:
    return compose(
        _POINT,
        schema=name(ANALYTICS),
        view=name(view),
        columns=join(", ", columns),
        edition=name(edition.value),
    )


def _column_or_null(column: str, type_name: str, table: Relation) -> Sql:
    if column in table.types:
        return name(column)
    # The type is format_type's own spelling from the catalog, which quotes what needs it.
    return compose("null::{kind} as {column}", kind=Sql(type_name), column=name(column))


def _comments(view: ViewSpec, published: Relation | None) -> Iterable[Sql]:
    target = compose("{schema}.{view}", schema=name(ANALYTICS), view=name(view.name))
    if view.description != (published.comment if published else ""):
        text = literal(view.description)
        yield compose("comment on view {target} is {text}", target=target, text=text)
    said = {c.name: c.comment for c in published.columns} if published else {}
    for column in view.columns:
        meaning = view.column_descriptions.get(column, "")
        if meaning != said.get(column, ""):
            yield compose(
                "comment on column {target}.{column} is {text}",
                target=target,
                column=name(column),
                text=literal(meaning),
            )


def _is_gold(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] == "model" and node["fqn"][1] not in PREPARING


def _view_of(node: Mapping[str, Any]) -> ViewSpec:
    columns = node["columns"]
    if not columns:
        raise PublishRefused(
            what=f"The gold model {node['name']} lists no columns.",
            why="A published view pins its columns to the model's contract, and there is none.",
            next=f"List the columns with their types in the YAML beside {node['path']}.",
        )
    return ViewSpec(
        name=node["alias"],
        columns=tuple(columns),
        description=_one_line(node["description"]),
        column_descriptions={c: _one_line(d["description"]) for c, d in columns.items()},
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
