"""The SQL that a DBA runs once on production. We print it; we never run it.

Here: composing role, publications and slot from the policy. Not here: which tables may be
published (dba_tables.py), checking that it was done (slot.require_prepared).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics_replica.postgres.identifiers import Sql, compose, dollar_tag, literal, name
from analytics_replica.settings.schema import Source
from analytics_replica.source.dba_tables import set_tables
from analytics_replica.source.publications import Wanted, inserts_name

_FITS: Final = """do $$ begin -- the server can do what replica.yaml asks of it
    if current_setting('server_version_num')::int / 10000 not between 14 and 18 then
        raise exception 'PostgreSQL 14 to 18 are supported, and this is %',
            current_setting('server_version');
    end if;
    if {failover} and current_setting('server_version_num')::int < 170000 then
        raise exception 'source.failover needs PostgreSQL 17, and this is %',
            current_setting('server_version');
    end if;
    if {standby} and current_setting('server_version_num')::int < 160000 then
        raise exception 'source.decode_from_standby needs PostgreSQL 16, and this is %',
            current_setting('server_version');
    end if;
end $$"""

_ROLE: Final = """do $$ begin
    if not exists (select from pg_roles where rolname = {role_text}) then
        create role {role};
    end if;
end $$"""

_PUBLICATION: Final = """do {tag}
begin
    if not exists (select from pg_publication where pubname = {publication_text}) then
        create publication {publication}
            with (publish = {publish}, publish_via_partition_root = true);
    elsif exists (select from pg_publication where pubname = {publication_text} and puballtables)
    then
        raise exception using message = 'publication ' || {publication_text} || ' is there, and is '
            'FOR ALL TABLES', hint = 'Name another one in replica.yaml, or drop it.';
    elsif exists (select from pg_publication where pubname = {publication_text}
        and (pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)
            is distinct from (true, {updates}, {updates}, true, true))
    then
        alter publication {publication}
            set (publish = {publish}, publish_via_partition_root = true);
    end if;
end {tag}"""

_SLOT: Final = """select pg_create_logical_replication_slot({slot}, 'pgoutput'{failover})
where not exists (select from pg_replication_slots where slot_name = {slot})"""


@dataclass(frozen=True)
class Preparation:
    """What the script is to prepare, and for whom."""

    role: str
    database: str
    source: Source
    wanted: Wanted

    def statements(self) -> tuple[Sql, ...]:
        """The statements for the primary, in order; each may run again without harm.

        The publications come before the slot: the log before a publication exists cannot be read
        through it. Where publishing would make writes of production fail, the script refuses, and
        changes nothing. A slot on a standby is not among them (`slot`).
        """
        role, source = name(self.role), self.source
        fits = compose(
            _FITS, failover=_bool(source.failover), standby=_bool(source.decode_from_standby)
        )
        return (
            fits,
            compose(_ROLE, role=role, role_text=literal(self.role)),
            compose("alter role {role} login replication", role=role),
            compose(
                "grant connect on database {database} to {role}",
                database=name(self.database),
                role=role,
            ),
            _publication(source.publication, updates=True),
            *(
                (_publication(inserts_name(source.publication), updates=False),)
                if self.wanted.append_only
                else ()
            ),
            set_tables(source.publication, self.wanted),
            *(() if source.decode_from_standby else (self.slot,)),
        )

    @property
    def slot(self) -> Sql:
        """The statement that makes the slot, on the server that is to decode."""
        failover = ", failover => true" if self.source.failover else ""
        return compose(_SLOT, slot=literal(self.source.slot), failover=compose(failover))

    def script(self) -> str:
        """The whole script with its explanations, for `psql -f`."""
        slot = literal(self.source.slot).text
        shown = {"database": self.database, "role": self.role, "slot": slot}
        one_line = {key: value.replace("\n", " ") for key, value in shown.items()}
        parts = [_HEAD.format(**one_line)]
        if self.wanted.append_only:
            parts.append(_APPEND_ONLY)
        if self.source.failover:
            parts.append(_FAILOVER)
        body = "".join(f"{s};\n\n" for s in self.statements())
        if self.source.decode_from_standby:
            statement = "".join(f"--     {line}\n" for line in f"{self.slot};".splitlines())
            body += _STANDBY + statement + _SNAPSHOT
        return "".join(parts) + "\n" + body


def _publication(publication: str, *, updates: bool) -> Sql:
    publish = "insert, update, delete, truncate" if updates else "insert, truncate"
    tag = "$publication$"
    while tag in publication:
        tag = tag.replace("$publication", "$publication_")
    return compose(
        _PUBLICATION,
        tag=dollar_tag(tag),
        publication=name(publication),
        publication_text=literal(publication),
        publish=literal(publish),
        updates=_bool(updates),
    )


def _bool(value: object) -> Sql:
    return compose("true" if value else "false")


_HEAD: Final = """\
-- analytics-replica: what a DBA runs once on production (database {database}), as superuser.
-- It may run again after replica.yaml changed: it then only changes what differs.
--
-- What it gives: a role that may read the log and nothing else. It has no privilege on any table.
-- The publication names the columns; a column that is not named never leaves production.
--
-- Before: `wal_level = logical` in postgresql.conf (needs a restart); and in pg_hba.conf, for the
-- host that capture runs on:
--     host  {database}   {role}  <capture host>/32  scram-sha-256
--     host  replication  {role}  <capture host>/32  scram-sha-256
-- Recommended: max_slot_wal_keep_size, so that a dead reader can never fill the disk.
-- Afterwards: give the role a password (\\password {role}).
--
-- To stop everything at once (the kill switch):
--     select pg_drop_replication_slot({slot});
"""

_APPEND_ONLY: Final = """\
--
-- Tables that replica.yaml calls append-only are in a second publication, which publishes inserts
-- and truncates only: their updates and deletes never fail because of us, and are not seen.
"""

_FAILOVER: Final = """\
--
-- The slot is made with `failover`. For it to outlive one, the standby needs primary_slot_name,
-- hot_standby_feedback = on, sync_replication_slots = on, and a dbname in primary_conninfo; and on
-- the primary, synchronized_standby_slots names the standby's physical slot.
"""

_STANDBY: Final = """\
-- The slot is made on the standby that is to decode (it replays the role and the publications).
-- There: wal_level = logical, hot_standby_feedback = on, and a primary_slot_name, or production
-- removes what decoding needs and the slot is lost. Run there, as superuser:
--
"""

_SNAPSHOT: Final = """\
--
-- It waits until production logs its open transactions. On the primary, meanwhile:
--
--     select pg_log_standby_snapshot();
"""
