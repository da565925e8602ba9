"""Formats: what a value that a mask has made looks like, as a condition on one text.

Here: one condition for each mask, the same for columns, for elements of arrays and for values in
documents. Not here: walking documents (documents.py), personal values in what is kept
(personal.py). docs/reference/masking-proof.md says what each condition cannot see.

Texts are looked through for a character that must not be there, which PostgreSQL does seven times
as fast as matching a whole token (0.27 µs against 2 µs, 2026-11-21); it unrolls counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics_replica.masking.proof import personal
from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.identifiers import Sql

Options = Mapping[str, Any]

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"^(?:{_OCTET}\.){{3}}{_OCTET}/(?:3[0-2]|[12]?[0-9])$"
_LONG_NUMBER: Final = "[0-9](?:[ \\t\\n\\r\\f().+/_-]{0,3}[0-9]){6}"
"""Seven digits that belong together, of which mask redact leaves none."""

_SMALL: Final = 2**40
"""64-bit tokens are as often below this, whatever their sign, as one in eight million is."""


@dataclass(frozen=True, slots=True)
class Format:
    """A condition that is true for values which the mask cannot have made.

    `odd` is true for what the mask makes by `chance` only: many such values are at fault.
    """

    fault: Sql
    odd: Sql | None = None
    chance: float = 0


def format_of(mask: str, options: Options, text: Sql) -> Format:
    """What the results of the mask under these options look like, as texts; NULL fits all."""
    match options.get("as") if mask == "token" else None:
        case "uuid":
            fault = sql.compose("octet_length({t}) <> 36 or {t} ~ '[^0-9a-f-]'", t=text)
            # What systems make has a version and a variant; a token has them by chance.
            made = "substr({t}, 15, 1) between '1' and '8' and substr({t}, 20, 1) ~ '[89ab]'"
            return Format(fault, sql.compose(made, t=text), 1 / 8)
        case "int64":
            fault = sql.compose("{t} !~ '^-?[0-9]+$'", t=text)
            small = sql.compose(
                "case when {t} ~ '^-?[0-9]+$' then abs({t}::numeric) < {small} end",
                t=text,
                small=sql.number(_SMALL),
            )
            return Format(fault, small, 2 * _SMALL / 2**64)
        case _:
            return Format(_FORMATS[mask](options, text))


def _token(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("octet_length({t}) not in (0, 32) or {t} ~ '[^0-9a-f]'", t=text)


def _email(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose(
        "{t} <> '' and (octet_length({t}) < 32 or left({t}, 32) ~ '[^0-9a-f]' or "
        "(octet_length({t}) > 32 and (octet_length({t}) = 33 or substr({t}, 33, 1) <> '@' or "
        "substr({t}, 34) ~ '[^a-z0-9.-]')))",
        t=text,
    )


def _email_domain(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("{t} ~ '[^a-z0-9.-]'", t=text)


def _last4(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("{t} <> '' and {t} !~ '^[*]{{4}}(?:[0-9]{{4}})?$'", t=text)


def _phone_country(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("octet_length({t}) not in (0, 2) or {t} ~ '[^A-Z]'", t=text)


def _initials(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("length({t}) > 3 or {t} ~ '[a-z]'", t=text)


def _year(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("octet_length({t}) > 4 or {t} ~ '[^0-9]' or {t} in ('', '0')", t=text)


def _age_band(options: Options, text: Sql) -> Sql:
    width = int(options.get("width", 10))
    lows = [low for low in range(0, 200, width) if low < 90]
    bands = ["", "90+", *(f"{low}-{low + width - 1}" for low in lows)]
    made = sql.join(", ", (sql.literal(band) for band in bands))
    return sql.compose("{t} not in ({bands})", t=text, bands=made)


def _network(options: Options, text: Sql) -> Sql:
    v4, v6 = int(options.get("v4", 24)), int(options.get("v6", 48))
    # Below /64 the zeros at the end are the longest row, so they are what `::` stands for.
    ends = "::/[0-9]{1,3}$" if v6 <= 64 else "/[0-9]{1,3}$"
    return sql.compose(
        "{t} <> '' and case when {t} ~ {is_v4} then "
        "masklen({t}::inet) > {v4} or network({t}::inet)::text <> {t} "
        "when {t} ~ {is_v6} and {t} ~ '^[0-9a-f:]*/[0-9]+$' and {t} like '%:%' then "
        "split_part({t}, '/', 2)::int > {v6} else true end",
        t=text,
        is_v4=sql.literal(_IPV4),
        is_v6=sql.literal(ends),
        v4=sql.number(v4),
        v6=sql.number(v6),
    )


def _bucket(options: Options, text: Sql) -> Sql:
    return sql.compose(
        "{t} is not null and "
        "case when {t} ~ '^-?[0-9]+$' then {t}::numeric % {width} <> 0 else true end",
        t=text,
        width=sql.number(int(options["width"])),
    )


def _redact(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose(
        "({email}) or {t} ~ {number}",
        email=personal.holds_email(text),
        t=text,
        number=sql.literal(_LONG_NUMBER),
    )


def _constant(options: Options, text: Sql) -> Sql:
    return sql.compose("{t} <> {value}", t=text, value=sql.literal(str(options["value"])))


def _null(options: Options, text: Sql) -> Sql:
    del options
    return sql.compose("{t} is not null", t=text)


_FORMATS: Final[Mapping[str, Callable[[Options, Sql], Sql]]] = {
    "token": _token,
    "email": _email,
    "email_domain": _email_domain,
    "last4": _last4,
    "phone_country": _phone_country,
    "initials": _initials,
    "year": _year,
    "age_band": _age_band,
    "network": _network,
    "bucket": _bucket,
    "redact": _redact,
    "constant": _constant,
    "null": _null,
    "sealed": _null,
}
