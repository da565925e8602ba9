"""What a change of the policy does: column by column, and in words.

Here: comparing two policies. Not here: where the two come from (cli), what a mask does
(strategies). Pure: no server and no key is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analytics_replica.domain.tables import TableName
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import SEALED, Kind, Treatment
from analytics_replica.settings.rules import Mask, masks_in

NOT_CAPTURED: Final = "not captured"


class Direction(StrEnum):
    """What a change does to what can be seen. KEPT: what was masked or dropped passes as it is."""

    KEPT = "now kept"
    LOOSENED = "loosened"
    TIGHTENED = "tightened"
    OTHERWISE = "changed"


_SHOWS: Final[Mapping[str, int]] = {
    "null": 0,
    "constant": 0,
    "token": 2,
    "age_band": 3,
    "phone_country": 3,
    "email_domain": 3,
    "initials": 3,
    "year": 3,
    "network": 3,
    "bucket": 3,
    "last4": 3,
    "email": 4,
    "json": 5,
    "redact": 6,
    "keep": 9,
}
"""How much of a value is left: nothing, only which are equal, a part of each, all but what was
found in it, everything. A column that is dropped or sealed shows nothing either."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to one column before and after, and what follows from it, in words.

    `column` is empty for what concerns the whole table. `republish`: the DBA runs `source sql`
    again. `recopy`: rows that are landed already stay as they are until the table is copied again.
    """

    table: TableName
    column: str
    before: str
    after: str
    direction: Direction
    follows: tuple[str, ...] = ()
    republish: bool = False
    recopy: bool = False


def changes(old: Policy, new: Policy) -> Iterator[Change]:
    """Every difference between two policies, by table and column; none if they treat all alike."""
    for table in sorted({*old.tables, *new.tables}):
        if table not in new.tables:
            yield _left_out(table)
            continue
        if table not in old.tables:
            yield _new_table(table)
        elif (table in old.append_only) != (table in new.append_only):
            yield _append_only(table, new)
        listed = {**old.tables.get(table, {}), **new.tables[table]}
        for column in listed:
            if (change := _column(table, column, old, new)) is not None:
                yield change
    yield from _patterns(old, new)


def _column(table: TableName, column: str, old: Policy, new: Policy) -> Change | None:
    is_new_table = table not in old.tables
    before = SEALED if is_new_table else old.treatment(table, column)
    after = new.treatment(table, column)
    if before.describe() == after.describe():
        return None
    direction = _direction(before, after)
    published = (
        not is_new_table and column in old.published(table),
        column in new.published(table),
    )
    republish = published[0] != published[1]
    shows_any = max(_shown(before), _shown(after)) > (0, 0)
    recopy = not is_new_table and shows_any
    follows = (
        *_warning(direction, before, after),
        *_unlisted(column, old, new, table),
        *_tokens(table, column, old, new),
        *_after(table, republish=republish, recopy=recopy, published=published[1]),
    )
    shown = NOT_CAPTURED if is_new_table else before.describe()
    return Change(table, column, shown, after.describe(), direction, follows, republish, recopy)


def _direction(before: Treatment, after: Treatment) -> Direction:
    if after.kind is Kind.KEEP and before.kind in (Kind.MASK, Kind.DROP):
        return Direction.KEPT
    shown = (_shown(before), _shown(after))
    if shown[1] == shown[0]:
        return Direction.OTHERWISE
    return Direction.LOOSENED if shown[1] > shown[0] else Direction.TIGHTENED


def _shown(done: Treatment) -> tuple[int, int]:
    """How much a treatment leaves, and how finely; comparable with another's."""
    if done.mask is None:
        return (_SHOWS["keep"] if done.kind is Kind.KEEP else 0, 0)
    return _SHOWS[done.mask.name], _fineness(done.mask)


def _fineness(mask: Mask) -> int:
    """How much of a value the options of one and the same mask leave."""
    match mask.name:
        case "json":
            inner = list(mask.paths.values())
            return sum(
                _SHOWS[rule.name if isinstance(rule, Mask) else "keep"] + 1 for rule in inner
            )
        case "network":
            return (mask.v4 or 0) + (mask.v6 or 0)
        case "bucket" | "age_band":
            return -(mask.width or 0)
        case _:
            return 0


