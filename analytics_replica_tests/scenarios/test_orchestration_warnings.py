"""Somebody hears before 04:00, once: the real sensors on frozen clocks and real storage.

Past nights are materializations of `ready` with their durations; tonight's runs are really run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from analytics_replica.definitions import build_definitions
from analytics_replica.domain.clock import FixedClock
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.metadata import DURATIONS
from analytics_replica.orchestration.nightly import run_nightly
from analytics_replica.postgres.local_server import LocalServer
from analytics_replica_tests.support.dagster_time import dagster_at
from analytics_replica_tests.support.nights import House, house

pytestmark = pytest.mark.slow

BERLIN = ZoneInfo("Europe/Berlin")
USUAL = {
    "raw": 300.0,
    "raw checks": 1.0,
    "staging": 2400.0,
    "staging checks": 60.0,
    "gold": 5400.0,
    "gold checks": 60.0,
    "base/base_club__members": 1.0,
    "base/base_club__visits": 1.0,
    "gold/member_fees": 3600.0,
    "ready": 60.0,
}


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-{text}").replace(tzinfo=BERLIN)


@dataclass
class Watch:
    """The readiness sensor, ticked by hand at moments of our choice; cursors are kept."""

    house: House
    instance: dg.DagsterInstance
    cursor: str | None = None

    def tick(self, at: str, definitions: dg.Definitions | None = None) -> str:
        """What the sensor says when Berlin's clocks show this."""
        defs = definitions or build_definitions(self.house.settings, FixedClock(berlin(at)))
        sensor = defs.resolve_sensor_def("readiness")
        with (
            dagster_at(berlin(at)),
            dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursor,
                definitions=defs,
                resources={"replica": defs.resources["replica"]} if defs.resources else None,
            ) as context,
        ):
            said = sensor(context)
            self.cursor = context.cursor
        assert isinstance(said, dg.SkipReason)
        return str(said.skip_message)

    def alerts(self) -> list[str]:
        """The subjects in the alerts file, in order."""
        file = self.house.root / "alerts.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [json.loads(line)["subject"] for line in lines]


@contextmanager
def watched(server: LocalServer, nights: int, **changes: object) -> Iterator[Watch]:
    """A house that has been watched for so many good nights, the last ending on the 10th."""
    with (
        house(server, **{"deadlines.nightly_start": "22:00", **changes}) as made,
        made.instance() as instance,
    ):
        for night in range(nights):
            good = berlin("10 00:20") - timedelta(days=nights - 1 - night)
            with dagster_at(good):
                event = dg.AssetMaterialization(
                    keys.READY, metadata={DURATIONS: dg.MetadataValue.json(USUAL)}
                )
                instance.report_runless_asset_event(event)
        yield Watch(made, instance)


def test_a_night_that_does_not_start_is_told_hours_before_four_and_only_once(
    server: LocalServer,
) -> None:
    with watched(server, nights=14) as watch:
        a_run_long_ago(watch)
        assert watch.tick("10 21:30").startswith("ON_TRACK: 21:30 Europe/Berlin: p95 finish 00:18")
        assert watch.tick("10 22:04").startswith("ON_TRACK")
        assert watch.alerts() == []
        for minute in range(6, 60, 9):
            assert watch.tick(f"10 22:{minute:02d}").startswith("AT_RISK")
        (subject,) = watch.alerts()
        assert subject == (
            "AT_RISK: 22:06 Europe/Berlin: raw has not started; it was to begin at 22:00; "
            "p95 finish 00:24"
        )
        watch.tick("11 03:59")
        watch.tick("11 04:00")
        watch.tick("11 04:30")
        assert [subject[:24] for subject in watch.alerts()] == [
            "AT_RISK: 22:06 Europe/Be",
            "LATE: 04:00 Europe/Berli",
        ]


def test_when_the_night_becomes_ready_after_an_alert_somebody_hears_that_too(
    server: LocalServer,
) -> None:
    with watched(server, nights=3) as watch:
        a_run_long_ago(watch)
        watch.tick("11 02:40")
        with dagster_at(berlin("11 03:50")):
            watch.instance.report_runless_asset_event(dg.AssetMaterialization(keys.READY))
        assert watch.tick("11 03:51").startswith(
            "READY: 03:51 Europe/Berlin: ready since 03:50, 10 minutes before 04:00"
        )
        watch.tick("11 03:52")
        assert [subject.split(":")[0] for subject in watch.alerts()] == ["AT_RISK", "RESOLVED"]


