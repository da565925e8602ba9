"""What a search of one store found.

Here: the words that all searches share. Not here: any search.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analytics_replica.domain.verdicts import Outcome


@dataclass(frozen=True, slots=True)
class Hit:
    """Something of the person is there: where (table and column, or file), how often, until when.

    `what` says which trace it is, without its text.
    """

    where: str
    what: str
    count: int
    gone: str


@dataclass(frozen=True, slots=True)
class Searched:
    """One store after the search: what was looked through, what was found, what could not be read.

    `rows` are rows or, of files searched by their bytes, bytes.
    """

    store: str
    tables: int = 0
    files: int = 0
    rows: int = 0
    hits: tuple[Hit, ...] = ()
    unreadable: tuple[str, ...] = ()
    not_searched: str = ""
    """Why a search of this store proves nothing about this person; what it found is told."""

    @property
    def outcome(self) -> Outcome:
        """FAIL beats CANNOT_TELL, which beats PASS."""
        if self.hits:
            return Outcome.FAIL
        unsure = self.unreadable or self.not_searched
        return Outcome.CANNOT_TELL if unsure else Outcome.PASS


def together(stores: Iterable[Searched]) -> Outcome:
    """The outcome over all stores."""
    found = {store.outcome for store in stores}
    return next(
        o for o in (Outcome.FAIL, Outcome.CANNOT_TELL, Outcome.PASS) if o in {*found, Outcome.PASS}
    )
