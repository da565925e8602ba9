"""Questions: what is asked of one column of a table, from its treatment and its type.

Here: turning a treatment into what is counted. Not here: counting (scan.py), judging the counts
(tables.py, models.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics_replica.masking.proof import personal
from analytics_replica.masking.proof.documents import document_fault, without
from analytics_replica.masking.proof.formats import Format, format_of
from analytics_replica.masking.treatments import recorded
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.identifiers import Sql

KEPT: Final = frozenset({"keep", "redact", "email_domain"})
"""Treatments under which texts are also looked through for personal values."""

HARMLESS: Final = frozenset(
    {
        *("boolean", "smallint", "integer", "real", "oid", "date", "uuid", "money", "bytea"),
        *("inet", "cidr", "macaddr", "macaddr8", "pg_lsn"),
        *("point", "line", "lseg", "box", "path", "polygon", "circle"),
    }
)
"""Types whose values are no text that parses as an address or a number of a person."""

_NUMBERS: Final = ("bigint", "numeric")
_TIMES: Final = ("timestamp", "time ", "time(", "interval", "bit", "double precision")


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted of a column: `asked` values and those of them `faulty`, as integers."""

    column: str
    says: str
    faulty: Sql
    asked: Sql
    chance: float = 0


@dataclass(frozen=True, slots=True)
class Look:
    """The column's values as texts, to be looked through for personal ones; and a quick test."""

    column: str
    text: Sql
    suspicious: Sql


def questions_of(column: str, treatment: str) -> Iterator[Question]:
    """What is asked of a masked or sealed column; nothing of a kept one.

    ValueError if the treatment was not recorded by this release.
    """
    mask, options = recorded(treatment)
    if mask == "keep":
        return
    value = sql.name(column)
    if mask == "json":
        document = sql.compose("{value}::jsonb", value=value)
        fault = document_fault(options.get("paths", {}), document)
        yield _rows(column, f"do not look like {treatment}", fault)
        return
    if options.get("elements"):
        element = format_of(mask, options, sql.compose("element::text"))
        yield from _of_elements(column, treatment, element)
        return
    made = format_of(mask, options, sql.compose("{value}::text", value=value))
    yield _rows(column, f"do not look like {treatment}", made.fault)
    if made.odd is not None:
        asked = sql.compose("count({value})", value=value)
        says = f"look as if {treatment} had not made them"
        yield Question(column, says, _count(made.odd), asked, made.chance)


def look_of(
    column: str, type_name: str, treatment: str, allowed_paths: Mapping[str, Any]
) -> Look | None:
    """How the column is looked through for personal values; None if it cannot hold any."""
    mask, options = recorded(treatment)
    paths = options.get("paths", {})
    rules = [rule if isinstance(rule, str) else rule["mask"] for rule in paths.values()]
    if mask not in KEPT and not (mask == "json" and {*rules} & {*KEPT, "json"}):
        return None
    return look_at(column, type_name, allowed_paths if type_name in ("json", "jsonb") else {})


def look_at(column: str, type_name: str, allowed_paths: Mapping[str, Any]) -> Look | None:
    """How a column of this type is looked through, whatever its treatment."""
    value, base = sql.name(column), type_name.removesuffix("[]")
    own = '."' in type_name  # made after a type of production's own, whatever its schema is called
    if not own and (base in HARMLESS or base.startswith(_TIMES)):
        return None
    text = sql.compose("{value}::text", value=value)
    if not own and type_name.startswith(_NUMBERS) and not type_name.endswith("[]"):
        # A card's number; shorter ones say nothing, and times in ms or µs begin with 1.
        large = sql.compose(
            "{value} between {low} and {high} and left({value}::text, 1) between '2' and '6'",
            value=value,
            low=sql.number(2 * 10**12),
            high=sql.number(7 * 10**18),
        )
        return Look(column, text, large)
    if allowed_paths:
        document = sql.compose("{value}::jsonb", value=value)
        text = sql.compose("{rest}::text", rest=without(allowed_paths, document))
    suspicious = personal.is_suspicious(text)
    if type_name in ("text", "character varying"):
        long = personal.is_long_enough(value)
        suspicious = sql.compose("{long} and {it}", long=long, it=suspicious)
    return Look(column, text, suspicious)


def _of_elements(column: str, treatment: str, element: Format) -> Iterator[Question]:
    value = sql.name(column)
    any_of = "exists (select from unnest({value}) as e(element) where {fault})"
    fault = sql.compose(any_of, value=value, fault=element.fault)
    yield _rows(column, f"have elements that do not look like {treatment}", fault)
    if element.odd is not None:
        count = (
            "coalesce(sum((select count(*) filter (where {condition}) "
            "from unnest({value}) as e(element))), 0)"
        )
        odd = sql.compose(count, condition=element.odd, value=value)
        asked = sql.compose(count, condition=sql.compose("element is not null"), value=value)
        says = f"look as if {treatment} had not made them"
        yield Question(column, says, odd, asked, element.chance)


def _rows(column: str, says: str, fault: Sql) -> Question:
    return Question(column, says, _count(fault), sql.compose("count(*)"))


def _count(condition: Sql) -> Sql:
    return sql.compose("count(*) filter (where {condition})", condition=condition)
