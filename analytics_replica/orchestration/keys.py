"""Names in the Dagster graph: asset keys, jobs, steps, pools.

Here: every name that more than one module uses, and the spelling of foreign names as keys. Not
here: what dbt nodes are called (translator.py). Dagster allows letters, digits and `_` in a key;
other characters are written as `_x<hex>_`, so different names never share a key.
"""

from __future__ import annotations

import re
from typing import Final

import dagster as dg

from analytics_replica.domain.tables import TableName
from analytics_replica.settings.load import Settings

RAW: Final = "raw"
STAGING: Final = "staging"
GOLD: Final = "gold"
GOLD_BUILD: Final = "gold_build"
"""The group of the layers below gold: built with it, read by nobody else."""

READY: Final = dg.AssetKey("ready")
READY_STEP: Final = "ready"
CAPTURE_STEP: Final = "capture"
RAW_CHECKS_STEP: Final = "raw_checks"
APPLY_STEP: Final = "apply"
STAGING_CHECKS_STEP: Final = "staging_checks"
GOLD_STEP: Final = "gold"
GOLD_CHECKS_STEP: Final = "gold_checks"

NIGHTLY_JOB: Final = "nightly"
CAPTURE_JOB: Final = "intraday_capture"
CHECKS_JOB: Final = "all_checks"

SLOT_POOL: Final = "replication_slot"

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_]|_(?=x[0-9a-f])")
_ESCAPE: Final = re.compile(r"_x([0-9a-f]+)_")


def slug(name: str) -> str:
    """The name as part of a key: itself if it may be, else with `_x<hex>_` for what may not.

    >>> slug("orders"), slug("Order Lines"), slug("tax_x1")
    ('orders', 'Order_x20_Lines', 'tax_x5f_x1')
    """
    return _FOREIGN.sub(lambda found: f"_x{ord(found[0]):x}_", name)


def unslug(part: str) -> str:
    """The name that `slug` wrote as this part of a key."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), part)


def raw(settings: Settings, table: TableName) -> dg.AssetKey:
    """The landed changes of a table."""
    return dg.AssetKey([RAW, slug(settings.staging_name(table))])


def staging(settings: Settings, table: TableName) -> dg.AssetKey:
    """The masked current state of a table."""
    return dg.AssetKey([STAGING, slug(settings.staging_name(table))])


def staging_relation(name: str) -> dg.AssetKey:
    """The staging asset behind a relation of this name in the staging schema."""
    return dg.AssetKey([STAGING, slug(name)])


def model(layer: str, name: str) -> dg.AssetKey:
    """A dbt model in its layer (base, intermediate, gold)."""
    return dg.AssetKey([slug(layer), slug(name)])
