"""How good suggestions are, measured on labelled columns; and what may never happen to one.

Run this file as a program to see the figures: `python -m
analytics_replica_tests.unit.test_suggest_corpus`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from analytics_replica.masking.evidence import look_at
from analytics_replica.masking.suggest import Suggestion, suggest
from analytics_replica_tests.support.labelled import Labelled, labelled

NOT_PERSONAL = ("keep", "open")
COLUMNS = list(labelled())


def suggested(one: Labelled, *, with_sample: bool) -> Suggestion:
    is_array = one.column.type_name.endswith("[]")
    seen = {one.column.name: look_at(one.values, array=is_array)} if with_sample else None
    return suggest(one.table, seen)[one.column.name]


@dataclass
class Figures:
    """Shares, and the names of the columns that lower them."""

    personal: int
    false_keeps: list[str]
    recall: float
    precision: float
    kept: float
    missed: list[str]
    wrong: list[str]
    not_kept: list[str]

    @classmethod
    def of(cls, *, with_sample: bool) -> Figures:
        said = [(one, suggested(one, with_sample=with_sample)) for one in COLUMNS]
        personal = [(o, s) for o, s in said if o.label not in NOT_PERSONAL]
        classed = [(o, s) for o, s in said if s.holds is not None]
        machinery = [(o, s) for o, s in said if o.label == "keep"]
        missed = [_told(o, s) for o, s in personal if s.holds != o.label]
        wrong = [_told(o, s) for o, s in classed if s.holds != o.label]
        not_kept = [_told(o, s) for o, s in machinery if s.rule != "keep"]
        return cls(
            len(personal),
            [_told(o, s) for o, s in personal if s.rule == "keep"],
            1 - len(missed) / len(personal),
            1 - len(wrong) / len(classed),
            1 - len(not_kept) / len(machinery),
            missed,
            wrong,
            not_kept,
        )


def _told(one: Labelled, said: Suggestion) -> str:
    return f"{one.column.name} ({one.label}): {said.holds or said.rule}"


@pytest.mark.parametrize("with_sample", [False, True], ids=["names and types", "with a sample"])
def test_no_personal_column_is_ever_proposed_to_be_kept(with_sample: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert Figures.of(with_sample=with_sample).false_keeps == []


def test_most_personal_columns_get_their_class_and_most_machinery_is_kept() -> None:
    by_name, sampled = Figures.of(with_sample=False), Figures.of(with_sample=True)
    assert len(COLUMNS) >= 200
    assert (by_name.recall, by_name.precision, by_name.kept) >= (0.85, 0.95, 0.9)
    assert by_name.recall >= 0.85
    assert by_name.precision >= 0.95
    assert by_name.kept >= 0.9
    assert sampled.recall >= 0.95
    assert sampled.precision >= 0.95
    assert sampled.kept >= 0.9


def test_what_nobody_can_tell_from_a_name_waits_for_a_person() -> None:
    unknown = [one for one in COLUMNS if one.label == "open"]
    said = [suggested(one, with_sample=False) for one in unknown]
    assert all(suggestion.decide and suggestion.rule != "keep" for suggestion in said)


if __name__ == "__main__":
    for with_sample in (False, True):
        found = Figures.of(with_sample=with_sample)
        print(f"with a sample: {with_sample}; {len(COLUMNS)} columns, {found.personal} personal")
        print(f"  recall {found.recall:.3f} precision {found.precision:.3f} kept {found.kept:.3f}")
        print(f"  false keeps {found.false_keeps}\n  missed {found.missed}")
        print(f"  wrong {found.wrong}\n  not kept {found.not_kept}")
