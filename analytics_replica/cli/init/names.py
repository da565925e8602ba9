"""Names that are safe everywhere, made from names that are not; and quoting for YAML and Jinja.

Here: snake case, uniqueness, length. Not here: quoting for SQL (postgres.identifiers).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Final, TypeVar

from analytics_replica.masking.kinds import words_of
from analytics_replica.postgres.identifiers import MAX_IDENTIFIER_BYTES, name

Key = TypeVar("Key", bound=Hashable)

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")

_PLAIN_YAML: Final = re.compile(r"[a-z_][a-z0-9_.]*")

_RESERVED: Final = re.compile(
    r"all|analyse|analyze|and|any|array|as|asc|asymmetric|authorization|binary|both|case"
    r"|cast|check|collate|collation|column|concurrently|constraint|create|cross"
    r"|current_catalog|current_date|current_role|current_schema|current_time"
    r"|current_timestamp|current_user|default|deferrable|desc|distinct|do|else|end|except"
    r"|false|fetch|for|foreign|freeze|from|full|grant|group|having|ilike|in|initially|inner"
    r"|intersect|into|is|isnull|join|lateral|leading|left|like|limit|localtime"
    r"|localtimestamp|natural|not|notnull|null|offset|on|only|or|order|outer|overlaps"
    r"|placing|primary|references|returning|right|select|session_user|similar|some"
    r"|symmetric|system_user|table|tablesample|then|to|trailing|true|union|unique|user"
    r"|using|variadic|verbose|when|where|window|with"
)
"""PostgreSQL's words that are no column's name without quotes; a test compares them with
`select word from pg_get_keywords() where catcode in ('R', 'T')`."""

_YAML_WORDS: Final = re.compile(r"y|yes|n|no|on|off|true|false|null")
"""Words that YAML 1.1 reads as something else than text."""


def is_plain(identifier: str) -> bool:
    """True if the name can be written in SQL without quotes."""
    return _PLAIN.fullmatch(identifier) is not None and not _RESERVED.fullmatch(identifier)


def snake(identifier: str, fallback: str) -> str:
    """The name in ASCII snake case, never a reserved word; `fallback` if no letter is left."""
    words = words_of(identifier) or fallback
    if words[0].isdigit():
        words = f"{fallback}_{words}"
    return f"{words}_" if _RESERVED.fullmatch(words) else words


def distinct(wanted: Mapping[Key, str], *, longest: int = MAX_IDENTIFIER_BYTES) -> dict[Key, str]:
    """The wanted names, in order, cut to `longest` bytes and numbered where two would be equal."""
    given: dict[Key, str] = {}
    taken: set[str] = set()
    for key, ascii_name in wanted.items():
        candidate, number = shortened(ascii_name, longest), 2
        while candidate in taken:
            candidate = f"{shortened(ascii_name, longest - 4)}_{number}"
            number += 1
        taken.add(candidate)
        given[key] = candidate
    return given


def shortened(ascii_name: str, longest: int) -> str:
    """The name itself, or its beginning and a digest of the whole if it is too long."""
    if len(ascii_name) <= longest:
        return ascii_name
    digest = hashlib.sha256(ascii_name.encode()).hexdigest()[:8]
    return f"{ascii_name[: longest - 9]}_{digest}"


def in_yaml(text: str) -> str:
    """The text as a YAML scalar that is read as exactly this string."""
    if _PLAIN_YAML.fullmatch(text) and not _YAML_WORDS.fullmatch(text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(character) for character in text) + '"'


def in_dbt(identifier: str) -> str:
    """The column's name in a model's SQL: quoted if it must be, and never read as Jinja."""
    if is_plain(identifier):
        return identifier
    quoted = name(identifier).text
    if quoted.isprintable() and not any(mark in quoted for mark in ("{{", "{%", "{#")):
        return quoted
    return '{{ "' + "".join(_escaped(character) for character in quoted) + '" }}'


def sentence(names: Iterable[str]) -> str:
    """The names with commas, without anything that Jinja, YAML or a comment would read."""
    return ", ".join(re.sub(r"[^\w .,-]", "?", one) for one in names)


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
