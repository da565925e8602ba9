"""What our publications hold on production, and whether that is what replica.yaml lists.

Here: the members of the publications as the catalog read gives them, what is at fault with each
listed table, which published tables nobody listed, and whether a table was in the publication all
the time between two captures. Not here: the catalog read (slot.py), the script (dba.py).

Two publications, because one that publishes updates makes every update fail of a table without a
replica identity: append-only tables are in a second one, which publishes inserts and truncates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from analytics_replica.domain.tables import TableName
from analytics_replica.errors import SourceNotPrepared
from analytics_replica.settings.load import Settings

RUN_SCRIPT: Final = "Have the DBA run what `analytics-replica source sql` prints."

MARK: Final = "analytics-replica: "
"""Begins the comment in which our script says which entry of a publication goes on as which."""

_INSERTS: Final = "_inserts"


def inserts_name(publication: str) -> str:
    """The name of the publication that holds the append-only tables."""
    return publication + _INSERTS


@dataclass(frozen=True)
class Wanted:
    """What replica.yaml lists. An append-only table is kept as a log of what was inserted."""

    tables: Mapping[TableName, Sequence[str]]
    """The columns of each table that may leave."""
    append_only: frozenset[TableName] = frozenset()
    dropped: Mapping[TableName, Sequence[str]] = field(default_factory=dict)
    """Of each table, the columns that must not leave, whatever a pattern says."""
    patterns: Sequence[tuple[str, bool]] = ()
    """In order: `schema.table.column` with `*`, and whether what nobody listed may leave."""

    @classmethod
    def of(cls, settings: Settings) -> Wanted:
        """What these settings list."""
        listed = {table: rules.columns.items() for table, rules in settings.tables.items()}
        return cls(
            {t: tuple(name for name, rule in of if rule != "drop") for t, of in listed.items()},
            frozenset(table for table, rules in settings.tables.items() if rules.append_only),
            {t: tuple(name for name, rule in of if rule == "drop") for t, of in listed.items()},
            tuple((text, rule != "drop") for text, rule in settings.patterns.items()),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A partition below a published table: where its rows are, and whether it was attached.

    A partition that was made as one held no row before; one that was attached may have. `file` is
    another after a TRUNCATE or a rewrite, which `writer` did, a transaction.
    """

    oid: int
    file: int
    writer: str
    attached: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One table in one of our publications.

    `entry` is another if the table was taken out and put back, `options` if those of the
    publication were altered (the transaction that did it).
    """

    table: TableName
    publication: str
    options: str
    entry: int
    relation: int
    columns: tuple[str, ...]
    partitioned: bool
    partition: bool
    filtered: bool
    has_children: bool
    blocks_writes: bool
    via_root: bool
    parts: tuple[Part, ...]

    @property
    def token(self) -> str:
        """What a manifest records, for `hole_since` to compare with later."""
        newest = max((part.oid for part in self.parts), default=0)
        latest = max((part.file for part in self.parts), default=0)
        same = "/".join(self._digests(newest))
        return f"{self.entry}/{self.options}/{newest}/{latest}/{same}"

    def hole_since(self, token: str) -> str | None:
        """Why changes may be missing since `token` was recorded; None if none can be.

        Of a partition that is dropped, detached or truncated, or attached with rows in it, the log
        says nothing: PostgreSQL publishes rows under the root, and these are no changes of rows.
        """
        entry, options, newest, _, *same = token.split("/")
        if entry != str(self.entry):
            return "was out of the publication for a time"
        if options != self.options:
            return "is in a publication whose options were altered, and may have been others"
        if same != self._digests(int(newest)):
            return "lost, truncated or rewrote a partition, which the log does not tell"
        if any(part.attached for part in self.parts if part.oid > int(newest)):
            return "had a partition attached, whose earlier rows the log does not have"
        return None

    def emptied_since(self, token: str) -> bool:
        """Whether all that is unseen since `token` is what a TRUNCATE of the whole table does.

        One transaction gave every partition a new file. The log tells a TRUNCATE of the root.
        """
        entry, options, newest, latest, oids, _ = token.split("/")
        before = [part for part in self.parts if part.oid <= int(newest) and part.file]
        return (
            (entry, options) == (str(self.entry), self.options)
            and oids == self._digests(int(newest))[0]
            and all(part.file > int(latest) for part in before)
            and len({part.writer for part in before}) == 1
            and not any(part.attached for part in self.parts if part.oid > int(newest))
        )

    def _digests(self, newest: int) -> list[str]:
        known = sorted((part.oid, part.file) for part in self.parts if part.oid <= newest)
        return [_digest([oid for oid, _ in known]), _digest(known)]


@dataclass(frozen=True)
class Agreement:
    """How the publications compare with what replica.yaml lists.

    `faults`: listed tables whose changes do not all come, and why; only they stop. `unlisted`:
    tables that are published and that nobody listed; their changes are left out. `blocked`: tables
    of which production's own updates fail. `members`: of every listed table without fault.
    """

    faults: Mapping[TableName, str]
    unlisted: frozenset[TableName]
    blocked: frozenset[TableName]
    members: Mapping[TableName, Member]

    @property
    def tokens(self) -> dict[TableName, str]:
        """What manifests record of each listed table that is published as it should be."""
        return {table: member.token for table, member in self.members.items()}

    def holes_since(self, tokens: Mapping[TableName, str]) -> dict[TableName, str]:
        """Listed tables of which changes are missing, or may be, since `tokens`; and why."""
        found = dict(self.faults)
        for table, member in self.members.items():
            reason = member.hole_since(tokens[table]) if table in tokens else None
            if reason is not None:
                found[table] = reason
        return found

    def emptied_since(self, tokens: Mapping[TableName, str]) -> frozenset[TableName]:
        """The tables in `holes_since` that have none if the log has a TRUNCATE of them."""
        return frozenset(
            table
            for table, member in self.members.items()
            if table in tokens and member.emptied_since(tokens[table])
        )


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def members_of(body: Mapping[str, Any]) -> tuple[Member, ...]:
    """The members in the row of the catalog read."""
    via_root = {p["name"]: bool(p["via_root"]) for p in body["publications"] or ()}
    origins = {
        int(now): int(first)
        for p in body["publications"] or ()
        if (p["comment"] or "").startswith(MARK)
        for now, first in re.findall(r"(\d+)=(\d+)", p["comment"])
    }
    return tuple(
        Member(
            table=TableName(m["schema"], m["table"]),
            publication=m["publication"],
            options=m["options"],
            entry=origins.get(m["entry"], m["entry"]),
            relation=m["relation"],
            columns=tuple(m["columns"] or ()),
            partitioned=m["kind"] == "p",
            partition=m["is_partition"],
            filtered=m["filtered"],
            has_children=m["has_children"],
            blocks_writes=m["blocks_writes"],
            via_root=via_root[m["publication"]],
            parts=tuple(Part(*part) for part in m["parts"] or ()),
        )
        for m in body["members"] or ()
    )


def agree(members: Sequence[Member], publication: str, wanted: Wanted) -> Agreement:
    """What of these members is as replica.yaml wants it."""
    faults, healthy = {}, {}
    for table in wanted.tables:
        of_table = {m.publication: m for m in members if m.table == table}
        append_only = table in wanted.append_only
        right = inserts_name(publication) if append_only else publication
        wrong = publication if append_only else inserts_name(publication)
        fault = _fault(table, of_table.get(right), right, wanted)
        if wrong in of_table and (append_only or fault is not None):
            fault = f"is in publication {wrong}, and belongs into {right}"
        if fault is not None:
            faults[table] = fault
        else:
            healthy[table] = of_table[right]
    return Agreement(
        faults=faults,
        unlisted=frozenset(m.table for m in members) - frozenset(wanted.tables),
        blocked=frozenset(m.table for m in members if m.blocks_writes),
        members=healthy,
    )


def _fault(table: TableName, member: Member | None, publication: str, wanted: Wanted) -> str | None:
    if member is None:
        return f"is not in publication {publication}"
    if member.filtered:
        return "has a row filter in the publication, so rows would be missing unseen"
    if member.partition:
        return "is a partition; list the table that it is a partition of"
    if member.partitioned and not member.via_root:
        return "is partitioned, and its publication has publish_via_partition_root off"
    if member.has_children:
        return "has child tables (INHERITS), whose rows come under their own names"
    missing = sorted(set(wanted.tables[table]) - set(member.columns))
    if missing:
        return f"is published without {table}.{missing[0]}"
    return None


def require_published(agreement: Agreement, *, every: bool) -> None:
    """SourceNotPrepared, naming a table, if nothing could be captured; with `every`, if one cannot.

    A first copy wants every table: there is nothing yet that other tables should go on with.
    """
    for table, fault in sorted(agreement.faults.items()):
        if every or not agreement.members:
            raise not_prepared(f"{table}, which replica.yaml lists, {fault}", RUN_SCRIPT)


def require_publication(
    publication: Mapping[str, Any] | None, inserts: Mapping[str, Any] | None, name: str
) -> None:
    """SourceNotPrepared if a publication is missing or publishes more or less than it should."""
    if publication is None:
        raise not_prepared(f"publication {name} does not exist", RUN_SCRIPT)
    _require_named_tables(publication, name)
    if not all(publication["operations"]):
        raise not_prepared(
            f"publication {name} leaves out some of insert, update, delete, truncate",
            RUN_SCRIPT,
        )
    if inserts is None:
        return
    _require_named_tables(inserts, inserts_name(name))
    if list(inserts["operations"]) != [True, False, False, True]:
        raise not_prepared(
            f"publication {inserts_name(name)} publishes something else than inserts and truncates",
            "With updates in it production's own updates could fail. " + RUN_SCRIPT,
        )


def _require_named_tables(publication: Mapping[str, Any], name: str) -> None:
    for key, says in (("all_tables", "FOR ALL TABLES"), ("schemas", "FOR TABLES IN SCHEMA")):
        if publication[key]:
            raise not_prepared(
                f"publication {name} is {says}",
                "It would send columns that nobody classified, and it blocks writes to tables "
                "without a replica identity. " + RUN_SCRIPT,
            )


def not_prepared(what: str, then: str) -> SourceNotPrepared:
    """The error for a production that is not as the script leaves it."""
    return SourceNotPrepared(
        what=f"Production is not prepared: {what}.",
        why="Without it the log cannot be read as agreed; nothing was read.",
        next=then,
    )
