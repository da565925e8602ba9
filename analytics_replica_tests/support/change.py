"""One change of a table of production, and what then holds of it.

Here: the form of a case, and the table that most cases have. Not here: the cases
(schema_changes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Rules = Mapping[str, Any]

PLAIN: Final = "create table @ (id int primary key, a text, n int)"
ROWS: Final = "insert into @ values (1, 'x', 1), (2, 'y', 2)"
KEPT: Final[Rules] = {"id": "keep", "a": "keep", "n": "keep"}


@dataclass(frozen=True, eq=False)
class Change:
    """One change and its outcome.

    `first` and `second` are transactions, each set followed by a capture and an apply; `then` are
    the table's rules from the second on. `stands_still` is why staging keeps the table as it was;
    without it staging `equals` production, or not. `drift` is what the drift check says. `landed`
    counts events. `mend` is what production needs and `repair` are the rules with which a new copy
    repairs it, `now_called` the table's name by then. `whole`: published without a column list.
    """

    name: str
    first: tuple[str, ...]
    create: str = PLAIN
    rows: str = ROWS
    rules: Rules = field(default_factory=lambda: KEPT)
    then: Rules | None = None
    second: tuple[str, ...] = ()
    whole: bool = True
    stands_still: str | None = None
    equals: bool = True
    drift: str = "PASS"
    landed: int = 1
    mend: str = ""
    repair: Rules | None = None
    now_called: str = "@"
