"""The canary's production, the policy over it, and its gold: every shape that a value may take.

Here: schema, replica.yaml's tables, the dbt project. Not here: the values (plant.py), what is done
with them (deeds.py). Kept columns hold numbers and states; every other value is planted.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from analytics_replica_tests.support.nights import PROJECT, REPOSITORY

SCHEMA = """
create extension hstore;
create schema canary;
create domain canary.mail as text check (value <> '');
create type canary.place as (street text, town text);
create table canary.people (
    id bigint primary key,
    tier text not null default 'basic',
    email text, full_name text, phone varchar(40), card text, iban char(31), born date,
    notes text, attributes jsonb, raw_json json, aliases text[], photo bytea, state text,
    contact canary.mail, home canary.place, extra hstore, ip inet, ref uuid, pages text[][],
    words tsvector, amount numeric, paper text, memo text, origin text, joined timestamptz
);
alter table canary.people replica identity full;
alter table canary.people alter column paper set storage external;
create table canary.accounts (
    login text primary key, owner_email text, secret text, visits int not null default 0,
    login_lower text generated always as (lower(login)) stored
);
create table canary.sessions (
    id bigint primary key, login text not null references canary.accounts on update cascade
        on delete cascade, address inet
);
create table canary.journal (at int, line text, author text);
alter table canary.journal replica identity full;
create table canary.drafts (id bigint primary key, body text, author text);
create table canary.left_out (id bigint primary key, email text);
create table canary.doomed (id bigint primary key, email text);
"""

TABLES: dict[str, Mapping[str, Any]] = {
    "canary.people": {
        "id": "keep",
        "tier": "keep",
        "email": {"class": "email"},
        "full_name": {"mask": "initials"},
        "phone": {"class": "phone", "region": "US"},
        "card": {"class": "card"},
        "iban": {"mask": "token", "domain": "iban", "as": "uuid"},
        "born": {"mask": "age_band", "width": 5, "as_of": "2026-01-01"},
        "notes": {"class": "free_text"},
        "attributes": {
            "mask": "json",
            "paths": {
                "tier": "keep",
                "contact.mail": {"class": "email"},
                "contact.others[]": {"class": "name"},
                "phone": {"mask": "token", "domain": "phone_number", "as": "int64"},
            },
        },
        "raw_json": {"mask": "json", "paths": {"tier": "keep"}},
        "aliases": {"class": "name", "elements": True},
        "photo": {"mask": "token", "domain": "photo"},
        "state": {"mask": "constant", "value": "known"},
        "contact": {"mask": "email_domain"},
        "home": {"class": "address"},
        "extra": {"mask": "constant", "value": "{}"},
        "ip": {"class": "ip"},
        "ref": {"mask": "token", "domain": "ref", "as": "int64"},
        "pages": {"mask": "token", "domain": "page", "elements": True},
        "words": {"mask": "null"},
        "amount": {"mask": "bucket", "width": 10},
        "paper": {"mask": "token", "domain": "paper"},
        "memo": {"mask": "redact", "region": "US"},
        "origin": {"mask": "phone_country", "region": "US"},
        "joined": {"mask": "year"},
    },
    "canary.accounts": {
        "login": {"mask": "token", "domain": "login"},
        "owner_email": {"mask": "email", "domain": "email", "normalise": "email"},
        "secret": "drop",
        "visits": "keep",
    },
    "canary.sessions": {
        "id": "keep",
        "login": {"mask": "token", "domain": "login"},
        "address": {"mask": "token", "domain": "ip"},
    },
    "canary.journal": {
        "at": "keep",
        "line": {"mask": "token", "domain": "line"},
        "author": {"class": "name"},
    },
    "canary.drafts": {
        "id": "keep",
        "body": {"mask": "token", "domain": "draft"},
    },
}

PATTERNS = {"canary.*.author": {"class": "name"}}
"""Masks of columns that are not listed: the drafts'."""

STAGING = ("people", "accounts", "sessions", "journal", "drafts")

KNOWN = """
select people.id as person_id, people.tier, people.email as email_token,
    cast(count(accounts.login) as bigint) as accounts
from {{ ref('base_canary__people') }} as people
left join {{ ref('base_canary__accounts') }} as accounts on accounts.owner_email = people.email
group by people.id, people.tier, people.email
"""

BROKEN = """
select id as person_id, cast(cast(phone as text) as bigint) as phone_number
from {{ ref('base_canary__people') }}
"""
"""A masked phone is no number: PostgreSQL's message quotes the first one."""

_COLUMNS = {"person_id": "bigint", "tier": "text", "email_token": "text", "accounts": "bigint"}


def write_project(folder: Path) -> None:
    """A dbt project with a test that fails and a model that cannot be built."""
    base, gold = folder / "models/base", folder / "models/gold"
    base.mkdir(parents=True)
    gold.mkdir(parents=True)
    (folder / "macros").mkdir()
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(PROJECT))
    shutil.copy(REPOSITORY / "dbt_project/profiles.yml", folder)
    shutil.copy(REPOSITORY / "dbt_project/macros/generate_schema_name.sql", folder / "macros")
    for table in STAGING:
        body = f"source('staging', '{table}')"
        (base / f"base_canary__{table}.sql").write_text("select * from {{ " + body + " }}")
    (base / "_sources.yml").write_text(yaml.safe_dump(_sources()))
    (gold / "known_people.sql").write_text(KNOWN)
    (gold / "broken_people.sql").write_text(BROKEN)
    numbers = {"person_id": "bigint", "phone_number": "bigint"}
    models = [_model("known_people", _COLUMNS, tested=True), _model("broken_people", numbers)]
    (gold / "_models.yml").write_text(yaml.safe_dump({"models": models}))


def _model(name: str, columns: Mapping[str, str], *, tested: bool = False) -> dict[str, Any]:
    described: list[dict[str, Any]] = [
        {"name": column, "data_type": kind, "description": f"The {column}."}
        for column, kind in columns.items()
    ]
    if tested:
        wrong = {"values": ["nobody@example.invalid"]}
        described[2]["data_tests"] = [
            {"accepted_values": {"arguments": wrong, "config": {"store_failures": True}}}
        ]
        described[0]["data_tests"] = ["unique", "not_null"]
    return {
        "name": name,
        "description": "One row per person.",
        "config": {"meta": {"owner": "canary"}},
        "columns": described,
    }


def _sources() -> dict[str, Any]:
    schema = "{{ env_var('REPLICA_STAGING_SCHEMA', 'staging') }}"
    tables = [{"name": table} for table in STAGING]
    return {"sources": [{"name": "staging", "schema": schema, "tables": tables}]}
