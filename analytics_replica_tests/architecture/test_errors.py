"""The tree of errors: each with an exit code of its own, and drawn as it is.

Not here: what each error says (unit tests of errors, and of whoever raises one).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from analytics_replica import errors
from analytics_replica.errors import ReplicaError

DRAWN = re.compile(r"^    (?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<code>\d+)\b", re.MULTILINE)

Node = tuple[str, str | None, int]
"""An error's name, the name of the one it is a kind of, and its exit code."""


def test_every_error_is_drawn_in_the_tree_under_its_parent_with_its_exit_code() -> None:
    assert sorted(_drawn()) == sorted(_defined(ReplicaError, None))


def test_no_two_errors_share_an_exit_code() -> None:
    counted = Counter(code for _, _, code in _defined(ReplicaError, None))
    assert [code for code, times in counted.items() if times > 1] == []


def test_exit_codes_leave_room_for_the_shells_own() -> None:
    assert [name for name, _, code in _defined(ReplicaError, None) if not 3 <= code <= 125] == []


def _defined(error: type[ReplicaError], parent: str | None) -> Iterator[Node]:
    yield error.__name__, parent, error.exit_code
    for kind in error.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from _defined(kind, error.__name__)


def _drawn() -> Iterator[Node]:
    above: list[str] = []
    for line in DRAWN.finditer(errors.__doc__ or ""):
        depth = len(line["branch"]) // 4
        del above[depth:]
        yield line["name"], above[-1] if above else None, int(line["code"])
        above.append(line["name"])
