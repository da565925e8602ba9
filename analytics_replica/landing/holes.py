"""Holes: tables of which changes were not published, from when it is noticed until a new copy.

Here: which tables have a hole, from what production publishes now and what the last batch says.
Not here: what is at fault with a publication (source.publications), the verdict (staging.drift).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.tables import TableName
from analytics_replica.source.publications import Wanted, require_published
from analytics_replica.source.slot import SourceState

STILL: Final = "has a hole since an earlier capture"


@dataclass(frozen=True)
class Holes:
    """What a capture must record of tables that are not published as they should be.

    `incomplete`: every table with a hole, also from before. `reasons`: of those noticed now.
    `emptied`: of those, the ones that have none if the log tells a TRUNCATE of them.
    `tokens`: of the tables without fault, see Manifest.published. `publications`: to start with.
    """

    incomplete: tuple[TableName, ...]
    reasons: Mapping[TableName, str]
    emptied: frozenset[TableName]
    unlisted: tuple[TableName, ...]
    tokens: tuple[tuple[TableName, str], ...]
    publications: tuple[str, ...]

    @classmethod
    def of(cls, state: SourceState, wanted: Wanted, last: Manifest | None) -> Holes:
        """The holes after the batch `last`; None where a first copy follows, which leaves none.

        SourceNotPrepared if nothing could be captured, or not everything could be copied.
        """
        agreement = state.agreement(wanted)
        require_published(agreement, every=last is None)
        publications = state.stream_publications(None if last is None else last.source)
        reasons: dict[TableName, str] = {}
        emptied: frozenset[TableName] = frozenset()
        if last is not None:
            reasons = agreement.holes_since(dict(last.published))
            emptied = agreement.emptied_since(dict(last.published)) - set(last.incomplete)
            for table, member in agreement.members.items():
                if member.publication not in publications:
                    reasons[table] = f"came into publication {member.publication} only now"
        before = set() if last is None else set(last.incomplete) & set(wanted.tables)
        return cls(
            incomplete=tuple(sorted(before | set(reasons))),
            reasons=reasons,
            emptied=emptied,
            unlisted=tuple(sorted(agreement.unlisted)),
            tokens=tuple(sorted(agreement.tokens.items())),
            publications=publications,
        )
