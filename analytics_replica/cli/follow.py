"""`capture --follow`: land what production commits, for as long as the service runs.

Here: signals, trying again when production cannot be reached, one line for each batch, and telling
Dagster. Not here: following (landing.capture).
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from analytics_replica.cli.invocation import Invocation
from analytics_replica.cli.terminal import note, say, say_json_line
from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import SystemClock
from analytics_replica.errors import SlotBusy, SourceUnreachable
from analytics_replica.landing.capture import follow
from analytics_replica.landing.report import CaptureReport

PATIENCE_S: Final = (1, 2, 5, 15, 30, 60)
"""Seconds before each new try while production cannot be reached; the last one again and again."""


def follow_until_stopped(
    invocation: Invocation, every: timedelta, *, as_json: bool, tell_dagster: bool
) -> None:
    """Follows until SIGTERM or SIGINT, then lands what is complete and returns.

    A production that cannot be reached, and a slot that its server still holds for a connection
    that died, are waited for; every other error ends it with its exit code.
    """
    stopping = threading.Event()
    with _dagster(invocation, wanted=tell_dagster) as tell:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())

        def heard(manifest: Manifest) -> None:
            _show(manifest, as_json=as_json)
            tell(manifest)

        tries = 0
        while not stopping.is_set():
            try:
                done = _follow(invocation, every, stopping, heard)
            except (SourceUnreachable, SlotBusy) as cause:
                wait = PATIENCE_S[min(tries, len(PATIENCE_S) - 1)]
                tries += 1
                note(f"{cause.what} Trying again in {wait} s.", "yellow")
                stopping.wait(wait)
            else:
                if not as_json:
                    say(f"Stopped. Everything up to {done.position} is landed.")


def _follow(
    invocation: Invocation,
    every: timedelta,
    stopping: threading.Event,
    heard: Callable[[Manifest], None],
) -> CaptureReport:
    return follow(
        invocation.settings(), SystemClock(), every=every, stopped=stopping.is_set, heard=heard
    )


def _show(manifest: Manifest, *, as_json: bool) -> None:
    tables = {file.table for file in manifest.files}
    if as_json:
        say_json_line(
            {
                "batch": manifest.sequence,
                "position": str(manifest.to_lsn),
                "events": manifest.rows,
                "tables": sorted(str(table) for table in tables),
                "captured_at": manifest.captured_at.isoformat(),
            }
        )
    else:
        events = f"{manifest.rows:,} events of {len(tables)} tables" if tables else "silence"
        say(f"batch {manifest.sequence}: {events}, up to {manifest.to_lsn}")


@contextlib.contextmanager
def _dagster(invocation: Invocation, *, wanted: bool) -> Iterator[Callable[[Manifest], None]]:
    if not wanted:
        yield lambda _: None
        return
    # Dagster takes 4 s to import (2026-11-21); a follower that reports to nobody does not wait.
    from analytics_replica.orchestration.follower import reporting  # noqa: PLC0415
    from analytics_replica.orchestration.instance import open_instance  # noqa: PLC0415

    settings = invocation.settings_for_dagster()
    with open_instance(settings) as instance:
        yield reporting(settings, instance)
