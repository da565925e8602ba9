"""Killed at any point, a resync leaves the old state or the new one, and repeats no work.

Oracle: production through the masks, compared with staging.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica_tests.support.copying import (
    ACCOUNTS,
    NOTES,
    again,
    copies,
    same,
    small_shop,
)
from analytics_replica_tests.support.killed import killed_at
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.servers import Database
from analytics_replica_tests.support.standbys import standby_of


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    return small_shop(production, pipeline)


@pytest.mark.parametrize("point", ["copied a part", "proposed"])
def test_a_kill_during_a_resync_leaves_the_old_state(shop: Pipeline, point: str) -> None:
    shop.production.execute("update accounts set amount = amount + 1 where id % 5 = 0")
    killed_at(point, lambda reached: again(shop, ACCOUNTS, reached=reached))
    assert copies(shop)[1:] == []
    assert same(shop)
    again(shop, ACCOUNTS)
    assert same(shop)


@pytest.mark.parametrize("point", ["file written", "manifest", "confirm"])
def test_a_kill_while_a_copy_is_landed_lands_it_once(shop: Pipeline, point: str) -> None:
    shop.production.execute("update accounts set amount = amount + 1 where id % 5 = 0")
    killed_at("proposed", lambda reached: again(shop, ACCOUNTS, reached=reached))
    killed_at(point, lambda reached: shop.capture(reached=reached))
    assert same(shop)
    assert copies(shop)[1:] == [{"public.accounts"}]
    assert list((shop.root / "landing" / "copies").iterdir()) == []


def test_parts_that_were_read_before_a_crash_are_not_read_again_from_a_copy_that_lasts(
    shop: Pipeline,
) -> None:
    shop.changes["source.copy_workers"] = 1
    with standby_of(shop.production.server) as standby:
        standby.stand_still()
        standby.is_copied_by(shop)
        killed_at("copied a part", lambda reached: again(shop, ACCOUNTS, NOTES, reached=reached))
        read: list[str] = []
        again(shop, ACCOUNTS, NOTES, reached=read.append)
        assert read == ["copied a part", "proposed"]
        assert same(shop)
        killed_at("copied a part", lambda reached: again(shop, ACCOUNTS, NOTES, reached=reached))
        standby.stand_still()  # somewhere else: what was read before is of no use
        read.clear()
        again(shop, ACCOUNTS, NOTES, reached=read.append)
        assert read == ["copied a part", "copied a part", "proposed"]
        assert same(shop)
