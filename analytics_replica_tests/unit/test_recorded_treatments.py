"""A treatment that a manifest records is read back as it was, for every mask.

Not here: what a mask does (test_masks.py).
"""

from __future__ import annotations

from typing import Any

import pytest

from analytics_replica.masking.treatments import Kind, Treatment, read_back
from analytics_replica.settings.rules import Mask, resolved

RULES: tuple[dict[str, Any], ...] = (
    {"mask": "token", "domain": "d"},
    {"mask": "token", "domain": "two words key=x", "normalise": "phone", "region": "DE"},
    {"mask": "token", "domain": "d", "as": "uuid", "elements": True},
    {"mask": "email", "domain": "d"},
    {"mask": "email", "domain": "d", "normalise": "none"},
    {"mask": "email_domain"},
    {"mask": "age_band", "as_of": "2026-01-01"},
    {"mask": "network"},
    {"mask": "redact"},
    {"mask": "constant", "value": "none"},
    {"mask": "null"},
    {
        "mask": "json",
        "paths": {
            "tier": "keep",
            "contact.email": {"mask": "email", "domain": "d"},
            "inner": {"mask": "token", "domain": "e"},
        },
    },
)


@pytest.mark.parametrize("rule", RULES)
def test_a_recorded_mask_is_read_back(rule: dict[str, Any]) -> None:
    mask = resolved(Mask.model_validate(rule), {}, None)
    assert isinstance(mask, Mask)
    done = Treatment(Kind.MASK, mask, "k1")
    again = read_back(done.describe())
    assert again.describe() == done.describe()
    assert again.mask is not None
    assert again.mask.model_dump(exclude_defaults=True) == mask.model_dump(exclude_defaults=True)


def test_what_is_kept_or_sealed_is_read_back() -> None:
    assert read_back("keep").kind is Kind.KEEP
    assert read_back("sealed: mask year does not fit its type text").kind is Kind.SEALED


def test_the_words_of_the_first_release_are_read_back() -> None:
    done = read_back("token domain=email normalise=email key=k0")
    assert done.mask is not None
    assert (done.mask.domain, done.mask.normalise, done.key_id) == ("email", "email", "k0")
    with pytest.raises(ValueError, match="not a mask"):
        read_back("scramble")
