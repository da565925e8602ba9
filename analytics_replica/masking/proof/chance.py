"""Chance: how many hits harmless values give, and from how many on they mean a leak.

Here: the arithmetic. Pure. Not here: what is counted (personal.py, formats.py). One of ten numbers
has a right check digit by chance: a column of order numbers must not stop the night, and one of
card numbers must.
"""

from __future__ import annotations

import math
from typing import Final

FALSE_ALARM: Final = 1e-6
"""The chance at most that a judged column without a leak is called one, in one look."""

CONFIDENCE: Final = 0.95
"""How sure a sample is to meet a leak of the size that is stated."""


def is_leak(hits: int, asked: int, chance: float) -> bool:
    """Whether so many hits among `asked` values mean more than chance.

    By Chernoff's bound, which is above the true probability: never more false alarms than
    FALSE_ALARM says. With chance 0, one hit is a leak.
    """
    if hits == 0:
        return False
    if chance == 0:
        return True
    share = hits / asked
    return share > chance and asked * _divergence(share, chance) >= -math.log(FALSE_ALARM)


def smallest_leak(others: int, chance: float) -> int:
    """How many leaked values are called a leak for sure among so many harmless ones.

    The harmless ones give as many hits as chance gives on average.
    """
    low, high = 1, 1
    while not _shows(high, others, chance):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _shows(middle, others, chance) else (middle + 1, high)
    return low


def unseen_share(sampled: int) -> float:
    """The share of values at fault of which a sample meets none with a chance of 5 %.

    The rule of three; it holds if the values at fault do not lie together in a few blocks.
    """
    return 1.0 if sampled == 0 else min(1.0, -math.log(1 - CONFIDENCE) / sampled)


def nights_until_seen(share: float) -> int:
    """After how many nights, each with other blocks, one block was read with CONFIDENCE."""
    return 1 if share >= 1 else math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-share))


def _shows(leaked: int, others: int, chance: float) -> bool:
    return is_leak(leaked + math.floor(others * chance), leaked + others, chance)


def _divergence(share: float, chance: float) -> float:
    """Kullback and Leibler's, of two coins, in nats."""
    seen = share * math.log(share / chance)
    return seen if share == 1 else seen + (1 - share) * math.log((1 - share) / (1 - chance))
