"""The demo's three PostgreSQL servers: production, the warehouse, and Dagster's storage.

Here: making them, starting them again after a crash, stopping and removing them, and the
environment under which everything else finds them. Not here: one server (postgres.local_server),
what production holds (demo.shop).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import quote

from analytics_replica.demo.databases import prepare_database
from analytics_replica.demo.folder import PORTS_FILE, DemoFolder
from analytics_replica.errors import DemoError
from analytics_replica.postgres.binaries import find_binaries, major_version
from analytics_replica.postgres.local_server import PORT, LocalServer

ENVIRONMENT_FILE: Final = "demo.env"

_NOBODYS_PID: Final = 2**31 - 1
"""Linux counts processes up to 2**22."""

_EVERYWHERE: Final = {"timezone": "UTC", "log_timezone": "UTC", "log_line_prefix": "%m [%p] %u@%d "}
_NO_VALUES_LOGGED: Final = {
    # The server's own messages (starts, checkpoints) stay; errors of statements, whose text quotes
    # values, and the statements themselves are told to the client alone.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
"""For servers outside production (docs/reference/errors-and-values.md says what a DBA sets)."""
_PRODUCTION: Final = {
    **_EVERYWHERE,
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_slot_wal_keep_size": "8GB",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "log_replication_commands": "on",
}
_WAREHOUSE: Final = {
    **_EVERYWHERE,
    **_NO_VALUES_LOGGED,
    # nothing is replicated from here, so a table that is filled when it is made needs no log
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}
_DAGSTER: Final = {
    **_EVERYWHERE,
    **_NO_VALUES_LOGGED,
    "shared_buffers": "64MB",
    "synchronous_commit": "off",
}


@dataclass(frozen=True)
class DemoServers:
    """Three real servers under `root`, reached by unix sockets that only this account can open.

    `bin_dir` names PostgreSQL's programs; without it, those the folder was made with, else the
    embedded ones. `log_statement` is production's setting of that name, from its next start on.
    """

    root: Path
    bin_dir: Path | None = None
    log_statement: str = "none"

    def up(self) -> tuple[str, ...]:
        """Makes what is missing and starts what does not run; the names of what was started.

        May be called at any time, also after a crash or a reboot; a second call waits for a first.
        """
        self.folder.claim(self._programs())
        with self.folder.alone():
            started = tuple(self._start(name) for name in self._servers if not self._runs(name))
            prepare_database(self.production_server.dsn(), "shop")
            prepare_database(
                self._servers["warehouse"].dsn(),
                "warehouse",
                owner="loader",
                readers=("analyst", "analytics_engineer"),
            )
            prepare_database(self._servers["dagster"].dsn(), "dagster", owner="dagster")
            self._write_dagster_home()
            self.folder.masking_key()
        return started

    def listen(self) -> dict[str, int]:
        """Lets every server listen on a free port of 127.0.0.1 too, now and at later starts.

        For tools that cannot use a unix socket. Any account of this machine can connect then. The
        servers are started again for it; the DSNs change, so the environment must be read anew.
        """
        known = self.folder.ports()
        if not known:
            self.down()
            known = {name: _free_port() for name in self._servers}
            self.folder.claim(self._programs())
            self.folder.write_private(PORTS_FILE, json.dumps(known))
            self.__dict__.pop("_servers", None)
        self.up()
        return known

    def down(self) -> None:
        """Stops the servers; their data stay. Nothing happens if none runs."""
        if not self.folder.is_ours:
            return
        with self.folder.alone():
            for name in reversed(self._servers):
                if self._runs(name):
                    self._servers[name].stop()

    def reset(self) -> None:
        """Stops the servers and removes the folder with everything in it.

        DemoError, and nothing is touched, if the folder was not made by `up`.
        """
        if not self.folder.path.exists():
            return
        self.folder.require_ours()
        self.down()
        for server in self._servers.values():
            if server.data_dir.is_symlink():
                shutil.rmtree(server.data_dir.resolve(), ignore_errors=True)
            shutil.rmtree(server.socket_dir, ignore_errors=True)
        shutil.rmtree(self.folder.path)

    def is_up(self) -> bool:
        """True if all three servers run."""
        return all(self._runs(name) for name in self._servers)

    def environment(self) -> dict[str, str]:
        """The variables that replica.yaml and Dagster read. Holds the masking key: keep it so."""
        dagster_socket = quote(str(self._servers["dagster"].socket_dir), safe="")
        return {
            "REPLICA_SOURCE_DSN": self.production_server.dsn("shop", "analytics_replica"),
            "REPLICA_WAREHOUSE_DSN": self._servers["warehouse"].dsn("warehouse", "loader"),
            "REPLICA_DAGSTER_PG_URL": "postgresql+psycopg2://dagster@/dagster"
            f"?host={dagster_socket}&port={self._servers['dagster'].port}",
            "REPLICA_MASKING_KEY_K1": self.folder.masking_key(),
            "DAGSTER_HOME": str(self._dagster_home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }

    def write_environment_file(self) -> Path:
        """The environment as a dotenv file that only this account can read."""
        lines = [f"{name}='{value}'\n" for name, value in self.environment().items()]
        return self.folder.write_private(ENVIRONMENT_FILE, "".join(lines))

    @property
    def production_server(self) -> LocalServer:
        """The server that plays production."""
        return self._servers["production"]

    @property
    def production_admin_dsn(self) -> str:
        """The shop's database, as its DBA sees it."""
        return self.production_server.dsn("shop")

    @property
    def production_log(self) -> Path:
        """What production's server logged; statements too, if `log_statement` says so."""
        return self.production_server.data_dir.resolve() / "server.log"

    @property
    def warehouse_admin_dsn(self) -> str:
        """The analytics database, as its DBA sees it."""
        return self._servers["warehouse"].dsn("warehouse")

    @property
    def dagster_admin_dsn(self) -> str:
        """Dagster's database, as its DBA sees it."""
        return self._servers["dagster"].dsn("dagster")

    @property
    def folder(self) -> DemoFolder:
        """The folder that holds the servers and what the demo writes."""
        return DemoFolder(self.root.absolute())

    @property
    def _dagster_home(self) -> Path:
        return self.folder.path / "dagster_home"

    @cached_property
    def _servers(self) -> dict[str, LocalServer]:
        programs, ports = self._programs(), self.folder.ports()
        return {
            name: LocalServer(
                programs,
                self.folder.path / name / "postgresql",
                port=ports.get(name, PORT),
                tcp=name in ports,
            )
            for name in ("production", "warehouse", "dagster")
        }

    def _programs(self) -> Path:
        return find_binaries(self.bin_dir or self.folder.programs)

    def _runs(self, name: str) -> bool:
        _forget_a_stranger(self._servers[name])
        return self._servers[name].is_running()

    def _start(self, name: str) -> str:
        server = self._servers[name]
        self._require_same_version(server)
        server.initialise()
        options = {"production": _PRODUCTION, "warehouse": _WAREHOUSE, "dagster": _DAGSTER}[name]
        if name == "production":
            options = {**options, "log_statement": self.log_statement}
        server.start(options)
        return name

    def _require_same_version(self, server: LocalServer) -> None:
        made_by = server.data_dir / "PG_VERSION"
        if not made_by.exists():
            return
        theirs, ours = made_by.read_text(encoding="ascii").strip(), major_version(server.bin_dir)
        if theirs != str(ours):
            raise DemoError(
                what=f"{self.folder.path} was made with PostgreSQL {theirs}, not with {ours}.",
                why="A server cannot read the data of another major version.",
                next="Name the older programs with `--postgres-bin`, or start anew with "
                "`analytics-replica demo reset`.",
            )

    def _write_dagster_home(self) -> None:
        self._dagster_home.mkdir(exist_ok=True)
        text = resources.files(__package__).joinpath("dagster.yaml").read_text(encoding="utf-8")
        (self._dagster_home / "dagster.yaml").write_text(text, encoding="utf-8")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _forget_a_stranger(server: LocalServer) -> None:
    """Makes it plain that the server is down if the process in postmaster.pid is not this server.

    After a reboot, or in a container that was started again, the number often belongs to another
    process or to a dead one that nobody buried, and PostgreSQL would believe that it runs. Where
    /proc does not tell, nothing is touched.
    """
    pid_file = server.data_dir / "postmaster.pid"
    try:
        pid, *rest = pid_file.read_text(encoding="utf-8").splitlines(keepends=True)
        command = Path("/proc", pid.strip(), "cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if os.fsencode(server.data_dir.resolve()) in command:
        return
    # The file stays: with a process that cannot exist, PostgreSQL itself makes sure that no
    # orphan of the old server still has its memory, and only then removes it.
    pid_file.write_text("".join((f"{_NOBODYS_PID}\n", *rest)), encoding="utf-8")
    shutil.rmtree(server.socket_dir, ignore_errors=True)
