"""`analytics-replica keys` as an operator uses it, from the first key to the removed one.

Oracle: tokens computed with hmac, found in staging and in both editions of gold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from analytics_replica.landing.manifest import manifests
from analytics_replica.postgres.connect import Connection, connect
from analytics_replica.serving.editions import Edition, build_edition, ensure_serving_schema
from analytics_replica.serving.grants import apply_grants
from analytics_replica.serving.publish import rollback
from analytics_replica.serving.views import ViewSpec
from analytics_replica.source.base_backup import BACKUP
from analytics_replica.staging import ledger
from analytics_replica_tests.integration.test_serving_editions import MONDAY, give
from analytics_replica_tests.support.commands import Ended, call_on
from analytics_replica_tests.support.copying import apply, once
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.rotating import (
    KEYS,
    WRITES,
    all_under,
    keys_are,
    made_with,
    rotated,
    rotating_shop,
)
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    return rotating_shop(production, pipeline)


@pytest.fixture
def loader(shop: Pipeline) -> Iterator[Connection]:
    with closing(connect(shop.warehouse.dsn("loader"))) as opened:
        ensure_serving_schema(opened)
        apply_grants(opened)
        yield opened


def night(shop: Pipeline, loader: Connection) -> Edition:
    """Captures, applies, builds one model of tokens as dbt would, and publishes it."""
    shop.production.execute(WRITES.format(n=shop.production.scalar("select max(n) from people")))
    shop.capture()
    apply(shop)
    edition = build(loader)
    position = ledger.position(loader)
    assert position is not None
    give(loader, edition, ViewSpec("readers", ("token",)), position=position)
    return edition


def build(loader: Connection) -> Edition:
    edition = build_edition(loader)
    with loader.cursor() as cursor:
        cursor.execute(f"drop table if exists {edition}.readers")
        cursor.execute(f"create table {edition}.readers as select email token from staging.people")
    loader.commit()
    return edition


def key_of(shop: Pipeline, relation: str) -> set[str]:
    """The keys that made the tokens of this relation, of those values that are still there."""
    tokens = [row[0] for row in shop.warehouse.rows(f"select token from {relation}")]
    values = [row[0] for row in shop.production.rows("select email from people")]
    return set(made_with(tokens, values)) - {""}


def known(ended: Ended, key_id: str) -> dict[str, Any]:
    assert ended.code == 0, ended.err
    (found,) = [key for key in ended.json["keys"] if key["key"] == key_id]
    return dict(found)


def status(shop: Pipeline) -> Ended:
    return call_on(shop, "keys", "status", "--json")


def test_both_keys_stand_side_by_side_until_the_new_edition_is_published(
    shop: Pipeline, loader: Connection
) -> None:
    first = night(shop, loader)
    keys_are(shop, "k2", "k1", "k2")
    asked = status(shop)
    assert asked.json["rotation_pending"]
    assert known(asked, "k1")["needed_by"] == ["captures", "staging", first]
    rotating = call_on(shop, "keys", "rotate", "--json")
    assert (rotating.code, rotating.json["active"]) == (0, "k2")
    assert key_of(shop, "analytics.readers") == {"k1"}

    shop.production.execute("insert into people values (5000, 'last', 1)")
    shop.capture()
    apply(shop)
    candidate = build(loader)
    assert all_under(shop, "k2")
    assert key_of(shop, f"{candidate}.readers") == {"k2"}
    assert key_of(shop, "analytics.readers") == key_of(shop, f"{first}.readers") == {"k1"}

    second = night(shop, loader)
    assert key_of(shop, "analytics.readers") == {"k2"}
    asked = status(shop)
    assert asked.json["editions"] == {first: ["k1"], second: ["k2"]}
    assert known(asked, "k1")["needed_by"] == ["old batches", first]
    assert rollback(loader, actor="test", reason="look", clock=MONDAY).edition is first
    assert key_of(shop, "analytics.readers") == {"k1"}


def test_status_says_when_the_old_key_may_go(shop: Pipeline, loader: Connection) -> None:
    night(shop, loader)
    keys_are(shop, "k2", "k1", "k2")
    rotated(shop)
    for _ in range(2):
        night(shop, loader)
    asked = known(status(shop), "k1")
    assert (asked["needed_by"], asked["removable"]) == (["old batches"], False)
    _forget_batches_before_the_rotation(shop)
    asked = known(status(shop), "k1")
    assert (asked["needed_by"], asked["removable"]) == ([], True)
    told = call_on(shop, "keys", "status")
    assert "nothing: it may be removed" in " ".join(told.out.split())
    keys_are(shop, "k2", "k2")
    assert [key["key"] for key in status(shop).json["keys"]] == ["k2"]


def test_no_key_may_go_while_an_edition_is_older_than_what_landing_remembers(
    shop: Pipeline, loader: Connection
) -> None:
    first = night(shop, loader)
    keys_are(shop, "k2", "k1", "k2")
    rotated(shop)
    second = night(shop, loader)
    folded = call_on(shop, "landing", "fold", "--before", "now")
    assert folded.code == 0, folded.err
    assert key_of(shop, f"{first}.readers") == {"k1"}
    asked = known(status(shop), "k1")
    assert not asked["removable"]
    assert f"perhaps {first} (older than landing's base)" in asked["needed_by"]
    told = " ".join(call_on(shop, "keys", "status").out.split())
    assert "it may be removed" not in told
    assert f"{first}: not known" in told
    for _ in range(2):
        night(shop, loader)
    assert key_of(shop, f"{first}.readers") == key_of(shop, f"{second}.readers") == {"k2"}
    assert known(status(shop), "k1")["removable"]


def test_a_table_in_status_has_its_keys_and_nobody_sees_a_key(shop: Pipeline) -> None:
    keys_are(shop, "k2", "k1", "k2")
    for arguments in (("keys", "status"), ("keys", "status", "--json"), ("keys", "rotate")):
        ended = call_on(shop, *arguments)
        assert ended.code == 0
        assert not any(key in (ended.out + ended.err).lower() for key in KEYS.values())
    asked = status(shop)
    assert asked.json["tables"] == {
        "public.people": {"landing": "k2", "staging": "k1"},
        "public.visits": {"landing": "k2", "staging": "k1"},
    }
    assert not asked.json["rotation_pending"]
    again = call_on(shop, "keys", "rotate")
    assert "already; nothing was copied" in " ".join(again.out.split())


def test_what_cannot_be_read_removes_no_key(shop: Pipeline) -> None:
    keys_are(shop, "k2", "k1", "k2")
    ended = call_on(
        shop, "keys", "status", "--json", WAREHOUSE_DSN="postgresql://x@127.0.0.1:1/nothing"
    )
    assert ended.json["troubles"]
    assert not any(key["removable"] for key in ended.json["keys"])


def test_the_server_of_a_base_backup_has_no_secret_in_its_environment(
    shop: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs under another account, and the copy may take hours."""
    monkeypatch.setenv("OF_TEST_MASKING_KEY", KEYS["k1"])
    seen: list[bytes] = []

    def look() -> None:
        pid = (shop.root / "copy" / BACKUP / "postmaster.pid").read_text().split()[0]
        seen.append(Path(f"/proc/{pid}/environ").read_bytes())

    keys_are(shop, "k2", "k1", "k2")
    rotated(shop, reached=once("copied a part", look))
    assert b"PATH=" in seen[0]
    assert KEYS["k1"].encode() not in seen[0]


def _forget_batches_before_the_rotation(shop: Pipeline) -> None:
    """As landing's retention does: the oldest batches go, without a gap."""
    for manifest in manifests(shop.store):
        if manifest.keys[0][0] == "k2" and not manifest.beside:
            return
        shop.store.remove(f"manifests/{manifest.sequence:010d}.json")
