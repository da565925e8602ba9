"""All asset checks on what is there now, without materializing anything.

Here: running them and counting those that did not run. Not here: printing and exit codes (cli).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg

from analytics_replica.definitions_of import build_definitions
