"""One run of dbt: into which edition, with what environment, and what is made of its results.

Here: building an edition, checking the last one, and dbt's failures as our errors. Not here: the
assets (assets/gold.py), the project's files (project.py). dbt's own messages may quote rows of
staging, so they go nowhere: errors say what dbt_program.py made of them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtProject

from analytics_replica.errors import CheckFailed, ReplicaError, WarehouseError
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import read_manifest
from analytics_replica.orchestration import keys, metadata
from analytics_replica.orchestration.dbt_events import DbtEvents, Event
from analytics_replica.orchestration.environment import environment
from analytics_replica.orchestration.project import (
    build_target,
    checks_target,
    dbt_environment,
    kept_from_dbt,
)
from analytics_replica.orchestration.resources import OfflineDbt, Replica
from analytics_replica.orchestration.translator import ReplicaTranslator
from analytics_replica.postgres.connect import Connection, connect
from analytics_replica.serving.as_of import AsOf, rows_of, staging_of, write_as_of
from analytics_replica.serving.editions import (
    Edition,
    build_edition,
    ensure_serving_schema,
    published_edition,
)
from analytics_replica.serving.views import views_of_manifest
from analytics_replica.staging import ledger
from analytics_replica.staging.freshness import freshness_of, landing_evidence, with_ledger
from analytics_replica.staging.ledger import Ledger

BUILD: Final = ("build", "--exclude-resource-type", "unit_test")
"""Unit tests judge code, not tonight's data, and Dagster does not show them: they run in CI."""

RESULTS: Final = "run_results.json"
NAMED: Final = 5

T = TypeVar("T")


@dataclass(frozen=True)
class DbtRuns:
    """dbt for one step of one run."""

    context: dg.AssetExecutionContext
    replica: Replica
    dbt: OfflineDbt
    project: DbtProject
    manifest: Mapping[str, Any]
    translator: ReplicaTranslator
    models: Collection[dg.AssetKey]
    """All that dbt builds; the context knows only what was selected."""

    def build(self) -> Iterator[Event]:
        """Builds and tests every model in the edition that nobody reads.

        Results for what was selected, records for the rest. CheckFailed if a test failed,
        WarehouseError if a model could not be built: after everything else was reported.
        """
        with closing(connect(self.replica.warehouse_dsn)) as conn:
            conn.autocommit = True
            ensure_serving_schema(conn)
            edition = build_edition(conn)
            known = ledger.read(conn)
            told = self._as_of(conn)
            target = build_target(self.project, edition)
            (target / RESULTS).unlink(missing_ok=True)
            events = DbtEvents(
                context=self.context,
                manifest=self.manifest,
                translator=self.translator,
                project=self.project,
                target=target,
                edition=edition,
                conn=conn,
                told=metadata.of_build(edition, known.position, as_of(self.replica.store, known)),
            )
            invocation = self._start(BUILD, edition, target)
            for message in unheard(invocation.stream_raw_events()):
                yield from events.of(message)
            invocation.process.wait()
            if _results(invocation.target_path) and not _unbuilt(invocation):
                write_as_of(conn, edition, told)
        _require_built(invocation, edition)

    def check(self) -> Iterator[Event]:
        """Runs the selected tests on what was built last; a failed one is a failed check, no error.

        What was built last is the candidate until it is published, then the published edition.
        """
        edition = self._last_built()
        with checks_target(self.project, edition, self.context.run.run_id) as target:
            with self._environment(edition):
                invocation = self.dbt.cli(
                    ["build"], context=self.context, target_path=target, raise_on_error=False
                )
            for event in unheard(invocation.stream()):
                if isinstance(event, dg.AssetCheckResult):
                    yield event
            if invocation.process.wait() != 0 and not _results(invocation.target_path):
                raise _dbt_died(invocation)

    def _as_of(self, conn: Connection) -> tuple[AsOf, ...]:
        """How fresh staging is now, for those who will read what is built from it."""
        replica, settings = self.replica, self.replica.settings
        evidence = with_ledger(landing_evidence(settings, replica.clock.now()), conn).of_staging()
        found = {settings.staging_name(t): freshness_of(t, evidence) for t in settings.tables}
        return rows_of(found, staging_of(self.manifest, views_of_manifest(self.manifest)))

    def _start(self, args: tuple[str, ...], edition: Edition, target: Path) -> DbtCliInvocation:
        # Without the context, which would narrow the build to what was selected.
        with self._environment(edition):
            return self.dbt.cli(
                args,
                manifest=self.manifest,
                dagster_dbt_translator=self.translator,
                target_path=target,
                raise_on_error=False,
            )

    def _environment(self, edition: Edition) -> AbstractContextManager[None]:
        settings = self.replica.settings
        return environment(dbt_environment(settings, edition), kept_from_dbt(settings))

    def _last_built(self) -> Edition:
        with closing(connect(self.replica.warehouse_dsn)) as conn:
            published = published_edition(conn)
        instance = self.context.instance
        latest = dict(instance.get_latest_materialization_events([*self.models, keys.READY]))
        ready = latest.pop(keys.READY, None)
        last = max((event.timestamp for event in latest.values() if event), default=0.0)
        if published is not None and ready is not None and ready.timestamp >= last:
            return published
        return published.other if published is not None else Edition.A


