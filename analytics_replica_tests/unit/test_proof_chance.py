"""When hits mean a leak: compared with the exact binomial, and with what a sample can see."""

from __future__ import annotations

import math

import pytest

from analytics_replica.masking.proof.chance import (
    FALSE_ALARM,
    is_leak,
    nights_until_seen,
    smallest_leak,
    unseen_share,
)


def exact(hits: int, asked: int, chance: float) -> float:
    """The chance of at least so many hits."""
    return math.fsum(
        math.comb(asked, k) * chance**k * (1 - chance) ** (asked - k)
        for k in range(hits, asked + 1)
    )


@pytest.mark.parametrize("chance", [0.1, 1 / 97, 1 / 8])
@pytest.mark.parametrize("asked", [1, 5, 6, 40, 300])
def test_chance_alone_calls_a_leak_less_often_than_promised(asked: int, chance: float) -> None:
    called = [hits for hits in range(asked + 1) if is_leak(hits, asked, chance)]
    if called:
        assert exact(called[0], asked, chance) <= FALSE_ALARM * (1 + 1e-9)
        assert called == list(range(called[0], asked + 1))


def test_without_chance_one_hit_is_a_leak_and_none_never_is() -> None:
    assert is_leak(1, 10**9, 0)
    assert not is_leak(0, 10**9, 0)
    assert not is_leak(0, 10**9, 0.1)


def test_fewer_hits_than_chance_gives_are_no_leak() -> None:
    assert not is_leak(0, 1000, 0.1)
    assert not is_leak(1, 1000, 0.1)


@pytest.mark.parametrize(("others", "chance"), [(0, 0.1), (0, 1 / 97), (10**6, 0.1), (500, 1 / 97)])
def test_the_smallest_leak_is_called_one_and_a_smaller_is_not(others: int, chance: float) -> None:
    smallest = smallest_leak(others, chance)
    by_chance = math.floor(others * chance)
    assert is_leak(smallest + by_chance, smallest + others, chance)
    assert not is_leak(smallest - 1 + by_chance, smallest - 1 + others, chance)


def test_a_sample_of_a_million_sees_three_in_a_million() -> None:
    assert unseen_share(10**6) == pytest.approx(3e-6, rel=0.01)
    assert (1 - unseen_share(10**6)) ** 10**6 == pytest.approx(0.05, rel=0.01)
    assert unseen_share(0) == 1


def test_a_block_is_read_within_the_stated_nights() -> None:
    nights = nights_until_seen(0.25)
    assert 1 - 0.75**nights >= 0.95 > 1 - 0.75 ** (nights - 1)
    assert nights_until_seen(1) == 1
