"""Jobs and schedules: the nightly chain, the captures of the day, all checks.

Here: what runs when. Not here: what it does. The chain is one job, so that one run means one
night; captures in between keep production's log short and the night's part small.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import dagster as dg

from analytics_replica.orchestration import keys
from analytics_replica.settings.load import Settings

MINUTES_A_DAY: Final = 24 * 60
CHAIN_TAG: Final = "analytics_replica/chain"


def nightly_job() -> dg.UnresolvedAssetJobDefinition:
    """The chain from raw to ready, with every check in between."""
    return dg.define_asset_job(
        keys.NIGHTLY_JOB,
        selection=dg.AssetSelection.all(),
        description="The whole night: capture, apply, build, check, publish.",
        tags={CHAIN_TAG: "nightly"},
    )


def capture_job() -> dg.UnresolvedAssetJobDefinition:
    """Capture alone, with its checks."""
    return dg.define_asset_job(
        keys.CAPTURE_JOB,
        selection=dg.AssetSelection.groups(keys.RAW),
        description="Lands what production committed since the last capture.",
        tags={CHAIN_TAG: "capture"},
    )


def checks_job() -> dg.UnresolvedAssetJobDefinition:
    """Every check, materializing nothing."""
    return dg.define_asset_job(
        keys.CHECKS_JOB,
        selection=dg.AssetSelection.all_asset_checks(),
        description="Every asset check on what is there now; materializes nothing.",
    )


def schedules(
    settings: Settings,
    nightly: dg.UnresolvedAssetJobDefinition,
    capture: dg.UnresolvedAssetJobDefinition,
) -> list[dg.ScheduleDefinition]:
    """The night in the zone of the promise, and the captures of the day; both on by default."""
    deadlines = settings.replica.deadlines
    begin, crons = deadlines.nightly_start, every_minutes(deadlines.capture_every_minutes)
    return [
        dg.ScheduleDefinition(
            name="nightly_schedule",
            job=nightly,
            cron_schedule=f"{begin.minute} {begin.hour} * * *",
            execution_timezone=deadlines.zone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Starts the night at {begin:%H:%M} {deadlines.zone}.",
        ),
        dg.ScheduleDefinition(
            name="intraday_capture_schedule",
            job=capture,
            cron_schedule=crons if len(crons) > 1 else crons[0],
            execution_timezone=deadlines.zone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Captures every {deadlines.capture_every_minutes} minutes.",
        ),
    ]


def every_minutes(minutes: int) -> list[str]:
    """Cron lines for every so many minutes, counted from midnight.

    Cron itself can only count within an hour: `*/45` would run at :00 and :45.
    """
    if minutes < 60 and 60 % minutes == 0:
        return [f"*/{minutes} * * * *"]
    by_hour: dict[int, list[int]] = defaultdict(list)
    for moment in range(0, MINUTES_A_DAY, minutes):
        by_hour[moment // 60].append(moment % 60)
    by_minutes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for hour, within in by_hour.items():
        by_minutes[tuple(within)].append(hour)
    return [
        f"{_listed(within)} {_listed(hours) if len(hours) < 24 else '*'} * * *"
        for within, hours in by_minutes.items()
    ]


def _listed(numbers: tuple[int, ...] | list[int]) -> str:
    return ",".join(str(number) for number in numbers)
