"""The personal values of the shop, and finding them among any bytes.

Here: reading a sample of them from production, and looking for it in bytes: first for a rare
marker, which is as fast as memory, then exactly. Not here: where bytes come from (demo.leaks), how
the values are made (shop.people).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from analytics_replica.demo.shop.people import DIGIT_MARKER, MARKER, WORD_EDGE, WordKind, word_kind
from analytics_replica.domain.tables import TableName
from analytics_replica.postgres.connect import connect
from analytics_replica.postgres.identifiers import compose, name, table

PERSONAL: Final = {
    TableName("shop", "customers"): ("email", "full_name", "phone"),
    TableName("shop", "customer_profiles"): ("notes", "attributes"),
    TableName("crm", "legacy_users"): ("name", "email", "phone"),
    TableName("shop", "addresses"): ("line1", "line2"),
    TableName("shop", "payments"): ("payer_email", "card_number"),
    TableName("shop", "refunds"): ("reason",),
    TableName("shop", "shipments"): ("recipient", "tracking_no"),
    TableName("shop", "support_tickets"): ("email", "subject", "body"),
}
"""The columns whose values must never be found outside production."""

# the same sample every time: the order of a hash, not of the table
_SAMPLE: Final = """
select {column}::text from {table}
where {column} is not null
order by hashtext({column}::text), {column}::text
limit %s
"""

_WORD: Final = re.compile(rf"[a-z]{{{WORD_EDGE}}}{MARKER}[a-z]{{{WORD_EDGE}}}")
_EMAIL: Final = re.compile(rf"[a-z.]*{MARKER}[a-z0-9.]*@[a-z.-]+[a-z]")
_PHONE: Final = re.compile(rf"{DIGIT_MARKER}(?:[ -]\d{{3}}[ -]\d{{4}}|\) \d{{3}}-\d{{4}}|\d{{7}})(?!\d)")
_CARD: Final = re.compile(rf"{DIGIT_MARKER}\d(?: ?\d{{4}}){{3}}(?!\d)")


class Kind(StrEnum):
    """What sort of personal value it is."""

    EMAIL = "e-mail"
    NAME = "name"
    PHONE = "telephone"
    CARD = "card number"
    ADDRESS = "address"
    REMARK = "free text"
    PARCEL = "parcel number"
