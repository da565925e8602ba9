"""What PostgreSQL's programs find in their environment: what they need, and no secret of ours.

Here: which variables are handed on. Not here: starting programs (local_server.py, binaries.py).

A server's environment can be read for as long as it runs, by root and by its own account
(/proc/<pid>/environ), and by any superuser of it (`copy ... from program`). The masking keys and
production's DSN are in ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HANDED_ON: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
)
"""By name; `HOME` is where libpq looks for certificates and password files."""

FAMILIES: Final = ("LC_", "PG", "KRB5")
"""By how they begin: locale, what libpq reads, Kerberos."""


def environment_of_programs(
    ours: Mapping[str, str], added: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What of our environment one of PostgreSQL's programs gets, and `added` on top."""
    kept = {
        name: value
        for name, value in ours.items()
        if name in HANDED_ON or name.startswith(FAMILIES)
    }
    return {**kept, **(added or {})}
