"""The masking proof of gold: a model's columns against what they are made of.

Here: one relation of an edition and the lineage of its columns. Not here: finding the lineage
(orchestration.gold_lineage), staging (tables.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.masking.proof.extent import FULL_BYTES, extent_of
from analytics_replica.masking.proof.judgement import ABOUT, judged
from analytics_replica.masking.proof.questions import (
    Look,
    Question,
    look_at,
    look_of,
    questions_of,
)
from analytics_replica.masking.treatments import recorded
from analytics_replica.postgres.connect import Connection


@dataclass(frozen=True, slots=True)
class Origin:
    """A staging column that a column is made of, with its treatment in words.

    None if no policy speaks of it; `allowed` if the policy keeps it although it is a person's.
    """

    column: str
    treatment: str | None
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class ColumnOrigin:
    """What a gold column is made of.

    `unchanged` says that its values are those of `origins` as they are; `unread` are the parts of
    which nobody knows where they come from. Made of neither, it is a constant or a count.
    """

    origins: frozenset[Origin] = frozenset()
    unchanged: bool = False
    unread: frozenset[str] = frozenset()


def lineage_faults(model: str, columns: Mapping[str, ColumnOrigin | None]) -> Iterator[Finding]:
    """A finding for each column that is not made of masked or kept columns alone.

    Pure, so that it can be asked in CI. None is a column whose lineage could not be read.
    """
    for name, made in columns.items():
        where = f"{model}.{name}"
        if made is None:
            yield Finding(where, "its lineage cannot be read from the model's SQL")
            continue
        if made.unread:
            parts = ", ".join(sorted(made.unread))
            yield Finding(where, f"is made of {parts}, of which the policy says nothing")
        open_ = sorted(o.column for o in made.origins if _is_unclassified(o))
        if open_:
            yield Finding(where, f"is made of {', '.join(open_)}, which nobody classified")


def prove_model(
    connection: Connection,
    held: TableName,
    columns: Mapping[str, ColumnOrigin],
    *,
    seed: int = 0,
    full_bytes: int = FULL_BYTES,
) -> Verdict:
    """PASS if every column has a masked or kept lineage, and holds what that promises.

    A column that hands a masked one on has its format; every other one must not parse as a
    person's. CANNOT_TELL if the relation is not there or cannot be scanned.
    """
    extent = extent_of(connection, held, seed=seed, full_bytes=full_bytes)
    if extent is None:
        return Verdict.cannot_tell(ABOUT, Finding(str(held), "the model is not there"))
    present = {name: columns.get(name) for name in extent.types}
    faults = list(lineage_faults(held.name, present))
    questions: list[Question] = []
    looks: list[Look] = []
    for name, made in present.items():
        asked, look = _asked(name, extent.types[name], made or ColumnOrigin())
        questions += asked
        looks += [look] if look is not None else []
    return judged(
        connection,
        extent,
        questions,
        looks,
        faults,
        columns=len(present),
        masked_columns=len({q.column for q in questions}),
        searched_columns=len(looks),
    )


def _asked(name: str, type_name: str, made: ColumnOrigin) -> tuple[list[Question], Look | None]:
    only = _one_treatment(made)
    if only is not None:
        questions = list(questions_of(name, only))
        look = look_of(name, type_name, only, {})
    else:
        questions, look = [], look_at(name, type_name, {})
    is_allowed = any(origin.allowed for origin in made.origins)
    return questions, None if is_allowed else look


def _one_treatment(made: ColumnOrigin) -> str | None:
    """The treatment whose values the column hands on, whatever its key; None if it computes."""
    if not made.unchanged:
        return None
    found = {}
    for origin in made.origins:
        if origin.treatment is None:
            return None
        mask, options = recorded(origin.treatment)
        form = {name: value for name, value in options.items() if name != "key"}
        found[mask, repr(form)] = origin.treatment
    return next(iter(found.values())) if len(found) == 1 else None


def _is_unclassified(origin: Origin) -> bool:
    return origin.treatment is None or recorded(origin.treatment)[0] == "sealed"
