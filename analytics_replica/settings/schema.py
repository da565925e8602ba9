"""The shape of replica.yaml.

Here: every key, its type, its default and why. Not here: the rules of columns (rules.py), reading
files or the environment (load.py). The models are frozen and refuse unknown keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from analytics_replica.settings.rules import (
    ClassName,
    ClassRule,
    ColumnRule,
    Region,
    keeps_anything,
)

SECRET: Final = re.compile(r"(^|_)(key|secret|token|password|credential|sas)")
"""Names of drivers' options whose values nobody may read in a file."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class FromEnvironment(_Part):
    """A value that is never written here: the name of the environment variable that holds it."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


class Source(_Part):
    """Production: how we reach its log."""

    dsn: FromEnvironment
    """Production's database, as a role with REPLICATION and no right on any table."""
    slot: str = Field(default="analytics_replica", pattern=r"^[a-z0-9_]{1,63}$")
    """The logical replication slot; PostgreSQL allows only these letters."""
    publication: str = Field(default="analytics_replica", min_length=1, max_length=63)
    """The publication that names the tables and columns which may leave production."""
    failover: bool = False
    """The slot is kept on standbys, too, so that it outlives a failover (PostgreSQL 17+)."""
    decode_from_standby: bool = False
    """The DSN is a standby's, which decodes instead of production (PostgreSQL 16+)."""
    copy_directory: Path
    """Where base backups are kept while the first copy runs: private, on production's side."""
    physical_copy: FromEnvironment | None = None
    """The DSN of a paused standby or restored backup, to copy from instead of a base backup."""
    copy_checkpoint: Literal["spread", "fast"] = "spread"
    """How production writes the checkpoint that a base backup needs: gently, or at once."""
    copy_workers: int = Field(default=2, ge=1, le=64)
    """How many connections read a physical copy at once."""
    postgres_bin: Path | None = None
    """PostgreSQL's programs of production's major version; default: the embedded ones."""

    @model_validator(mode="after")
    def _slot_is_in_one_place(self) -> Source:
        if self.failover and self.decode_from_standby:
            raise ValueError("PostgreSQL has no `failover` for a slot that is on a standby")
        return self


class KeySource(_Part):
    """Where a masking key comes from: an environment variable or a file, by key id."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> KeySource:
        if (self.env is None) == (self.file is None):
            raise ValueError("name exactly one of `env` and `file`")
        return self


class Masking(_Part):
    """The keys of the tokens. The keys themselves are never written here."""

    keys: dict[str, KeySource] = Field(min_length=1)
    """Key id → where the key is: 32 or more bytes, written in hex."""
    active_key: str
    """The id of the key that makes tokens now."""
    region: Region | None = None
    """The country (ISO 3166) of phone numbers that are written without one."""
    classes: dict[ClassName, ClassRule] = Field(default_factory=dict)
    """Class → what it brings here, instead of what it brings by itself."""
    patterns: dict[str, ClassRule] = Field(default_factory=dict)
    """`schema.table.column` with `*` → a mask, or drop, for columns that no table lists."""

    @field_validator("patterns")
    @classmethod
    def _patterns_never_keep(cls, patterns: dict[str, ClassRule]) -> dict[str, ClassRule]:
        for pattern, rule in patterns.items():
            if keeps_anything(rule):
                raise ValueError(
                    f"pattern {pattern!r} would keep columns that nobody has looked at"
                )
        return patterns

    @model_validator(mode="after")
    def _active_is_known(self) -> Masking:
        if self.active_key not in self.keys:
            raise ValueError(f"active_key {self.active_key!r} is not one of the keys")
        return self


class TableRules(_Part):
    """What happens to each column of one table. Every column of production must be listed."""

    columns: dict[str, ColumnRule] = Field(min_length=1)
    """Column → keep, drop (it never leaves production), or a mask."""
    alias: str | None = None
    """The table's name in staging; default: its own. Needed when two schemas share a name."""
    comments: bool = False
    """Comments of the table and of its columns come along, without what `redact` finds in them.
    A name stays in them, so somebody must have read them first."""
    append_only: bool = False
    """Kept as a log of inserted rows: updates and deletes are not seen. For tables without key."""
    deleted: Literal["remove", "keep"] = "remove"
    """keep: rows that production deleted stay in staging, marked with when. For tables with key."""
    history: bool = False
    """Every version of every row is kept, in a table of its own. For tables with a key."""
    deleted_days: int | None = Field(default=None, ge=0)
    """How long both tell of a deleted row; default: landing.retention_days."""

    @property
    def remembers(self) -> bool:
        """True if deleted rows are told of."""
        return self.history or self.deleted == "keep"

    def days_of_deleted(self, landing: Landing) -> int:
        """How many days a deleted row is told of."""
        return landing.retention_days if self.deleted_days is None else self.deleted_days

    @model_validator(mode="after")
    def _remembers_what_has_a_key(self) -> TableRules:
        if self.append_only and self.remembers:
            wrong = "history" if self.history else "deleted"
            raise ValueError(f"`{wrong}` needs a key, and an append_only table has none")
        if self.deleted_days is not None and not self.remembers:
            raise ValueError("`deleted_days` says nothing without `history` or `deleted: keep`")
        return self


