"""The order of doctor's questions: from the file in front of a person to the first night.

Here: asking everything once, whatever fails. Not here: any question (the other files).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analytics_replica.cli.doctor.answers import fine
from analytics_replica.cli.doctor.configuration import configuration
from analytics_replica.cli.doctor.dagster import dagster
from analytics_replica.cli.doctor.gold import gold
from analytics_replica.cli.doctor.nights import nights
from analytics_replica.cli.doctor.places import first_copy, landing
from analytics_replica.cli.doctor.warehouse import warehouse
from analytics_replica.domain.batches import Manifest
from analytics_replica.domain.clock import SystemClock
from analytics_replica.domain.lsn import Lsn
from analytics_replica.domain.verdicts import Verdict
from analytics_replica.errors import LandingError, ReplicaError
from analytics_replica.landing.disk import disk_errors
from analytics_replica.landing.layout import Store
from analytics_replica.landing.manifest import last_manifest
from analytics_replica.landing.silence import silent_upto
from analytics_replica.settings.load import Settings
from analytics_replica.source.preflight import failed, preflight

VALID = "replica.yaml is valid"


def all_answers(load: Callable[[], Settings]) -> Iterator[Verdict]:
    """Every answer, in the order in which a person would deal with what is missing.

    Ends after the first if replica.yaml cannot be loaded: nothing else has a meaning then.
    """
    try:
        settings = load()
    except ReplicaError as cause:
        yield failed(VALID, cause)
        return
    yield fine(VALID, file=str(settings.file))
    yield from configuration(settings)
    last, recorded = _last(settings)
    production = preflight(settings, last=last, recorded=recorded)
    yield from production
    yield first_copy(settings, production[0])
    yield from landing(settings)
    yield from warehouse(settings)
    yield from gold(settings)
    yield from dagster(settings)
    yield from nights(settings, last, SystemClock())


def _last(settings: Settings) -> tuple[Manifest | None, Lsn | None]:
    """The newest landed batch and how far silence is recorded after it.

    None also if landing is broken, which `landing` reports.
    """
    store = Store.of(settings)
    try:
        with disk_errors("reading landing"):
            found = last_manifest(store)
    except LandingError:
        return None, None
    return (found[0], silent_upto(store, found[1])) if found else (None, None)
