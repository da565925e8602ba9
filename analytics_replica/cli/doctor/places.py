"""Directories: PostgreSQL's programs and the room for a base backup, and landing.

Here: what the first copy and landing need of this machine. Not here: production (preflight).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analytics_replica.cli.doctor.answers import Figures, fine, judged, unknown
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import LandingFull
from analytics_replica.landing.contiguity import check_contiguity
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.landed_keys import as_landed
from analytics_replica.landing.layout import Store
from analytics_replica.masking.key_versions import checks_of
from analytics_replica.masking.policy import Policy
from analytics_replica.postgres.binaries import binaries_of
from analytics_replica.settings.load import Settings, masking_keys
from analytics_replica.source.physical_copy import inspect
from analytics_replica.source.preflight import SERVER_VERSION

LEAST_FREE_BYTES: Final = 2**30
"""Below one GiB a night of a small shop may not fit."""

PROGRAMS: Final = "the first copy can be made"
LANDING: Final = "landing can be written"
BATCHES: Final = "landed batches follow each other"
KEYS: Final = "captures can go on under landing's masking key"


def first_copy(settings: Settings, preflight: Verdict) -> Verdict:
    """Whether a physical copy can be taken; `preflight` is production's answer to REACHABLE."""
    source = settings.replica.source
    if source.physical_copy is not None:
        reference = source.physical_copy
        return judged(PROGRAMS, lambda: _given_copy(settings.secrets.get(reference)))
    if SERVER_VERSION not in preflight.figures:
        return unknown(PROGRAMS, "production's version is not known")
    major = int(preflight.figures[SERVER_VERSION]) // 10_000
    named = settings.path(source.postgres_bin) if source.postgres_bin else None
    return judged(PROGRAMS, lambda: _programs(settings, major, named))


def landing(settings: Settings) -> Iterator[Verdict]:
    """Whether batches can be written, and whether those that are there are whole."""
    store = Store.of(settings)
    writable = judged(LANDING, lambda: _writable(store))
    yield writable
    if not writable.passed:
        yield unknown(BATCHES, "landing could not be looked at")
        yield unknown(KEYS, "landing could not be looked at")
        return
    verdict = check_contiguity(store)
    # Nothing landed yet is no fault of landing: the first capture comes later in the list.
    yield verdict if verdict.findings and verdict.figures else fine(BATCHES, **verdict.figures)
    yield judged(KEYS, lambda: _landed_under(settings, store))


def _given_copy(dsn: str) -> Figures:
    return {"position": str(inspect(dsn).position)}


def _programs(settings: Settings, major: int, named: Path | None) -> Figures:
    binaries_of(major, named)
    directory = settings.path(settings.replica.source.copy_directory)
    with disk_errors("looking for room for a base backup"):
        return {"major": major, "free_gb": _free(directory) // 2**30}


def _writable(store: Store) -> Figures:
    base = store.local
    if base is None:
        store.names("manifests")
        store.require_exclusive()
        return {"url": store.url}
    nearest = _existing(base)
    with disk_errors("looking at landing"):
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "", str(nearest))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "", str(nearest))
        free = _free(base)
    if free < LEAST_FREE_BYTES:
        raise LandingFull(
            what=f"Landing's disk has {free / 2**20:,.0f} MB left.",
            why="A batch that does not fit is not landed, and production keeps its log meanwhile.",
            next=f"Free space, or move landing.url in replica.yaml away from {base}.",
        )
    return {"free_gb": free // 2**30}


def _landed_under(settings: Settings, store: Store) -> Figures:
    keys, policy = masking_keys(settings), Policy.from_settings(settings)
    checks = checks_of(as_landed(store, policy, keys), keys)
    return dict(checks) if checks else {"tokens": 0}


def _free(directory: Path) -> int:
    return shutil.disk_usage(_existing(directory)).free


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(p for p in (path, *path.parents) if p.exists())
