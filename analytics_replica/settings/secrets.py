"""Secrets: values that come from the environment or from key files and are never printed.

Here: looking one up, with an error that names the variable, and refusing keys that protect nothing.
Not here: what they are used for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn

from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.schema import FromEnvironment, KeySource, Masking

MIN_KEY_BYTES: Final = 32
"""HMAC-SHA-256 gains nothing below the digest's own size (RFC 2104, section 3)."""

MAX_FILE_BYTES: Final = 4096
"""A key file is one line; what is longer is another file."""

LEAST_DIFFERENT_BYTES: Final = 16
"""32 random bytes have 30 different values on average; under 16 once in 10^14 keys."""


@dataclass(frozen=True)
class Secrets:
    """The environment as it was at the start. Its repr shows no value; it cannot be pickled."""

    environ: Mapping[str, str] = field(repr=False)

    def get(self, reference: FromEnvironment) -> str:
        """The value of the variable; SettingsInvalid if it is not set or empty."""
        value = self.environ.get(reference.env, "")
        if not value:
            raise SettingsInvalid(
                what=f"The environment variable {reference.env} is not set.",
                why="replica.yaml names it; secrets are never written there.",
                next="Set it in the environment or in .env (see .env.example).",
            )
        return value

    def __reduce__(self) -> NoReturn:
        raise TypeError(_NOT_WRITTEN)


class MaskingKey(bytes):
    """A masking key. Bytes in every way, but it neither shows itself nor can be pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MaskingKey(…)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(_NOT_WRITTEN)


_NOT_WRITTEN: Final = "secrets are not written anywhere, so they cannot be pickled"


@dataclass(frozen=True)
class MaskingKeys:
    """The masking keys by id, and which one makes new tokens. Its repr shows no key."""

    active: str
    by_id: Mapping[str, bytes] = field(repr=False)

    @property
    def active_key(self) -> bytes:
        """The key that new copies of all tables are sealed with."""
        return self.by_id[self.active]

    @classmethod
    def read(cls, masking: Masking, secrets: Secrets, root: Path) -> MaskingKeys:
        """All keys of these settings.

        SettingsInvalid, naming the key id, if one is missing, not hex, too short, not random, the
        key of two ids, or in a file that others may read.
        """
        keys = {key_id: _read(key_id, at, secrets, root) for key_id, at in masking.keys.items()}
        _require_different(keys)
        return cls(masking.active_key, keys)

    def __reduce__(self) -> NoReturn:
        raise TypeError(_NOT_WRITTEN)


def key_variables(masking: Masking) -> frozenset[str]:
    """The environment variables that hold masking keys: for programs that need none of them."""
    return frozenset(at.env for at in masking.keys.values() if at.env is not None)


def _read(key_id: str, at: KeySource, secrets: Secrets, root: Path) -> MaskingKey:
    if at.env is not None:
        text = secrets.get(FromEnvironment(env=at.env))
    else:
        text = _read_file(key_id, root / (at.file or Path()))
    try:
        key = MaskingKey(bytes.fromhex(text.strip()))
    except ValueError:
        key = MaskingKey(b"")
    if len(key) < MIN_KEY_BYTES:
        raise SettingsInvalid(
            what=f"Masking key {key_id} is not {MIN_KEY_BYTES} or more bytes written in hex.",
            why="A short key can be guessed, and then every token can be.",
            next=_MAKE_ONE,
        )
    if (reason := why_weak(key)) is not None:
        raise SettingsInvalid(
            what=f"Masking key {key_id} is not random: {reason}.",
            why="Whoever guesses the key can try values until a token matches.",
            next=_MAKE_ONE,
        )
    return key


_MAKE_ONE: Final = "Make one with `openssl rand -hex 32` and keep it where secrets are kept."


def why_weak(key: bytes) -> str | None:
    """What shows that nobody drew this key at random, without any of its bytes; None if nothing."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    if len(steps) == 1:  # also the key of the published test vectors
        return "its bytes are all equal, or count up or down"
    for period in range(1, len(key) // 2 + 1):
        if key[period:] == key[:-period]:
            return f"it repeats every {period} bytes"
    if len(set(key)) < LEAST_DIFFERENT_BYTES:
        return f"it has fewer than {LEAST_DIFFERENT_BYTES} different bytes"
    return None


def _read_file(key_id: str, file: Path) -> str:
    """The key file's text, if nobody but its owner may read it, and that is this account or root.

    The file that is judged is the one that is read, also behind a link that somebody exchanges.
    """
    try:
        # Not blocking: a pipe in its place would wait for a writer.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
            _require_private(key_id, file, os.fstat(opened.fileno()))
            return opened.read(MAX_FILE_BYTES).decode("ascii")
    except (OSError, UnicodeDecodeError):
        raise SettingsInvalid(
            what=f"The file of masking key {key_id} cannot be read: {file}.",
            why="Without its key nothing can be masked, so nothing may be captured.",
            next="Put the key there (64 or more hex digits), readable only by this account.",
        ) from None


def _require_private(key_id: str, file: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        reason = "is not a file"
    elif found.st_uid not in (os.geteuid(), 0):
        reason = "belongs to another account"
    elif found.st_mode & 0o077:
        reason = f"may be read or changed by others (its mode is {stat.S_IMODE(found.st_mode):o})"
    else:
        return
    raise SettingsInvalid(
        what=f"The file of masking key {key_id} {reason}: {file}.",
        why="The key is as secret as every value that it masks.",
        next=f"`chown` it to this account and `chmod 600 {file}`; if others could read it, change "
        "the key (docs/how-to/rotate-a-masking-key.md).",
    )


def _require_different(keys: Mapping[str, bytes]) -> None:
    ids: dict[bytes, str] = {}
    for key_id, key in keys.items():
        other = ids.setdefault(bytes(key), key_id)
        if other != key_id:
            raise SettingsInvalid(
                what=f"Masking keys {other} and {key_id} are the same key.",
                why="A rotation from one to the other would change nothing but the name.",
                next=f"Give {key_id} a key of its own. {_MAKE_ONE}",
            )
