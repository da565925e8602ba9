"""A small staging that tests rebuild, and what is there afterwards.

Here: its landing, one more batch, a rebuild, pictures. Not here: drawing landings (landed.py).
"""

from __future__ import annotations

from pathlib import Path

from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.staging.rebuild import Asked, RebuildReport, rebuild
from analytics_replica_tests.support.drawings import shown
from analytics_replica_tests.support.landed import LOG, PEOPLE, Landing
from analytics_replica_tests.support.servers import Database

BESIDE = Asked(swap=False)


def stood(root: Path, warehouse: Database) -> Landing:
    """Three people and two equal lines, applied: staging stands at 0/200."""
    landing = Landing(root, (PEOPLE, LOG))
    landing.copy(
        "0/100",
        {
            PEOPLE: "id | city | bio\n1 | Oslo | one\n2 | Bergen | two\n3 | Turku |",
            LOG: "at | line\n2026-01-01 | x\n2026-01-01 | x",
        },
    )
    landing.stream(
        "0/200",
        {
            PEOPLE: "lsn | op | id | city | bio\n0/110 | update | 1 | Rome | ~",
            LOG: "lsn | op | at | line\n0/120 | delete | 2026-01-01 | x\n0/130 | insert | | y",
        },
    )
    landing.apply(warehouse)
    return landing


def rebuilt(landing: Landing, warehouse: Database, asked: Asked | None = None) -> RebuildReport:
    """A rebuild, swapped in unless it is asked for otherwise."""
    return rebuild(landing.settings(warehouse), SystemClock(), asked=asked)


def pictures(warehouse: Database, schema: str = "staging") -> list[object]:
    """The rows of both tables in this schema."""
    return [shown(warehouse, f"{schema}.people"), shown(warehouse, f"{schema}.log")]


def go_on(landing: Landing) -> None:
    """One more batch, which is not applied."""
    position = Lsn(landing.position.value + 0x100)
    inside = Lsn(position.value - 0x80)
    landing.stream(
        str(position),
        {
            PEOPLE: f"lsn | op | id | city | bio\n{inside} | insert | {position.value} | Bari | b",
            LOG: f"lsn | op | at | line\n{inside} | insert | 2026-01-01 | x",
        },
    )
