"""Masks across columns: what a foreign key gives away, and what must stay unique.

Here: refusing treatments that are right for each column and wrong together. Pure. Not here: reading
keys (source.copy_catalog), single columns (policy.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analytics_replica.domain.tables import Reference, Relations, TableName
from analytics_replica.errors import PolicyViolation
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.treatments import Kind, Treatment
from analytics_replica.settings.rules import Mask


@dataclass(frozen=True, slots=True)
class Clash:
    """A column whose treatment does not go with another's: what is wrong, why, what to do."""

    table: TableName
    column: str
    what: str
    why: str
    then: str


def require_together(policy: Policy, relations: Relations) -> None:
    """PolicyViolation if two treatments do not go together on these tables (see `clashes`)."""
    for clash in clashes(policy, relations):
        raise PolicyViolation(
            what=f"{clash.table}.{clash.column} {clash.what}.",
            why=f"{clash.why} Nothing was copied.",
            next=clash.then,
        )


def clashes(policy: Policy, relations: Relations) -> Iterator[Clash]:
    """Every column whose treatment does not go with another's, of the policy's tables.

    A column that refers to a masked key must be masked as the key is, or not pass at all: kept, it
    would give the key away; masked otherwise, it would join with nothing. What is unique in
    production may not become equal, except that a normalised token may join what is one person's.
    """
    yield from _references(policy, relations)
    yield from _uniques(policy, relations)


def _references(policy: Policy, relations: Relations) -> Iterator[Clash]:
    for reference in relations.references:
        if not {reference.table, reference.to} <= policy.tables.keys():
            continue
        key = policy.treatment(reference.to, reference.to_column)
        here = policy.treatment(reference.table, reference.column)
        if key.kind is not Kind.MASK or _says_nothing(here) or _same(key, here):
            continue
        yield _refused(reference, key, here)


def _refused(reference: Reference, key: Treatment, here: Treatment) -> Clash:
    harm = (
        "it would give away what the mask hides"
        if here.kind is Kind.KEEP
        else "its values would join with nothing"
    )
    return Clash(
        reference.table,
        reference.column,
        what=f"is {here.describe()}, but it refers to {reference.to}.{reference.to_column}, which "
        f"is {key.describe()}: {harm}",
        why="A mask on a key is the mask of every column that refers to it.",
        then=f"Give {reference.table}.{reference.column} the same mask and domain in replica.yaml, "
        "or drop it.",
    )


def _uniques(policy: Policy, relations: Relations) -> Iterator[Clash]:
    for table, columns in relations.unique:
        if table not in policy.tables:
            continue
        for column in columns:
            if (name := _merging(policy, table, column)) is not None:
                yield Clash(
                    table,
                    column,
                    what=f"is part of what is unique in production ({', '.join(columns)}), and "
                    f"mask {name} would make different values equal",
                    why="Whoever counts or joins on it would count people as one.",
                    then="Use token (hex or uuid), email, null, or drop.",
                )


def _merging(policy: Policy, table: TableName, column: str) -> str | None:
    """The mask that makes different values of the column equal; None if it may stay."""
    mask = policy.treatment(table, column).mask
    if mask is None or mask.name == "null":
        return None
    if mask.name in ("token", "email"):
        return "token as int64" if mask.as_ == "int64" else None
    return mask.name


def _says_nothing(done: Treatment) -> bool:
    nothing = done.mask is not None and done.mask.name in ("null", "constant")
    return nothing or done.kind in (Kind.DROP, Kind.SEALED)


def _same(key: Treatment, here: Treatment) -> bool:
    return here.mask is not None and _bare(here.mask) == _bare(key.mask)


def _bare(mask: Mask | None) -> Mask | None:
    return None if mask is None else mask.model_copy(update={"class_": None})
