"""A PostgreSQL server on this machine that we start and stop ourselves.

Here: one server: its directory, its start, its stop, its DSN, and the account it runs under when
we are root (PostgreSQL refuses to run as root). Used for recovered base backups and for the demo.
Not here: what is inside (demo.server, source.base_backup).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from analytics_replica.errors import DemoError
from analytics_replica.postgres.programs import environment_of_programs

PORT: Final = 5432
"""Names the socket file: servers do not listen on TCP unless asked to."""

SOCKET_PATH_LIMIT: Final = 90
"""A unix socket's path holds 107 bytes on Linux; the file's own name takes 14 of them."""

START_TIMEOUT_S: Final = 120


@dataclass(frozen=True)
class Account:
    """The system account that PostgreSQL's programs run under; None means our own."""

    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account for server programs if we are root, else None.

    `postgres` where it exists, else `nobody`, so no account has to be made.
    """
    if os.geteuid() != 0:
        return None
    for candidate in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise DemoError(
        what="We run as root, and there is no account `postgres` or `nobody`.",
        why="PostgreSQL refuses to run as root.",
        next="Run as a normal user, or create one of these accounts.",
    )


@dataclass(frozen=True)
class LocalServer:
    """One PostgreSQL server in `data_dir`, run by the programs in `bin_dir`.

    As root, both are reached by an unprivileged account: where a parent directory is closed to it,
    the data live under the system's temporary directory and `data_dir` is a link to it, and the
    programs run from a copy there. With `tcp` it also listens on `port` of 127.0.0.1.
    """

    bin_dir: Path
    data_dir: Path
    port: int = PORT
    tcp: bool = False

    def initialise(self) -> None:
        """Makes an empty cluster with superuser `postgres`; does nothing if there is one."""
        if (self.data_dir / "PG_VERSION").exists():
            return
        self.prepare_directory()
        self.run(
            "initdb",
            ["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres", "--no-sync"],
        )

    def prepare_directory(self) -> None:
        """Makes `data_dir` a private, empty directory that belongs to the server's account."""
        account = unprivileged_account()
        target = self.data_dir
        target.parent.mkdir(parents=True, exist_ok=True)
        if account is not None and not _open_to_others(target.parent.resolve()):
            target = _shared_place(f"data-{_fingerprint(self.data_dir)}")
            shutil.rmtree(target, ignore_errors=True)
            self.data_dir.unlink(missing_ok=True)
            self.data_dir.symlink_to(target)
        target.mkdir(mode=0o700, exist_ok=True)
        self.own(target)

    def own(self, path: Path) -> None:
        """Gives a path, and all below it, to the server's account."""
        account = unprivileged_account()
        if account is None:
            return
        os.chown(path, account.uid, account.gid, follow_symlinks=True)
        for folder, folders, files in os.walk(path):
            for entry in (*folders, *files):
                os.chown(Path(folder, entry), account.uid, account.gid, follow_symlinks=False)

    def start(self, options: Mapping[str, str] | None = None) -> None:
        """Starts the server and waits until it answers; does nothing if it runs.

        `options` are server settings, for example {"wal_level": "logical"}. DemoError that names
        the server's log if it does not start.
        """
        if self.is_running():
            return
        socket_dir = self.socket_dir
        socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.own(socket_dir)
        settings = {
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "unix_socket_directories": str(socket_dir),
            "port": str(self.port),
            **(options or {}),
        }
        flags = " ".join(f"-c {key}={_shell_quoted(value)}" for key, value in settings.items())
        log = self.data_dir.resolve() / "server.log"
        arguments = ["-w", "-t", str(START_TIMEOUT_S), "-l", str(log), "-o", flags, "start"]
        try:
            self.run("pg_ctl", arguments)
        except subprocess.CalledProcessError:
            raise DemoError(
                what=f"The PostgreSQL server in {self.data_dir} did not start.",
                why="Its log says why; it is not repeated here, for it may quote rows.",
                next=f"Fix what {log} says, or remove the directory and start anew.",
            ) from None

    def stop(self, mode: str = "fast") -> None:
        """Stops the server (`smart`, `fast` or `immediate`) and waits; nothing if it is down."""
        if self.is_running():
            self.run("pg_ctl", ["-w", "-m", mode, "stop"])
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def is_running(self) -> bool:
        """True if a server process for this directory is alive."""
        if not (self.data_dir / "postmaster.pid").exists():
            return False
        done = self.run("pg_ctl", ["status"], check=False)
        return done.returncode == 0

    @property
    def socket_dir(self) -> Path:
        """Where the server's socket is: a short path, as sockets demand."""
        own = self.data_dir.parent / f"{self.data_dir.name}.socket"
        if len(str(own)) > SOCKET_PATH_LIMIT or (
            unprivileged_account() is not None and not _open_to_others(own.parent.resolve())
        ):
            return _shared_place(f"socket-{_fingerprint(self.data_dir)}")
        return own

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """A URI that libpq, SQLAlchemy's drivers and ADBC all understand."""
        where = quote(str(self.socket_dir), safe="")
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}"
            f"?host={where}&port={self.port}"
        )

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        check: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs one of PostgreSQL's programs on this directory under the right account.

        `environment` is added to what they get of ours: the place for a password, which nobody
        may see in a list of processes.
        """
        command = [str(self._reachable_bin() / program), "-D", str(self.data_dir.resolve())]
        # A file, not a pipe: a server started by pg_ctl inherits it and would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment_of_programs({**os.environ}, environment),
                check=False,
                **_under_the_right_account(),
            )
            output.seek(0)
            done.stdout = output.read()
        if check:
            done.check_returncode()
        return done

    @contextlib.contextmanager
    def piped(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], said: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """One of PostgreSQL's programs with its output in a pipe; what it says goes to `said`.

        It does not outlive the block, nor, as soon as it writes, us.
        """
        with subprocess.Popen(
            [str(self._reachable_bin() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment_of_programs({**os.environ}, environment),
            **_under_the_right_account(),
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def _reachable_bin(self) -> Path:
        if unprivileged_account() is None or _open_to_others(self.bin_dir.resolve()):
            return self.bin_dir
        package = self.bin_dir.parent.parent
        copy = _shared_place(f"programs-{_fingerprint(self.bin_dir)}")
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(package, copy / package.name, symlinks=True)
            libraries = package.parent / f"{package.name}.libs"
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name)
            (copy / "complete").touch()
        return copy / self.bin_dir.relative_to(package.parent)


def _under_the_right_account() -> dict[str, Any]:
    account = unprivileged_account()
    return {
        "cwd": "/",
        "user": account.uid if account else None,
        "group": account.gid if account else None,
        "extra_groups": [] if account else None,
    }


def _open_to_others(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def _shared_place(name: str) -> Path:
    base = Path(tempfile.gettempdir()) / f"analytics-replica-{os.geteuid()}"
    base.mkdir(mode=0o711, exist_ok=True)
    if base.stat().st_uid != os.geteuid():
        raise DemoError(
            what=f"{base} belongs to somebody else.",
            why="Server data in another account's directory would not be private.",
            next="Remove it, or set TMPDIR to a directory of your own.",
        )
    return base / name


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]


def _shell_quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
