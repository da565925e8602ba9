"""A rotation that is killed leaves one key everywhere, and a repetition completes it.

Oracles: tokens computed with Python's hmac, production's own rows.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analytics_replica.domain.clock import SystemClock
from analytics_replica.staging.apply import apply_pending
from analytics_replica_tests.support.copying import apply, same
from analytics_replica_tests.support.killed import killed_at
from analytics_replica_tests.support.pipeline import Pipeline
from analytics_replica_tests.support.rotating import (
    WRITES,
    all_under,
    keys_are,
    rotated,
    rotating_shop,
    staged,
)
from analytics_replica_tests.support.servers import Database


@pytest.fixture
def shop(production: Database, pipeline: Callable[..., Pipeline]) -> Pipeline:
    return rotating_shop(production, pipeline)


@pytest.mark.parametrize("point", ["captured", "copied a part", "proposed"])
def test_a_kill_before_the_copy_is_landed_leaves_the_old_key_everywhere(
    shop: Pipeline, point: str
) -> None:
    keys_are(shop, "k2", "k1", "k2")
    shop.production.execute(WRITES.format(n=1))
    killed_at(point, lambda reached: rotated(shop, reached=reached))
    apply(shop)
    assert keys_staged(shop) == {"k1"}
    rotated(shop)
    assert same(shop)
    assert all_under(shop, "k2")


@pytest.mark.parametrize("batch", [1, 2], ids=["the stream's", "the copy's"])
@pytest.mark.parametrize("point", ["manifest", "confirm"])
def test_a_kill_while_the_copy_is_landed_changes_over_once(
    shop: Pipeline, point: str, batch: int
) -> None:
    keys_are(shop, "k2", "k1", "k2")
    killed_at("proposed", lambda reached: rotated(shop, reached=reached))
    shop.production.execute(WRITES.format(n=1))
    killed_at(point, lambda reached: shop.capture(reached=reached), times=batch)
    apply(shop)
    exists = point == "confirm" and batch == 2
    assert keys_staged(shop) == {"k2" if exists else "k1"}
    assert same(shop)
    assert all_under(shop, "k2")
    assert rotated(shop).copied is None


def test_a_kill_of_the_apply_leaves_the_old_key_everywhere(shop: Pipeline) -> None:
    keys_are(shop, "k2", "k1", "k2")
    rotated(shop)
    heard: list[str] = []

    def die_between_tables(step: str, done: int, total: int | None) -> None:
        heard.append(step)
        if step == "apply" and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_pending(shop.settings, SystemClock(), progress=die_between_tables)
    assert all_under(shop, "k1")
    apply(shop)
    assert all_under(shop, "k2")


def keys_staged(shop: Pipeline) -> set[str]:
    """The keys of what staging holds, as far as production has the same values still."""
    return {key_id for counts in staged(shop).values() for key_id in counts} - {""}
