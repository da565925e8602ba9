"""A treatment: what is done with one column, and how manifests record it.

Here: the treatment in words and back, and its type in staging. Not here: which column gets which
(policy.py), what a mask does (strategies).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from analytics_replica.domain.tables import Column
from analytics_replica.masking.strategies import STRATEGIES
from analytics_replica.postgres.types import arrow_type
from analytics_replica.settings.rules import OPTIONS, ClassName, ColumnRule, Mask, masks_in

KEYED: Final = frozenset(name for name, strategy in STRATEGIES.items() if strategy.keyed)


class Kind(StrEnum):
    """What is done with a column.

    KEEP passes it. DROP leaves it out, already in production's publication. MASK replaces every
    value. SEALED is for a column that nobody classified: present, always NULL, reported.
    """

    KEEP = "keep"
    DROP = "drop"
    MASK = "mask"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done with one column. `class_` is what the policy says the column holds."""

    kind: Kind
    mask: Mask | None = None
    key_id: str | None = None
    reason: str = ""
    """Why it is sealed although the policy lists it."""
    class_: ClassName | None = None

    def describe(self) -> str:
        """The treatment in words, as manifests record it; equal treatments give equal words.

        A mask's name and its options as JSON; `recorded` reads them back.
        """
        if self.reason:
            return f"{self.kind.value}: {self.reason}"
        if self.mask is None:
            return self.kind.value
        options = _options(self.mask)
        if self.keyed:
            options["key"] = self.key_id
        if not options:
            return self.mask.name
        return f"{self.mask.name} {json.dumps(options, sort_keys=True, separators=(',', ':'))}"

    @property
    def keyed(self) -> bool:
        """Whether the result depends on a masking key."""
        return self.mask is not None and any(mask.name in KEYED for mask in masks_in(self.mask))

    def staging_type(self, column: Column) -> str:
        """The PostgreSQL type of the treated value in staging."""
        if self.mask is None or (made := _made_type(self.mask)) is None:
            return arrow_type(column).staging
        return f"{made}[]" if self.mask.elements else made


def recorded(treatment: str) -> tuple[str, Mapping[str, Any]]:
    """The name and the options of a treatment as a manifest records it.

    The name is a mask's, keep, or sealed. ValueError if it was not written by `describe`.
    """
    name, _, options = treatment.partition(" ")
    if name.rstrip(":") in (Kind.KEEP, Kind.SEALED):
        return name.rstrip(":"), {}
    if name not in STRATEGIES:
        raise ValueError(f"{name!r} is not a mask")
    return name, json.loads(options) if options else {}


def read_back(treatment: str) -> Treatment:
    """The treatment that a manifest or the ledger records; its class is not recorded.

    Also in the words of the first release (`token domain=email key=k1`). ValueError for others.
    """
    name, _, written = treatment.partition(" ")
    older = _OLDER.fullmatch(written) if name in STRATEGIES else None
    if older is not None:
        options: Mapping[str, Any] = {n: v for n, v in older.groupdict().items() if v is not None}
    else:
        name, options = recorded(treatment)
        if name in (Kind.KEEP, Kind.SEALED):
            return Treatment(Kind(name))
        options = _written_out(name, options)
    rule = {"mask": name, **{option: v for option, v in options.items() if option != "key"}}
    return Treatment(Kind.MASK, Mask.model_validate(rule), options.get("key"))


_OLDER: Final = re.compile(
    r"(?:domain=(?P<domain>.*?))?(?: ?normalise=(?P<normalise>\w+))?(?: ?key=(?P<key>\S+))"
)


def _written_out(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with those that `_options` leaves out because they change nothing."""
    left_out = {"token": {"normalise": "none", "as": "hex"}, "email": {"normalise": "none"}}
    said = {**left_out.get(name, {"value": "none"} if name == "constant" else {}), **options}
    if "paths" in said:
        said["paths"] = {
            at: rule if rule == Kind.KEEP else _written_out(rule["mask"], rule)
            for at, rule in said["paths"].items()
        }
    return said


def _options(mask: Mask) -> dict[str, Any]:
    """The options of a resolved mask as JSON writes them, without those that change nothing."""
    said = {name: getattr(mask, name) for name in sorted(OPTIONS[mask.name])}
    options = {n.rstrip("_"): v for n, v in said.items() if v not in (None, "none", "hex")}
    if mask.elements:
        options["elements"] = True
    if "as_of" in options:
        options["as_of"] = str(options["as_of"])
    if "paths" in options:
        options["paths"] = {at: _inner(rule) for at, rule in mask.paths.items()}
    return options


def _inner(rule: ColumnRule) -> str | dict[str, Any]:
    if not isinstance(rule, Mask) or rule.mask == "keep":
        return Kind.KEEP.value
    return {"mask": rule.name, **_options(rule)}


def _made_type(mask: Mask) -> str | None:
    if mask.mask == "token":
        return {"uuid": "uuid", "int64": "bigint"}.get(mask.as_ or "", "text")
    return STRATEGIES[mask.name].staging


SEALED: Final = Treatment(Kind.SEALED)
