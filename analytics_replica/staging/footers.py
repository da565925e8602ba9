"""What the footer of a landed file says without reading its rows.

Here: the first and the last position in a file. Not here: what the manifest says of it
(landing.manifest).
"""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

from analytics_replica.domain.batches import LSN
from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.layout import Store


def positions_in(store: Store, path: str) -> tuple[Lsn, Lsn]:
    """The smallest and the greatest commit LSN of the file's events.

    Where the writer left no statistics, the least and the greatest there are: the file is to be
    read then. LandingBroken if it is not there.
    """
    with store.opened(path) as opened:
        footer = _footer(opened, path)
    column = footer.schema.to_arrow_schema().names.index(LSN)
    groups = [footer.row_group(i).column(column) for i in range(footer.num_row_groups)]
    if not groups:
        return Lsn(0), Lsn(0)
    if not all(group.is_stats_set for group in groups):
        return Lsn(0), Lsn(2**63 - 1)
    known = [group.statistics for group in groups]
    return Lsn(min(k.min for k in known)), Lsn(max(k.max for k in known))


def _footer(opened: Any, path: str) -> pq.FileMetaData:
    try:
        return pq.read_metadata(opened)
    except (OSError, ValueError):
        raise LandingBroken(
            what=f"{path} is not the file that was landed (it has no readable footer).",
            why="Applying it could put wrong rows into staging.",
            next="Restore the file from a backup of landing, or copy the table again with "
            "`analytics-replica resync`.",
        ) from None
