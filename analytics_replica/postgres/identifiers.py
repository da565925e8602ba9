"""All quoting of identifiers and composing of SQL. Nothing else may build SQL from strings.

Here: `Sql`, `name`, `table`, `keyword`, `type_name`, `literal`, `compose`. Not here: any
statement. Values of rows are always parameters of the driver, never parts of composed SQL;
`literal` exists for DDL and comments.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.tables import TableName

MAX_IDENTIFIER_BYTES: Final = 63
"""PostgreSQL cuts longer names silently (NAMEDATALEN - 1), so we refuse them instead."""

_TYPE_NAME: Final = re.compile(
    r'(?:"(?:char|bit)"|[a-z][a-z0-9_]*)(?:\(\d+(?:,-?\d+)?\))?(?: [a-z]+(?:\(\d+\))?)*(?:\[\])*'
)
"""How format_type prints the types of pg_catalog, for example `timestamp(3) with time zone[]`."""

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_USER_TYPE: Final = re.compile(r'(?:[a-z_][a-z0-9_]*|"(?:[^"\0]|"")+")\."(?:[^"\0]|"")+"(?:\[\])*')
"""How format_type prints a type in another schema whose name is no plain word."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL that was composed here and is safe to send."""

    text: str

    def __str__(self) -> str:
        return self.text


def name(identifier: str) -> Sql:
    """The identifier in double quotes, correct for every legal PostgreSQL and DuckDB name.

    ValueError for what no PostgreSQL name can be: empty, longer than 63 bytes, or with a NUL.
    """
    if not identifier or "\0" in identifier:
        raise ValueError("an SQL name is not empty and has no NUL")
    if len(identifier.encode()) > MAX_IDENTIFIER_BYTES:
        raise ValueError(f"an SQL name has at most {MAX_IDENTIFIER_BYTES} bytes: {identifier!r}")
    return Sql('"' + identifier.replace('"', '""') + '"')


def column_label(identifier: str) -> Sql:
    """Like `name`, for columns of landed files in DuckDB, which may be longer than 63 bytes."""
    return Sql('"' + identifier.replace('"', '""') + '"')


def table(of: TableName) -> Sql:
    """The table's qualified name, quoted."""
    return Sql(f"{name(of.schema)}.{name(of.name)}")


def literal(value: str) -> Sql:
    """A string constant, correct whatever standard_conforming_strings says; no NUL."""
    if "\0" in value:
        raise ValueError("an SQL string has no NUL")
    quoted = "'" + value.replace("'", "''") + "'"
    if "\\" in value:
        return Sql(" E" + quoted.replace("\\", "\\\\"))
    return Sql(quoted)


def dollar_tag(tag: str) -> Sql:
    """The quote around a block of code (`$tag$`); ValueError if it is not one."""
    if not re.fullmatch(r"\$[a-z_]*\$", tag):
        raise ValueError("a dollar quote is $letters$")
    return Sql(tag)


def number(value: int) -> Sql:
    """An integer constant."""
    return Sql(str(int(value)))


def keyword(printed: str) -> Sql:
    """Words of SQL as the catalog prints them (`SELECT`); ValueError for anything but letters."""
    if re.fullmatch(r"[A-Za-z]+( [A-Za-z]+)*", printed) is None:
        raise ValueError("a keyword has only letters")
    return Sql(printed)


def type_name(printed: str) -> Sql:
    """A type of pg_catalog, or one of `user_type`, as format_type prints it; else ValueError."""
    if _TYPE_NAME.fullmatch(printed) is None and _USER_TYPE.fullmatch(printed) is None:
        raise ValueError(f"not a type of PostgreSQL's own, nor one of ours: {printed!r}")
    return Sql(printed)


def user_type(of: TableName) -> str:
    """A type that we made, as format_type prints it; its name has a dot, so it is quoted."""
    schema = of.schema if _PLAIN.fullmatch(of.schema) else name(of.schema).text
    return f"{schema}.{name(of.name).text}"


def join(separator: str, parts: Iterable[Sql]) -> Sql:
    """The parts with the separator between them."""
    return Sql(separator.join(p.text for p in parts))


def names(identifiers: Iterable[str]) -> Sql:
    """The identifiers quoted, with commas between them."""
    return join(", ", (name(i) for i in identifiers))


def compose(template: str, **parts: Sql) -> Sql:
    """The template with every `{field}` replaced by the part of that name.

    Only `Sql` made by this module fits a field; a missing or an unused part is a KeyError. Other
    braces are written double, as for `str.format`.
    """
    wanted = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    if wanted != set(parts):
        raise KeyError(f"template wants {sorted(wanted)}, got {sorted(parts)}")
    if not all(isinstance(part, Sql) for part in parts.values()):
        raise TypeError("only Sql fits a template")
    return Sql(template.format(**{key: part.text for key, part in parts.items()}))


def compose_of(template: str, parts: Mapping[str, Sql]) -> Sql:
    """As `compose`, with those of the parts that the template names."""
    wanted = {field for _, field, _, _ in string.Formatter().parse(template)}
    return compose(template, **{key: part for key, part in parts.items() if key in wanted})
