"""The record of silence: how far the log was read after the newest batch, with nothing in it.

Here: writing and reading that one small file. Not here: when capture writes it (stream.py), what
the guard makes of it (source.resume), silence proven from production's log (source.raw_log).

A capture that follows production confirms keepalives when nothing is in flight, so that an idle
production may remove its log. It writes the record first; a crash in between finds the slot no
further than the record. The record names the manifest that it continues, so it is worth nothing
beside any other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from analytics_replica.domain.lsn import Lsn
from analytics_replica.errors import LandingBroken
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import Store

PATH: Final = "silence.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was committed up to `upto`, as we knew at `at`; None in older records."""

    upto: Lsn
    at: datetime | None


def record_silence(store: Store, last_digest: str, upto: Lsn, now: datetime) -> None:
    """Afterwards it is on disk that nothing was committed from the end of this batch to `upto`.

    `last_digest` is the digest of the newest manifest. Call it before `upto` is confirmed, and
    only where the stream is complete up to `upto` with no transaction open or waiting to be landed.
    """
    body = {"format": FORMAT, "after": last_digest, "upto": str(upto), "at": now.isoformat()}
    written = store.unfinished()
    with disk_errors("recording silence"):
        written.write_text(json.dumps(body, sort_keys=True), encoding="utf-8")
    store.publish(written, PATH)


def recorded_silence(store: Store, last_digest: str) -> Silence | None:
    """The silence that is recorded after this manifest; None if none is, or it cannot be read."""
    try:
        body = json.loads(store.read(PATH))
        if (body["format"], body["after"]) != (FORMAT, last_digest):
            return None
        at = body.get("at")
        return Silence(Lsn.parse(body["upto"]), None if at is None else datetime.fromisoformat(at))
    except (LandingBroken, ValueError, KeyError, TypeError, AttributeError):
        return None


def silent_upto(store: Store, last_digest: str) -> Lsn | None:
    """How far silence is recorded after this manifest; None if it is not, or cannot be read."""
    silence = recorded_silence(store, last_digest)
    return None if silence is None else silence.upto
