"""The masks: what each does to a column, and what it promises.

Here: all masks by name, and the one function that applies one. Not here: which column gets which
mask (policy.py), when (seal.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from analytics_replica.masking.strategies.arrays import apply_elements
from analytics_replica.masking.strategies.contacts import (
    apply_email,
    apply_email_domain,
    apply_last4,
    apply_phone_country,
)
from analytics_replica.masking.strategies.documents import apply_json
from analytics_replica.masking.strategies.plain import (
    apply_age_band,
    apply_bucket,
    apply_constant,
    apply_initials,
    apply_network,
    apply_null,
    apply_year,
)
from analytics_replica.masking.strategies.redaction import apply_redact
from analytics_replica.masking.strategies.strategy import (
    DATES,
    DOCUMENTS,
    NETWORKS,
    NUMBERS,
    TEXTS,
    Strategy,
)
from analytics_replica.masking.strategies.tokens import apply_token
from analytics_replica.settings.rules import Mask


def mask_column(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    """The masked values of these texts under a resolved mask; NULL stays NULL.

    Equal texts give equal values, whatever stands beside them.
    """
    strategy = STRATEGIES[mask.name]
    if mask.elements:
        return apply_elements(texts, lambda elements: strategy.apply(elements, mask, key))
    return strategy.apply(texts, mask, key)


def _json(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    return apply_json(texts, mask, key, mask_column)


STRATEGIES: Final[Mapping[str, Strategy]] = {
    "token": Strategy(
        apply_token, "text", None, keyed=True, keeps_unique=True, keeps_joins=True, lossy=False
    ),
    "email": Strategy(
        apply_email, "text", TEXTS, own_types=True, keyed=True, keeps_joins=True, lossy=False
    ),
    "email_domain": Strategy(apply_email_domain, "text", TEXTS, own_types=True),
    "last4": Strategy(apply_last4, "text", TEXTS, own_types=True),
    "phone_country": Strategy(apply_phone_country, "text", TEXTS, own_types=True),
    "initials": Strategy(apply_initials, "text", TEXTS, own_types=True),
    "year": Strategy(apply_year, "integer", DATES),
    "age_band": Strategy(apply_age_band, "text", DATES),
    "network": Strategy(apply_network, "text", NETWORKS | TEXTS),
    "bucket": Strategy(apply_bucket, "numeric", NUMBERS),
    "redact": Strategy(apply_redact, "text", TEXTS, own_types=True),
    "json": Strategy(_json, "jsonb", DOCUMENTS),
    "constant": Strategy(apply_constant, "text", None),
    "null": Strategy(apply_null, None, None),
}
"""All masks but keep, which is none."""
