"""Landing behind an fsspec URL that is no local directory: an object store.

Here: reaching it, what its refusals mean, and the private directory on this machine that stands
beside it. Not here: paths and publishing (layout.py).

Drivers' words quote URLs, headers and keys, so only the class of what they raise goes further.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import fsspec
import pyarrow as pa

from analytics_replica.errors import LandingError, LandingFull, LandingUnreachable, ReplicaError

CHUNK_BYTES: Final = 8 * 2**20
"""What is read at once, and a part of an upload."""

_ALWAYS: Final = {"use_listings_cache": False}
"""Other processes write, too: what was listed a minute ago is not what is there."""

_READING: Final = {"s3": {"default_block_size": CHUNK_BYTES}}
"""s3fs reads 50 MB ahead for each open file, and DuckDB opens many (s3fs 2026.9)."""

_UPLOADING: Final = {"s3": {"chunksize": CHUNK_BYTES, "max_concurrency": 2}}
"""s3fs holds ten parts of 50 MB in memory else (s3fs 2026.9)."""

_SAFE: Final = "Nothing was confirmed to production and nothing is lost."

_REFUSED: Final = frozenset({"PermissionError", "NoCredentialsError", "PartialCredentialsError"})
_AWAY: Final = (ConnectionError, TimeoutError)
_AWAY_NAMES: Final = (
    "ConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "HTTPClientError",
    "FSTimeoutError",
    "ClientConnectorError",
    "ServiceUnavailable",
)


def protocol_of(url: str) -> str:
    """What stands before `://`; `file` for a path."""
    return url.partition("://")[0] if "://" in url else "file"


def reach(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """The filesystem of the URL and the path in it; LandingError if no driver is installed.

    The same URL and options give the same filesystem within a process.
    """
    protocol = protocol_of(url)
    ours = {} if protocol in ("file", "local") else _ALWAYS
    try:
        reached: tuple[Any, str] = fsspec.core.url_to_fs(
            url, **{**_READING.get(protocol, {}), **options, **ours}
        )
    except (ImportError, ValueError):
        raise LandingError(
            what=f"No driver for {protocol}:// is installed.",
            why="landing.url in replica.yaml cannot be reached without it.",
            next="For s3:// run `pip install 'analytics-replica[s3]'`; for others install the "
            "fsspec package of the store.",
        ) from None
    return reached


def upload_options(url: str) -> Mapping[str, int]:
    """What keeps an upload's memory small, for drivers that have to be told."""
    return _UPLOADING.get(protocol_of(url), {})


def private_directory(url: str) -> Path:
    """This account's directory on this machine for this landing: unfinished files and locks.

    Nobody else may look into it; what lies there is masked. LandingError if it is not ours.
    """
    name = hashlib.sha256(url.encode()).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"analytics-replica-{os.geteuid()}-{name}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LandingError(
            what=f"{path} is not a private directory of this account.",
            why="Files that are being landed wait there, and nobody else may touch them.",
            next="Remove it, or set TMPDIR to a directory of this account.",
        )
    return path


@contextlib.contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turns whatever an object store's driver raises into our errors, without its words."""
    try:
        yield
    except (ReplicaError, pa.ArrowException):
        raise
    except Exception as cause:  # noqa: BLE001 - each driver has errors of its own
        raise _translated(cause, doing) from None


def is_missing_bucket(cause: BaseException | None) -> bool:
    """True if not the object is missing, but all of the place where it would be."""
    return cause is not None and (
        type(cause).__name__ == "NoSuchBucket" or is_missing_bucket(cause.__cause__)
    )


def _translated(cause: BaseException, doing: str) -> LandingError:
    names = {kind.__name__ for kind in type(cause).__mro__}
    if is_missing_bucket(cause):
        return LandingError(
            what=f"Landing's bucket is not there while {doing}.",
            why=_SAFE,
            next="Check landing.url in replica.yaml; if the bucket was deleted, restore it.",
        )
    if names & _REFUSED:
        return LandingError(
            what=f"The object store refused our credentials while {doing}.",
            why=_SAFE,
            next="Check the credentials and what they may do "
            "(docs/how-to/land-on-object-storage.md).",
        )
    if isinstance(cause, _AWAY) or names & set(_AWAY_NAMES):
        return LandingUnreachable(
            what=f"The object store does not answer while {doing}.",
            why=_SAFE,
            next="Check the network and the store, then start again.",
        )
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return LandingFull(
            what=f"No space is left while {doing}.",
            why=_SAFE,
            next="Free space where temporary files are (TMPDIR) and in the store, then start again "
            "(docs/runbooks/landing-is-full.md).",
        )
    return LandingError(
        what=f"The object store refused while {doing} ({type(cause).__name__}).",
        why=_SAFE,
        next="Look for this error in the store's own log; `analytics-replica doctor` tries again.",
    )
