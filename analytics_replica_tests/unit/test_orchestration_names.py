"""Names, schedules and results in the graph."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analytics_replica.domain.tables import TableName
from analytics_replica.domain.verdicts import Finding, Verdict
from analytics_replica.errors import SettingsInvalid
from analytics_replica.orchestration import keys
from analytics_replica.orchestration.freshness import by_deadline, nightly_deadline
from analytics_replica.orchestration.jobs import every_minutes
from analytics_replica.orchestration.verdicts import WARN, Check
from analytics_replica.settings.load import load_settings
from analytics_replica.settings.schema import Deadlines

TODAY = date(2026, 11, 21)
KEY = dg.AssetCheckKey(dg.AssetKey(["staging", "orders"]), "drift")

# ------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("orders", "orders"),
        ("Order Lines", "Order_x20_Lines"),
        ("größe", "gr_xf6__xdf_e"),
        ("a.b", "a_x2e_b"),
        ("_x20_", "_x5f_x20_"),
    ],
)
def test_a_name_becomes_a_part_of_a_key_that_dagster_allows(name: str, part: str) -> None:
    assert keys.slug(name) == part
    assert keys.unslug(part) == name


@given(st.text(min_size=1))
def test_every_name_has_its_own_key_and_comes_back_from_it(name: str) -> None:
    part = keys.slug(name)
    assert part.isascii()
    assert part.replace("_", "").isalnum() or set(part) == {"_"}
    assert keys.unslug(part) == name


def test_keys_use_the_name_in_staging_so_aliases_tell_tables_apart(tmp_path: Path) -> None:
    columns = {"columns": {"id": "keep"}}
    file = tmp_path / "replica.yaml"
    tables = {"crm.users": {**columns, "alias": "crm_users"}, '"My Schema".users': columns}
    file.write_text(yaml.safe_dump({**MINIMAL, "tables": tables}))
    settings = load_settings(file, {})
    assert keys.raw(settings, TableName("crm", "users")).path == ["raw", "crm_users"]
    assert keys.staging(settings, TableName("My Schema", "users")).path == ["staging", "users"]


# --------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("minutes", "crons"),
    [
        (30, ["*/30 * * * *"]),
        (60, ["0 * * * *"]),
        (120, ["0 0,2,4,6,8,10,12,14,16,18,20,22 * * *"]),
        (720, ["0 0,12 * * *"]),
    ],
)
def test_captures_are_counted_from_midnight(minutes: int, crons: list[str]) -> None:
    assert every_minutes(minutes) == crons


@given(st.integers(1, 720))
def test_no_two_captures_are_closer_than_was_asked_for(minutes: int) -> None:
    moments = sorted(
        int(hour) * 60 + int(minute)
        for cron in every_minutes(minutes)
        for minutes_, hours, *_ in [cron.split()]
        for hour in (range(24) if hours == "*" else hours.split(","))
        for minute in (range(0, 60, minutes) if "/" in minutes_ else minutes_.split(","))
    )
    assert moments == list(range(0, 24 * 60, minutes))


# --------------------------------------------------------------------------------- deadlines


def test_a_night_that_starts_in_the_hour_of_the_clock_change_is_refused() -> None:
    deadlines = Deadlines(zone="Europe/Berlin", nightly_start=time(2, 30))
    with pytest.raises(SettingsInvalid) as refused:
        nightly_deadline(deadlines, TODAY)
    assert refused.value.what == (
        "deadlines.nightly_start is 02:30, a time that the clocks of Europe/Berlin skip or repeat "
        "on 2027-03-28."
    )


def test_the_same_hour_is_fine_where_clocks_never_change() -> None:
    deadlines = Deadlines(zone="UTC", nightly_start=time(2, 30))
    assert nightly_deadline(deadlines, TODAY).begins_at == time(2, 30)


def test_freshness_looks_back_to_the_begin_of_the_longest_night() -> None:
    def looks_back(starts: time) -> timedelta:
        deadlines = Deadlines(zone="Europe/Berlin", nightly_start=starts)
        policy: Any = by_deadline(nightly_deadline(deadlines, TODAY), TODAY)
        assert (policy.deadline_cron, policy.timezone) == ("0 4 * * *", "Europe/Berlin")
        back: timedelta = policy.lower_bound_delta
        return back

    assert looks_back(time(3, 10)) == timedelta(minutes=50)
    assert looks_back(time(22, 0)) == timedelta(hours=7)  # six, and the hour of autumn
    assert looks_back(time(4, 0)) == timedelta(hours=24)


# ----------------------------------------------------------------------------------- results


def test_not_knowing_is_a_failed_check_whose_severity_is_the_checks_own() -> None:
    doubt = Verdict.cannot_tell("drift", Finding("staging.orders", "was never applied"))
    for check, severity in ((Check("…"), "ERROR"), (Check("…", doubt=WARN), "WARN")):
        result = check.result(doubt, KEY)
        assert (result.passed, result.severity.value) == (False, severity)
    assert result.description == "drift: CANNOT_TELL: staging.orders: was never applied"


def test_a_failure_is_an_error_whatever_the_severity_of_doubt() -> None:
    fault = Verdict.from_findings("drift", [Finding("staging.orders.city", "is sealed")], columns=3)
    result = Check("…", doubt=WARN).result(fault, KEY)
    assert (result.passed, result.severity.value) == (False, "ERROR")
    assert result.metadata["columns"].value == 3
    findings = result.metadata["findings"]
    assert isinstance(findings, dg.TableMetadataValue)
    assert findings.records[0].data == {"where": "staging.orders.city", "finding": "is sealed"}


MINIMAL = {
    "source": {"dsn": {"env": "SOURCE"}, "copy_directory": "copy"},
    "masking": {"keys": {"k1": {"env": "KEY"}}, "active_key": "k1"},
    "landing": {"url": "landing"},
    "warehouse": {"dsn": {"env": "WAREHOUSE"}},
    "gold": {"project_dir": "gold"},
}
