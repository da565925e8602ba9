"""Up to where: a position or a time, told in batches.

Here: which batches are contained whole at a position, at a time or in a ledger, and where the one
after them is cut. Not here: what is done with them (windows.py). A cut is exact because a batch
holds whole transactions in the order of their commits, each event with its commit's position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_replica.domain.batches import COMMITTED_AT, LSN, BatchKind, Manifest
from analytics_replica.domain.lsn import ZERO, Lsn
from analytics_replica.errors import LandingError
from analytics_replica.landing.layout import Store, manifest_path
from analytics_replica.landing.manifest import manifests, read_manifest, verify_file
from analytics_replica.staging.ledger import AppliedTable, Ledger
from analytics_replica.staging.sequel import begins_anew


class NotRetained(LandingError):
    """Landing does not hold what would be needed for staging at this position."""


@dataclass(frozen=True, slots=True)
class Upto:
    """The last batch that is contained whole, and where the next one is cut, if it is.

    What was committed before `cut` is contained, and nothing else of that batch.
    """

    sequence: int
    cut: Lsn | None = None

    @property
    def last(self) -> int:
        """The last batch of which anything is contained."""
        return self.sequence + (self.cut is not None)

    @property
    def reach(self) -> tuple[int, Lsn]:
        """Greater for whatever contains more."""
        return self.sequence, self.cut or ZERO


def upto(store: Store, asked: Lsn | datetime) -> Upto:
    """The batches at this position, or before the first commit after this time.

    Where landing ends earlier, all of them. NotRetained, naming the oldest possible position, if
    landing begins later or does not hold the changes around it.
    """
    chain = from_base(list(manifests(store)))
    if not chain:
        raise NotRetained(
            what="Nothing was landed yet.",
            why="Staging is made of landed batches.",
            next="Run `analytics-replica capture` first.",
        )
    if isinstance(asked, Lsn):
        return _at(chain, asked)
    return _when(store, chain, asked.astimezone(UTC))


def contained(store: Store, of: Ledger | AppliedTable) -> Upto:
    """What staging, or one of its tables, contains."""
    following = of.last_batch + 1
    if store.exists(manifest_path(following)):
        batch = read_manifest(store, following)
        if batch.kind is BatchKind.STREAM and batch.from_lsn < of.position < batch.to_lsn:
            return Upto(of.last_batch, of.position)
    return Upto(of.last_batch)


def from_base(chain: Sequence[Manifest]) -> list[Manifest]:
    """The same without what a base stands for: a fold that was killed may have left some of it."""
    bases = [position for position, m in enumerate(chain) if m.folded is not None]
    return list(chain[bases[-1] :] if bases else chain)


def last_commit_before(store: Store, batch: Manifest, cut: Lsn) -> datetime | None:
    """When the last transaction of the batch before the cut was committed, if it has changes."""
    times = [
        pc.max(events[COMMITTED_AT].filter(pc.less(events[LSN], cut.value))).as_py()
        for events in _commits(store, batch)
    ]
    return max((time for time in times if time is not None), default=None)


def _at(chain: Sequence[Manifest], position: Lsn) -> Upto:
    if position < chain[0].position or chain[0].kind is BatchKind.STREAM:
        raise _too_old(chain, str(position))
    whole = list(takewhile(lambda m: m.position <= position, chain))
    if len(whole) == len(chain):
        return Upto(whole[-1].sequence)
    beyond = chain[len(whole)]
    if whole[-1].position == position:
        return Upto(whole[-1].sequence)
    if beyond.kind is BatchKind.COPY:
        raise _between(whole[-1].position, beyond.position)
    return Upto(whole[-1].sequence, position)


def _when(store: Store, chain: Sequence[Manifest], moment: datetime) -> Upto:
    shown = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    if chain[0].kind is BatchKind.STREAM:
        raise _too_old(chain, shown)
    whole, certain, edge = 0, True, chain[0].position
    for batch in chain:
        if begins_anew(batch):
            # The rows of a copy have no commit times; it is surely from before its capture.
            certain, edge = (batch.last_commit_at or batch.captured_at) <= moment, batch.position
        elif batch.last_commit_at is not None:
            certain = certain or _begins(store, batch, moment)
            if batch.last_commit_at > moment:
                cut = _first_after(store, batch, moment)
                if cut is not None and certain:
                    return Upto(whole, cut if cut > batch.from_lsn else None)
                if cut is not None:
                    break
        whole = batch.sequence
    if not certain:
        if edge == chain[0].position:
            raise _too_old(chain, shown)
        raise _between(max(m.position for m in chain if m.position < edge), edge)
    return Upto(whole)


def _begins(store: Store, batch: Manifest, moment: datetime) -> bool:
    """True if a transaction of the batch was committed until then."""
    return any(
        bool(pc.any(pc.less_equal(events[COMMITTED_AT], pa.scalar(moment))).as_py())
        for events in _commits(store, batch)
    )


def _first_after(store: Store, batch: Manifest, moment: datetime) -> Lsn | None:
    later = (
        pc.min(events[LSN].filter(pc.greater(events[COMMITTED_AT], pa.scalar(moment)))).as_py()
        for events in _commits(store, batch)
    )
    return min((Lsn(lsn) for lsn in later if lsn is not None), default=None)


def _commits(store: Store, batch: Manifest) -> Iterator[pa.Table]:
    """Positions and times of the batch's commits, file by file; LandingBroken as verify_file."""
    for file in batch.files:
        verify_file(store, file)
        with store.filesystem.open(store.full(file.path), "rb") as opened:
            yield pq.read_table(opened, columns=[LSN, COMMITTED_AT])


def _too_old(chain: Sequence[Manifest], asked: str) -> NotRetained:
    copies = [m.position for m in chain if begins_anew(m)]
    oldest = f"The oldest possible position is {copies[0]}" if copies else "It holds no copy"
    return NotRetained(
        what=f"Landing does not hold staging as of {asked}. {oldest}.",
        why="Older batches were folded into a base, or the first copy was made later; what was "
        "there before is in no file.",
        next="Ask for a later position, or restore landing from a backup.",
    )


def _between(last: Lsn, begin: Lsn) -> NotRetained:
    return NotRetained(
        what=f"Landing ends at {last} and goes on with a new copy of all tables at {begin}.",
        why="The changes in between were never landed, so staging at a point between is not known.",
        next=f"Ask for {last} or earlier, or for {begin} or later.",
    )
