"""What a local disk refuses, as our errors.

Here: that translation. Not here: an object store's refusals (remote.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from analytics_replica.errors import LandingError, LandingFull


@contextlib.contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turns the disk's refusals into our errors, which say that nothing was confirmed."""
    try:
        yield
    except OSError as cause:
        if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LandingFull(
                what=f"The disk is full while {doing}.",
                why="The batch was not published and the slot was not confirmed, so nothing is "
                "lost: production keeps the log until it is landed.",
                next="Free space where landing is, then capture again. Watch the slot's retention "
                "meanwhile (docs/runbooks/landing-is-full.md).",
            ) from None
        raise LandingError(
            what=f"The disk refused while {doing}: {os.strerror(cause.errno or 0)}.",
            why="The batch was not published and the slot was not confirmed; nothing is lost.",
            next="Check that landing's directory exists and may be written by this account.",
        ) from None


def fsync(path: Path) -> None:
    """Afterwards the file or directory survives a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