def _warning(direction: Direction, before: Treatment, after: Treatment) -> Iterator[str]:
    if direction is Direction.KEPT:
        yield "RED FLAG: values pass as they are"
    elif direction is Direction.LOOSENED:
        passes = after.kind is Kind.KEEP
        yield "values pass as they are" if passes else "more of the value is left than before"
    if after.class_ is not None and after.kind is Kind.KEEP:
        yield f"it is declared as {after.class_}"
    if before.keyed and after.keyed and before.key_id != after.key_id:
        yield f"tokens are made with key {after.key_id} instead of {before.key_id}"


def _unlisted(column: str, old: Policy, new: Policy, table: TableName) -> Iterator[str]:
    if table in old.tables and column in old.tables[table] and column not in new.tables[table]:
        done = new.treatment(table, column)
        yield "no longer listed: " + ("sealed, NULL" if done is SEALED else "a pattern masks it")


def _tokens(table: TableName, column: str, old: Policy, new: Policy) -> Iterator[str]:
    """Which joins by token are lost and gained."""
    lost = _partners(old, table, column)
    gained = _partners(new, table, column)
    if gone := sorted(lost - gained):
        yield "no longer joins with " + _few(gone)
    if came := sorted(gained - lost):
        yield "joins with " + _few(came)
    before, after = (p.tables.get(table, {}).get(column) for p in (old, new))
    if before is None or after is None or not _domains(before) & _domains(after):
        return
    if _forms(before) != _forms(after):
        yield "equal values are normalised or written in another way, so all tokens change"


def _partners(policy: Policy, table: TableName, column: str) -> set[str]:
    mine = _domains(policy.tables.get(table, {}).get(column, SEALED))
    return {
        f"{other}.{name}"
        for other, columns in policy.tables.items()
        for name, done in columns.items()
        if (other, name) != (table, column) and mine & _domains(done)
    }


def _domains(done: Treatment) -> set[tuple[str, str | None]]:
    """What the tokens of a column can be joined by: domain and key."""
    masks = masks_in(done.mask) if done.mask is not None else ()
    return {(mask.domain, done.key_id) for mask in masks if mask.domain is not None}


def _forms(done: Treatment) -> list[tuple[str | None, ...]]:
    masks = masks_in(done.mask) if done.mask is not None else ()
    return [(m.normalise or "none", m.region, m.as_ or "hex") for m in masks if m.domain]


def _after(table: TableName, *, republish: bool, recopy: bool, published: bool) -> Iterator[str]:
    if republish:
        what = "enters" if published else "leaves"
        yield f"{what} the publication: the DBA runs `source sql` again"
    if recopy:
        yield f"rows that are landed already change with `resync {table}`"


def _left_out(table: TableName) -> Change:
    return Change(
        table,
        "",
        "captured",
        NOT_CAPTURED,
        Direction.TIGHTENED,
        ("leaves the publication: the DBA runs `source sql` again",),
        republish=True,
    )


def _new_table(table: TableName) -> Change:
    follows = (
        "enters the publication: the DBA runs `source sql` again",
        f"its rows come with `resync {table}`",
    )
    return Change(table, "", NOT_CAPTURED, "captured", Direction.LOOSENED, follows, republish=True)


def _append_only(table: TableName, new: Policy) -> Change:
    kinds = ("append-only", "current state")
    after, before = kinds if table in new.append_only else reversed(kinds)
    follows = (
        "moves to the other publication: the DBA runs `source sql` again",
        f"rows that are landed already change with `resync {table}`",
    )
    return Change(
        table, "", before, after, Direction.OTHERWISE, follows, republish=True, recopy=True
    )


def _patterns(old: Policy, new: Policy) -> Iterator[Change]:
    before, after = dict(old.patterns), dict(new.patterns)
    for pattern in {**before, **after}:
        was, now = (p.get(pattern, SEALED) for p in (before, after))
        if was.describe() != now.describe():
            yield Change(
                TableName("masking", "patterns"),
                pattern,
                was.describe(),
                now.describe(),
                _direction(was, now),
                ("for columns that no table lists",),
            )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
