"""Documents: nothing stands in a JSON document that the policy does not name.

Here: the condition on a jsonb value, recursively along the recorded paths. Not here: what a masked
value at a path looks like (formats.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from analytics_replica.masking.proof.formats import format_of
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.identifiers import Sql
from analytics_replica.settings.paths import parse_path

Rule = str | Mapping[str, Any]
"""What is recorded for a path: keep, or a mask with its options."""


@dataclass
class _Place:
    """What may stand at one place of a document."""

    rule: Rule | None = None
    names: dict[str, _Place] = field(default_factory=dict)
    items: _Place | None = None


def document_fault(paths: Mapping[str, Rule], document: Sql) -> Sql:
    """A condition on a jsonb value that is true if anything in it is not as the paths say."""
    root = _Place()
    for path, rule in paths.items():
        place = root
        for step in parse_path(path):
            if step is None:
                place.items = place.items or _Place()
                place = place.items
            else:
                place = place.names.setdefault(step, _Place())
        place.rule = rule
    inside = _object_fault(root, document, 0)
    return sql.compose(
        "case jsonb_typeof({document}) when 'object' then {inside} else {document} is not null end",
        document=document,
        inside=inside,
    )


def without(paths: Mapping[str, Rule], document: Sql) -> Sql:
    """The document without what stands at these paths; of an array, without all of it."""
    for path in paths:
        steps: list[str] = []
        for step in parse_path(path):
            if step is None:
                break
            steps.append(step)
        names = sql.join(", ", (sql.literal(step) for step in steps))
        document = sql.compose("({rest} #- array[{names}]::text[])", rest=document, names=names)
    return document


def _fault(place: _Place, value: Sql, depth: int) -> Sql:
    is_object = _object_fault(place, value, depth) if place.names else sql.compose("true")
    return sql.compose(
        "case coalesce(jsonb_typeof({value}), 'null') when 'null' then false "
        "when 'object' then {is_object} when 'array' then {is_array} else {is_scalar} end",
        value=value,
        is_object=is_object,
        is_array=_array_fault(place, value, depth),
        is_scalar=_scalar_fault(place, value),
    )


def _object_fault(place: _Place, value: Sql, depth: int) -> Sql:
    names = sql.join(", ", (sql.literal(name) for name in place.names))
    unknown = sql.compose("({value} - array[{names}]::text[]) <> '{{}}'", value=value, names=names)
    return sql.compose(
        "({parts})", parts=sql.join(" or ", (unknown, *_named_faults(place, value, depth)))
    )


def _named_faults(place: _Place, value: Sql, depth: int) -> Iterator[Sql]:
    for name, inner in place.names.items():
        at = sql.compose("({value} -> {name})", value=value, name=sql.literal(name))
        yield sql.compose("({fault})", fault=_fault(inner, at, depth))


def _array_fault(place: _Place, value: Sql, depth: int) -> Sql:
    if place.items is None:
        return sql.compose("true")
    item = sql.name(f"item {depth}")
    return sql.compose(
        "exists (select from jsonb_array_elements({value}) as {item}(value) where {fault})",
        value=value,
        item=item,
        fault=_fault(place.items, sql.compose("{item}.value", item=item), depth + 1),
    )


def _scalar_fault(place: _Place, value: Sql) -> Sql:
    if place.rule == "keep":
        return sql.compose("false")
    if not isinstance(place.rule, Mapping):
        return sql.compose("true")
    if place.rule["mask"] == "json":
        # A document inside a text: it is looked through like kept text, not walked.
        return sql.compose("false")
    text = sql.compose("({value} #>> '{{}}')", value=value)
    return format_of(str(place.rule["mask"]), place.rule, text).fault
