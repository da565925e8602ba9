"""What the shop writes about its products: long, and nothing in it can be compressed.

Here: one description for each number, the same for the same seed on every machine, and the
transactions that change a product. Not here: the products to begin with (filling/products.sql).
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Final

from analytics_replica.demo.shop.world import Cursor, World

LENGTH: Final = 6_000
"""Well over the 2 kB from which PostgreSQL stores a value out of line (TOAST)."""

# Letters drawn at random hold nothing that pglz or lz4 could fold. Neither z, q, v nor a digit
# is among them, so no description ever looks like one of the people's marked words or numbers.
_LETTERS: Final = (b" aeioubcdfghklmnprstwxyaeiot" * 10)[:256]

_REDESCRIBE: Final = "update shop.products set description = %s, updated_at = %s where id = %s"
_REPRICE: Final = "update shop.products set price = %s, updated_at = %s where id = %s"


def description(number: int, seed: int, edition: int = 0) -> str:
    """The text of product `number`; every edition of it is a new text."""
    drawn = hashlib.shake_256(f"{seed}:{number}:{edition}".encode()).digest(LENGTH)
    return drawn.translate(_LETTERS).decode("ascii").strip()


def redescribe_product(world: World, cursor: Cursor) -> None:
    """A product gets a new text: a new out-of-line value."""
    product, _ = world.one_of(world.products)
    text = description(product, world.seed, edition=world.chance.randrange(1, 10**9))
    cursor.execute(_REDESCRIBE, (text, world.now, product))


def reprice_product(world: World, cursor: Cursor) -> None:
    """A product's price changes; its long text is not touched, so the log leaves it out."""
    product, price = world.one_of(world.products)
    changed = (price * world.one_of((90, 95, 105, 110)) / 100).quantize(Decimal("0.01"))
    cursor.execute(_REPRICE, (changed, world.now, product))