def unheard(said: Iterable[T]) -> Iterator[T]:
    """What dbt says, without dagster-dbt's copy of it on standard output.

    Dagster keeps that for each step, and a model's own words may quote rows. Output is closed only
    while the next thing is waited for: between two, the step's thread is Dagster's.
    """
    waiting = iter(said)
    while True:
        with redirect_stdout(io.StringIO()):
            try:
                heard = next(waiting)
            except StopIteration:
                return
        yield heard


def as_of(store: Store, known: Ledger) -> datetime | None:
    """Production's time that staging shows: its last commit, else when the batch was captured.

    A first copy holds no transaction, so production's own clock says nothing of it.
    """
    if known.last_commit_at is not None or known.last_batch == 0:
        return known.last_commit_at
    return read_manifest(store, known.last_batch).captured_at


def _require_built(invocation: DbtCliInvocation, edition: Edition) -> None:
    if invocation.process.wait() == 0:
        return
    results = _results(invocation.target_path)
    broken = _unbuilt(invocation)
    failed = [_name(result) for result in results if result["status"] == "fail"]
    kept = f"{edition} is kept as it is and is not published; readers keep the last edition."
    if broken:
        raise WarehouseError(
            what=f"dbt could not build {_named([f'{n} ({why})' for n, why in broken.items()])}.",
            why=kept,
            next="Run its statement yourself to see the words: they are in "
            f"{invocation.target_path / 'run'}. An SQLSTATE's meaning is in PostgreSQL's manual "
            "(appendix A).",
        )
    if failed:
        raise CheckFailed(
            what=f"{len(failed)} of gold's tests failed: {_named(failed)}.",
            why=kept,
            next=f"Look at the rows that the test selects in {edition}, mend the cause, and run "
            "the night again.",
        )
    raise _dbt_died(invocation)


def _unbuilt(invocation: DbtCliInvocation) -> dict[str, str]:
    """What could not be built, and why; whatever dbt could not even begin is not there."""
    results = _results(invocation.target_path)
    return {_name(r): str(r["message"]) for r in results if r["status"] == "error"}


def _dbt_died(invocation: DbtCliInvocation) -> ReplicaError:
    return WarehouseError(
        what=f"dbt ended with code {invocation.process.returncode} before it built or tested.",
        why="Nothing was published; readers keep the last edition.",
        next="`analytics-replica doctor` looks at the warehouse and its roles; if it is content, "
        f"run `dbt compile` in {invocation.project_dir} to see dbt's own words.",
    )


def _results(target: Path) -> list[dict[str, Any]]:
    file = target / RESULTS
    if not file.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(file.read_bytes())["results"]
    return found


def _name(result: Mapping[str, Any]) -> str:
    """`model.project.name` and `test.project.name.hash` → name."""
    return str(result["unique_id"]).split(".")[2]


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more
