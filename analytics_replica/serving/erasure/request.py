"""What an erasure's proof is asked for, and what it gives.

Here: the request, where else is to be searched, the receipt. Not here: the search (verify.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Outcome


@dataclass(frozen=True)
class Request:
    """Whom to look for: key column → raw text, and further raw values by column."""

    table: TableName
    key: Mapping[str, str]
    values: Sequence[tuple[str, str]] = ()
    named: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"Request({self.table}, key={sorted(self.key)})"


@dataclass(frozen=True)
class Elsewhere:
    """Stores that other programs keep: Dagster's database and folders of artifacts and logs."""

    dagster_dsn: str | None = None
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """What was searched, with which outcome. `body` is what is printed and signed for.

    `digest` is the SHA-256 of the body as JSON with sorted keys and without spaces.
    """

    outcome: Outcome
    body: Mapping[str, Any]
    digest: str
