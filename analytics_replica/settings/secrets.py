"""Secrets: values that come from the environment or from key files and are never printed.

Here: looking one up, with an error that names the variable. Not here: what they are used for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analytics_replica.errors import SettingsInvalid
from analytics_replica.settings.schema import FromEnvironment, KeySource, Masking

MIN_KEY_BYTES: Final = 32
"""HMAC-SHA-256 gains nothing below the digest's own size (RFC 2104, section 3)."""


@dataclass(frozen=True)
class Secrets:
    """The environment as it was at the start. Its repr shows no value."""

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


@dataclass(frozen=True)
class MaskingKeys:
    """The masking keys by id, and which one makes new tokens. Its repr shows no key."""

    active: str
    by_id: Mapping[str, bytes] = field(repr=False)

    @property
    def active_key(self) -> bytes:
        """The key that makes tokens now."""
        return self.by_id[self.active]

    @classmethod
    def read(cls, masking: Masking, secrets: Secrets, root: Path) -> MaskingKeys:
        """All keys of these settings; SettingsInvalid if one is missing, not hex or too short."""
        keys = {key_id: _read(key_id, at, secrets, root) for key_id, at in masking.keys.items()}
        return cls(masking.active_key, keys)


def _read(key_id: str, at: KeySource, secrets: Secrets, root: Path) -> bytes:
    if at.env is not None:
        text = secrets.get(FromEnvironment(env=at.env))
    else:
        file = root / (at.file or Path())
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise SettingsInvalid(
                what=f"The file of masking key {key_id} cannot be read: {file}.",
                why="Without its key nothing can be masked, so nothing may be captured.",
                next="Put the key there (64 or more hex digits), readable only by this account.",
            ) from None
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) < MIN_KEY_BYTES:
        raise SettingsInvalid(
            what=f"Masking key {key_id} is not {MIN_KEY_BYTES} or more bytes written in hex.",
            why="A short key can be guessed, and then every token can be.",
            next="Make one with `openssl rand -hex 32` and keep it where secrets are kept.",
        )
    return key