def test_not_knowing_is_told_ninety_minutes_before_the_deadline(server: LocalServer) -> None:
    with watched(server, nights=0, **{"deadlines.nightly_start": "03:10"}) as watch:
        assert watch.tick("10 02:29").startswith("UNKNOWN")
        assert watch.alerts() == []
        assert watch.tick("10 02:31").startswith("UNKNOWN: 02:31 Europe/Berlin: no past night says")
        watch.tick("10 02:40")
        assert [subject.split(":")[0] for subject in watch.alerts()] == ["UNKNOWN"]


def test_a_failed_night_is_one_incident_for_the_failure_and_the_risk_it_makes(
    server: LocalServer,
) -> None:
    with watched(server, nights=5) as watch:
        broken = watch.house.without_warehouse()
        with dagster_at(berlin("10 22:00")):
            report = run_nightly(broken, watch.instance)
        assert report.error is not None
        tell_of_failure(watch, report.run_id, "10 22:01")
        watch.tick("10 22:02")
        watch.tick("10 22:30")
        (subject,) = watch.alerts()
        assert subject.startswith("AT_RISK: nightly failed at staging: PostgreSQL at 127.0.0.1:1")
        watch.tick("11 04:01")
        assert watch.alerts()[1].startswith(
            "LATE: 04:01 Europe/Berlin: 04:00 has passed and the run"
        )
        assert len(watch.house.warehouse.rows("select 1 from ops.incident")) == 1


def test_while_the_warehouse_is_down_the_warning_goes_straight_to_the_sinks_and_once(
    server: LocalServer,
) -> None:
    with watched(server, nights=5) as watch:
        a_run_long_ago(watch)
        nowhere = watch.house.without_warehouse()
        for minute in ("02:40", "02:41", "02:42"):
            late = replace_clock(nowhere, berlin(f"11 {minute}"))
            said = watch.tick(f"11 {minute}", late)
            assert said.endswith("The warehouse could not keep the incident.")
        assert [subject.split(":")[0] for subject in watch.alerts()] == ["AT_RISK"]


def test_the_schedules_run_in_the_zone_of_the_promise_also_when_clocks_change(
    server: LocalServer,
) -> None:
    with house(server) as made, dg.DagsterInstance.ephemeral() as instance:
        definitions = made.definitions()
        (nightly,) = [s for s in schedules(definitions) if s.name == "nightly_schedule"]
        assert nightly.execution_timezone == "Europe/Berlin"
        starts = [
            tick.astimezone(UTC).strftime("%m-%d %H:%M")
            for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25")
            for tick in [first_tick(nightly, datetime.fromisoformat(f"{day} 00:00+00:00"))]
        ]
        assert starts == ["03-28 02:10", "03-29 01:10", "10-24 01:10", "10-25 02:10"]
        assert instance.is_ephemeral


def a_run_long_ago(watch: Watch) -> None:
    """Nights are promised from the first run on; this one was before all of them."""
    with dagster_at(berlin("01 12:00")):
        done = noop.execute_in_process(instance=watch.instance)
    assert done.success


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def noop() -> None:
    """Does nothing."""
    nothing()


def tell_of_failure(watch: Watch, run_id: str, at: str) -> None:
    """What Dagster's daemon does when it sees that a run has failed."""
    definitions = build_definitions(watch.house.settings, FixedClock(berlin(at)))
    run = watch.instance.get_run_by_id(run_id)
    assert run is not None
    failed = next(
        entry.dagster_event
        for entry in watch.instance.all_logs(run_id)
        if entry.dagster_event is not None
        and entry.dagster_event.is_failure
        and not entry.dagster_event.is_step_event
    )
    assert definitions.resources is not None
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failures",
        dagster_event=failed,
        dagster_instance=watch.instance,
        dagster_run=run,
        resources={"replica": definitions.resources["replica"]},
    ).for_run_failure()
    sensor: Any = definitions.resolve_sensor_def("run_failures")
    sensor(context)


def replace_clock(definitions: dg.Definitions, at: datetime) -> dg.Definitions:
    """The same code location at another time."""
    assert definitions.resources is not None
    there = replace(definitions.resources["replica"], clock=FixedClock(at))
    return build_definitions(there.settings, there.clock)


def schedules(definitions: dg.Definitions) -> list[dg.ScheduleDefinition]:
    return [s for s in definitions.schedules or [] if isinstance(s, dg.ScheduleDefinition)]


def first_tick(schedule: dg.ScheduleDefinition, after: datetime) -> datetime:
    """When this schedule runs for the first time after this moment."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    crons = schedule.cron_schedule
    assert isinstance(crons, str)
    ticks = schedule_execution_time_iterator(
        after.timestamp(), crons, schedule.execution_timezone, ascending=True
    )
    return next(iter(ticks))
