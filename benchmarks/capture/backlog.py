"""A backlog of mixed changes, read by capture, by pg_recvlogical and by each peer that is there.

Figures: `wall_ratio_to_pg_recvlogical` (median of the rounds' ratios), `changes_per_second`,
`walsender_cpu_s_per_million`, `speedup_over_rivet`, `speedup_over_debezium`. Not here: the readers
(readers.py, peers.py), the changes (workload.py).
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analytics_replica_tests.support.pipeline import Pipeline, open_directory
from analytics_replica_tests.support.servers import Database
from benchmarks.capture.figures import Figures
from benchmarks.capture.peers import Peer
from benchmarks.capture.readers import (
    Reading,
    make_reference_slot,
    read_with_capture,
    read_with_recvlogical,
)
from benchmarks.capture.server import running_production
from benchmarks.capture.workload import COLUMNS, CREATE, make_backlog


@contextmanager
def prepared_production(*, socket: bool) -> Iterator[tuple[Pipeline, Path]]:
    """A production with an empty table, captured once, and a directory for files."""
    root = open_directory()
    try:
        with running_production(socket=socket) as production:
            production.execute(CREATE)
            pipeline = Pipeline(root, production, production, {"public.wide": COLUMNS})
            pipeline.prepare()
            pipeline.capture()
            yield pipeline, root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def measure_backlog(
    changes: int, rounds: int, peers: list[Peer], console: Console, *, socket: bool
) -> Figures:
    """Ours and the reference in `rounds` rounds, taking turns; the peers in the first one.

    The backlog comes in transactions of 1,000 changes. Figures of peers that are not there, or did
    not read everything, are None.
    """
    ours: list[Reading] = []
    reference: list[Reading] = []
    speedups: dict[str, float | None] = {}
    with prepared_production(socket=socket) as (pipeline, root):
        make_reference_slot(pipeline.production)
        turns: list[Callable[[], None]] = [
            lambda: reference.append(read_with_recvlogical(pipeline.production, root)),
            lambda: ours.append(read_with_capture(pipeline, changes)),
        ]
        for number in range(rounds):
            taking_part = peers if number == 0 else []
            for peer in taking_part:
                peer.make_slot(pipeline.production)
            make_backlog(pipeline.production, changes, max(1, changes // 1000))
            for turn in turns if number % 2 == 0 else reversed(turns):
                turn()
            for peer in taking_part:
                seconds = _read_by(peer, pipeline.production, root, changes, console)
                speedups[peer.name] = seconds and round(seconds / ours[0].seconds, 1)
    _show(console, changes, ours, reference)
    return {
        **_figures(changes, ours, reference),
        "speedup_over_rivet": speedups.get("rivet"),
        "speedup_over_debezium": speedups.get("debezium"),
    }


def _figures(changes: int, ours: list[Reading], reference: list[Reading]) -> Figures:
    ratios = [o.seconds / r.seconds for o, r in zip(ours, reference, strict=True)]
    return {
        "wall_ratio_to_pg_recvlogical": round(statistics.median(ratios), 2),
        "walsender_cpu_s_per_million": round(
            statistics.median(o.walsender_cpu_s for o in ours) * 1e6 / changes, 2
        ),
        "changes_per_second": round(changes / statistics.median(o.seconds for o in ours)),
        "changes": changes,
        "_peak_rss_mb": max(o.peak_rss_mb for o in ours),
    }


def _read_by(
    peer: Peer, production: Database, root: Path, changes: int, console: Console
) -> float | None:
    try:
        seconds = peer.read(production, root, changes)
    finally:
        peer.drop_slot(production)
    if seconds is None:
        console.print(f"{peer.name}: did not read the backlog; {peer.complaint}", markup=False)
    else:
        console.print(f"{peer.name}: {seconds:.1f} s, {changes / seconds:,.0f} changes/s")
    return seconds


def _show(console: Console, changes: int, ours: list[Reading], reference: list[Reading]) -> None:
    shown = Table(
        "reader", "seconds of each round", "changes/s", "walsender CPU s/million", "own CPU s"
    )
    for name, readings in (("pg_recvlogical to a file", reference), ("capture to Parquet", ours)):
        seconds = [reading.seconds for reading in readings]
        cpu = statistics.median(reading.walsender_cpu_s for reading in readings)
        shown.add_row(
            name,
            " ".join(f"{s:.2f}" for s in seconds),
            f"{changes / statistics.median(seconds):,.0f}",
            f"{cpu * 1e6 / changes:.2f}",
            " ".join(f"{reading.cpu_s:.1f}" for reading in readings if reading.cpu_s),
        )
    console.print(shown)
