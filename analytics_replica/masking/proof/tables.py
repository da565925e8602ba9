"""The masking proof of staging: a table against what was recorded, and against the policy.

Here: one table's columns, their recorded treatments and the policy's. Not here: what is asked of a
column (questions.py), gold (models.py). Only counts leave the database, never a value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from analytics_replica.domain.batches import RESERVED_PREFIX
from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.proof.extent import FULL_BYTES, Extent, extent_of
from analytics_replica.masking.proof.judgement import ABOUT, judged
from analytics_replica.masking.proof.questions import Look, Question, look_of, questions_of
from analytics_replica.masking.treatments import Treatment, recorded
from analytics_replica.postgres.connect import Connection
from analytics_replica.settings.rules import ColumnRule, Mask

_PASSES: Final = frozenset({"keep", "sealed", "null"})
"""Treatments under which rows of an earlier one are no leak, or have their own format proved."""


@dataclass(frozen=True, slots=True)
class HeldColumn:
    """A column as the ledger has it: its treatment in words, and the one that older rows have."""

    name: str
    treatment: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What replica.yaml keeps although it looks like a person's (`because`)."""

    columns: frozenset[str] = frozenset()
    paths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Column with documents → the paths in them."""

    @classmethod
    def of(cls, rules: Mapping[str, ColumnRule]) -> Allowed:
        """What these resolved rules of a table allow."""
        masks = {name: rule for name, rule in rules.items() if isinstance(rule, Mask)}
        inside = {
            name: {at: inner for at, inner in mask.paths.items() if _is_allowed(inner)}
            for name, mask in masks.items()
        }
        return cls(
            frozenset(name for name, mask in masks.items() if _is_allowed(mask)),
            {name: paths for name, paths in inside.items() if paths},
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the policy says of a table now. `keys` are the ids of all known masking keys."""

    treatments: Mapping[str, Treatment]
    allowed: Allowed = Allowed()
    keys: frozenset[str] = frozenset()


def prove_masking(
    connection: Connection,
    held: TableName,
    columns: Sequence[HeldColumn],
    wanted: Wanted,
    *,
    seed: int = 0,
    full_bytes: int = FULL_BYTES,
) -> Verdict:
    """PASS if every value of the table looks as its treatment promises, now and as recorded.

    Values of kept columns must not parse as a person's either. Scanned in full up to `full_bytes`,
    else in a sample of blocks that `seed` chooses; figures say the smallest leak that is seen. FAIL
    names each column with counts. CANNOT_TELL if the table is not there or cannot be scanned.
    """
    extent = extent_of(connection, held, seed=seed, full_bytes=full_bytes)
    if extent is None:
        return Verdict.cannot_tell(ABOUT, Finding(str(held), "the table does not exist"))
    known = {column.name: column for column in columns}
    faults = [
        *(fault for c in columns for fault in _against_policy(held, c, wanted)),
        *_strangers(extent, known),
    ]
    missing = [column.name for column in columns if column.name not in extent.types]
    if missing:
        reason = f"the ledger has columns that the table has not: {', '.join(missing)}"
        return Verdict.cannot_tell(ABOUT, Finding(str(held), reason))
    questions, looks, unreadable = _asked(held, extent, columns, wanted)
    waiting = _waiting(columns, wanted)
    return judged(
        connection,
        extent,
        questions,
        looks,
        [*faults, *unreadable],
        masked_columns=len({q.column for q in questions}),
        searched_columns=len(looks),
        allowed_columns=len(wanted.allowed.columns & known.keys()),
        **({"rotation_pending": ", ".join(waiting)} if waiting else {}),
    )


def _asked(
    held: TableName, extent: Extent, columns: Sequence[HeldColumn], wanted: Wanted
) -> tuple[list[Question], list[Look], list[Finding]]:
    questions: list[Question] = []
    looks: list[Look] = []
    unreadable: list[Finding] = []
    for column in columns:
        name, treatment = column.name, column.treatment
        try:
            questions += questions_of(name, treatment)
            paths = wanted.allowed.paths.get(name, {})
            look = look_of(name, extent.types[name], treatment, paths)
        except (ValueError, KeyError):
            says = f"was landed as {treatment}, which this release cannot read"
            unreadable.append(Finding(f"{held}.{name}", says))
            continue
        if look is not None and name not in wanted.allowed.columns:
            looks.append(look)
    return questions, looks, unreadable


def _against_policy(held: TableName, column: HeldColumn, wanted: Wanted) -> Iterator[Finding]:
    done = wanted.treatments.get(column.name)
    says = "sealed" if done is None else done.describe()
    where = f"{held}.{column.name}"
    if not _is_same(column.treatment, says, wanted.keys):
        yield Finding(where, f"was landed as {column.treatment}, but the policy says {says}")
    before = column.before
    if before is None or before.split(":")[0] in _PASSES or says.split(":")[0] in _PASSES:
        return
    if not _is_same(before, says, wanted.keys):
        yield Finding(where, f"has rows that were landed as {before}; now it is {says}")


def _is_same(landed: str, says: str, keys: Collection[str]) -> bool:
    """Whether both are one treatment, but for a key that is known."""
    if landed == says:
        return True
    (mask, options), (wanted, now) = _parts(landed), _parts(says)
    key = options.pop("key", None)
    has_key = now.pop("key", None) is not None
    return mask == wanted and options == now and has_key and key in keys


def _parts(treatment: str) -> tuple[str, dict[str, Any]]:
    try:
        mask, options = recorded(treatment)
    except ValueError:
        return treatment, {}
    return mask, dict(options)


def _waiting(columns: Sequence[HeldColumn], wanted: Wanted) -> list[str]:
    """The columns that still have rows under an older key."""
    found = []
    for column in columns:
        done = wanted.treatments.get(column.name)
        if done is not None and done.keyed:
            texts = {column.treatment, column.before or column.treatment} - {done.describe()}
            if any(_is_same(text, done.describe(), wanted.keys) for text in texts):
                found.append(column.name)
    return found


def _strangers(extent: Extent, known: Collection[str]) -> Iterator[Finding]:
    for name in extent.types:
        if name not in known and not name.startswith(RESERVED_PREFIX):
            yield Finding(f"{extent.held}.{name}", "is no column that was landed")


def _is_allowed(rule: ColumnRule) -> bool:
    return isinstance(rule, Mask) and rule.mask == "keep"
