"""What sort of values a column holds, and its name in plain words, as far as a suggestion cares.

Here: the kinds of types, and names in snake case. Not here: what the words say (signs.py).
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto
from typing import Final

from analytics_replica.domain.tables import Column


def words_of(name: str) -> str:
    """The name in snake case and ASCII letters; what cannot be written so is left out."""
    broken = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    latin = broken.translate(SPELT)
    plain = unicodedata.normalize("NFKD", latin).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


SPELT: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae"})
"""Letters that have no decomposition in Unicode."""


class Kind(Enum):
    """What sort of values a type holds, as far as a suggestion depends on it."""

    TEXT = auto()
    NUMBER = auto()
    FLAG = auto()
    DATE = auto()
    MOMENT = auto()
    UUID = auto()
    JSON = auto()
    NETWORK = auto()
    OWN = auto()
    """A type that somebody created: enum, domain or composite; a column does not say which."""
    OTHER = auto()
    """Arrays, ranges, bytes, documents, shapes."""

    @classmethod
    def of(cls, column: Column) -> Kind:
        """The kind of this column's type; of its name, if the type is not known (OID 0)."""
        if column.type_name.endswith("[]"):
            return cls.OTHER
        if not column.type_oid:
            return cls.guessed(words_of(column.name))
        known = next((kind for kind, oids in _OIDS.items() if column.type_oid in oids), None)
        return known or (cls.OWN if column.type_oid >= _FIRST_USER_OID else cls.OTHER)

    @classmethod
    def guessed(cls, words: str) -> Kind:
        """The kind that a column of this name most likely has, where only its name is known."""
        if re.search(r"_(?:at|on)$", words):
            return cls.MOMENT
        return cls.FLAG if re.match(r"(?:is|has|can|was)_", words) else cls.TEXT


_OIDS: Final = {
    Kind.TEXT: {25, 1043, 1042, 19},
    Kind.NUMBER: {20, 21, 23, 26, 700, 701, 790, 1700},
    Kind.FLAG: {16},
    Kind.DATE: {1082},
    Kind.MOMENT: {1083, 1114, 1184, 1186, 1266},
    Kind.UUID: {2950},
    Kind.JSON: {114, 3802},
    Kind.NETWORK: {650, 774, 829, 869},
}
_FIRST_USER_OID: Final = 16384