class Landing(_Part):
    """Where batches live: masked Parquet files and their manifests."""

    url: str
    """An fsspec URL (`s3://bucket/prefix`) or a path (relative to this file)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the URL's fsspec driver is told, without secrets: `endpoint_url`, `client_kwargs`, …"""
    secrets: dict[str, FromEnvironment] = Field(default_factory=dict)
    """Driver option (`key`, `secret`) → its variable. Default: the driver looks by itself."""
    retention_days: int = Field(default=30, ge=1)
    """How long batches are kept before they are folded: then deleted rows are in no file."""
    batch_rows: int = Field(default=200_000, ge=1)
    """A batch ends at the first commit after this many changes; bounds what a crash repeats."""

    @model_validator(mode="after")
    def _secrets_are_not_written(self) -> Landing:
        if "@" in self.url.partition("://")[2].split("/", 1)[0]:
            raise ValueError("`url` holds credentials; name their variables in `landing.secrets`")
        if odd := sorted(key for key in _keys_of(self.options) if SECRET.search(key.lower())):
            raise ValueError(f"option {odd[0]!r} is a secret; name its variable in `secrets`")
        if "://" not in self.url and (self.options or self.secrets):
            raise ValueError("`options` and `secrets` belong to a URL, not to a path")
        return self


def _keys_of(options: object) -> Iterator[str]:
    if isinstance(options, dict):
        for key, value in options.items():
            yield str(key)
            yield from _keys_of(value)


class Warehouse(_Part):
    """The analytics database."""

    dsn: FromEnvironment
    """The analytics database, as the role that owns what we make there."""
    staging_schema: str = "staging"
    """Where the masked current state of every table is."""
    history_schema: str = "history"
    """Where the histories are, of tables that have one."""
    analyst_role: str = "analyst"
    """Reads the published views in schema analytics, and nothing else."""
    engineer_role: str = "analytics_engineer"
    """Reads staging, the histories and both editions of gold, too."""
    memory_mb: int = Field(default=512, ge=64)
    """What DuckDB may hold in memory while batches are compared; beyond it spills to disk."""
    spill_directory: Path | None = None
    """Where it spills to, in a private directory, masked; default: the system's place (TMPDIR)."""

    @model_validator(mode="after")
    def _histories_stand_apart(self) -> Warehouse:
        ours = (self.staging_schema, "gold_a", "gold_b", "analytics", "ops", "serving")
        if self.history_schema in ours:
            raise ValueError("`history_schema` is a schema that has another purpose")
        return self


class Gold(_Part):
    """The dbt project that builds gold."""

    project_dir: Path
    """The directory with dbt_project.yml."""


def _clock_time(value: object) -> object:
    # YAML 1.1 reads an unquoted 04:00 as the number 240 (base 60): say so instead of guessing.
    if isinstance(value, int):
        raise ValueError('write times in quotes, for example "04:00"')
    return value


ClockTime = Annotated[time, BeforeValidator(_clock_time)]


class Deadlines(_Part):
    """When gold must be ready, in whose clock, and when the night begins."""

    zone: str = "UTC"
    """The business's time zone (IANA name): nights, deadlines and revenue days are its."""
    ready_by: ClockTime = time(4, 0)
    """When tonight's edition must be published."""
    nightly_start: ClockTime = time(3, 10)
    """When the nightly job begins; not in an hour that the clocks skip or repeat."""
    capture_every_minutes: int = Field(default=10, ge=1, le=720)
    """How often production's log is landed through the day."""
    warn_before_minutes: int = Field(default=90, ge=1)
    """Silence past this margin counts as trouble: nothing known is not all well."""
    slot_retention_warn_mb: int = Field(default=2048, ge=1)
    """Log that production keeps for us above this many MB fails the slot check."""

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is not a time zone of the IANA database")
        return zone

    @property
    def tz(self) -> ZoneInfo:
        """The zone as Python knows it."""
        return ZoneInfo(self.zone)


class Alerts(_Part):
    """Who hears of trouble."""

    file: Path | None = None
    """Every alert is also appended here as one JSON line."""
    channels: dict[str, FromEnvironment] = Field(default_factory=dict)
    """Channel name → environment variable with an apprise URL."""


class ReplicaFile(_Part):
    """The whole of replica.yaml."""

    source: Source
    masking: Masking
    tables: dict[str, TableRules] = Field(min_length=1)
    landing: Landing
    warehouse: Warehouse
    gold: Gold
    deadlines: Deadlines = Deadlines()
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _second_publication_has_a_name(self) -> ReplicaFile:
        # PostgreSQL cuts longer names silently, and `_inserts` would be what it cuts.
        longest = 63 - len("_inserts")
        appends = any(rules.append_only for rules in self.tables.values())
        if appends and len(self.source.publication.encode()) > longest:
            raise ValueError(f"with append_only tables, `publication` has at most {longest} bytes")
        return self
