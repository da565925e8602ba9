"""What every step is given: the settings, the clock, the locks, dbt.

Here: the resources of the graph. Not here: dbt's project and environment (project.py).
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject
from dagster_dbt.compat import DBT_PYTHON_VERSION
from packaging.version import Version

from analytics_replica.domain.clock import Clock
from analytics_replica.domain.progress import SILENT, Progress
from analytics_replica.errors import WarehouseUnreachable
from analytics_replica.landing.layout import Store
from analytics_replica.orchestration import dbt_program
from analytics_replica.postgres.connect import advisory_lock
from analytics_replica.settings.load import Settings
from analytics_replica.staging.apply import CHAIN_LOCK

CAPTURE_LOCK: Final = "capture"


@dataclass(frozen=True)
class Replica:
    """The settings and the clock of this replica, and who hears how far long work is."""

    settings: Settings
    clock: Clock
    progress: Progress = SILENT

    @property
    def warehouse_dsn(self) -> str:
        """The DSN of the analytics database; SettingsInvalid if its variable is not set."""
        return self.settings.secrets.get(self.settings.replica.warehouse.dsn)

    @property
    def store(self) -> Store:
        """Landing."""
        return Store.of(self.settings)


def replica_of(definitions: dg.Definitions) -> Replica:
    """The replica that these definitions were built for."""
    found = (definitions.resources or {}).get("replica")
    if not isinstance(found, Replica):
        raise TypeError("these are not the definitions of a replica")
    return found


@dataclass
class ChainLock:
    """The warehouse's lock on everything after capture, held from the first step that asks.

    It spans steps: the run holds it to its end, and PostgreSQL frees it if the process dies.
    Capture does not ask for it, so neither a second run nor a warehouse that is down stops it.
    """

    dsn: Callable[[], str]
    _held: contextlib.ExitStack | None = None

    def hold(self) -> None:
        """Takes the lock unless this run has it; AlreadyRunning if another run does."""
        if self._held is None:
            with contextlib.ExitStack() as taken:
                taken.enter_context(advisory_lock(self.dsn(), CHAIN_LOCK))
                self._held = taken.pop_all()

    def release(self) -> None:
        """Gives the lock back."""
        if self._held is not None:
            self._held.close()
            self._held = None


class OfflineDbt(DbtCliResource):
    """dbt behind the error firewall, without asking the package index for newer versions.

    dagster-dbt runs `dbt --version` before each command, which makes two HTTPS requests and takes
    4 s (2026-11-21). The version is known: dbt is installed beside us. Both hooks are private;
    test_orchestration_project.py fails if dagster-dbt stops using them.
    """

    @property
    def _cli_version(self) -> Version:
        if DBT_PYTHON_VERSION is None:  # pragma: no cover - setup.cfg installs dbt-core
            raise RuntimeError("dbt-core is not installed")
        return DBT_PYTHON_VERSION

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """No second dbt in this process: what it would be asked, dbt_events.py asks the catalog."""
        del args


def offline_dbt(project: DbtProject) -> OfflineDbt:
    """The dbt that is installed for this Python, wherever PATH points, for this project."""
    return OfflineDbt(
        project_dir=str(project.project_dir),
        dbt_executable=sys.executable,
        # No log: whatever dbt, an adapter or a macro writes there may quote rows.
        global_config_flags=["-m", dbt_program.__name__, "--log-level-file", "none"],
    )


ReplicaResource = dg.ResourceParam[Replica]
ChainResource = dg.ResourceParam[ChainLock]


def chain_resource(settings: Settings) -> dg.ResourceDefinition:
    """A lock that ends with the run."""

    @dg.resource(description="The lock on staging, gold and ready; one run at a time.")
    def chain() -> Iterator[ChainLock]:
        lock = ChainLock(lambda: settings.secrets.get(settings.replica.warehouse.dsn))
        try:
            yield lock
        finally:
            lock.release()

    return chain


@contextlib.contextmanager
def capture_lock(dsn: Callable[[], str], log: logging.Logger) -> Iterator[None]:
    """Lets one capture run at a time; AlreadyRunning if another does.

    Goes on without the lock, with a warning, if the warehouse is down: production's log must not
    pile up because of that. Two captures then still meet at the slot, which admits one reader, and
    at landing, which admits one writer.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(advisory_lock(dsn(), CAPTURE_LOCK))
        except WarehouseUnreachable as cause:
            log.warning("capture goes on without the warehouse's lock: %s", cause.what)
        yield
