"""What parses as an e-mail address, a phone number, a card or an IBAN, as PostgreSQL is asked.

Here: the forms, the check digits, and the statement that counts them in one column. Not here: from
how many on they mean a leak (chance.py), formats of masks (formats.py). Check digits are computed
by PostgreSQL: only counts leave the database.

Each form is conservative: what it finds is what it says, and what it does not find is listed in
docs/reference/masking-proof.md. A number is found only where no letter, digit or decimal part
touches it, so hashes, UUIDs and decimals are none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from analytics_replica.postgres import identifiers as sql
from analytics_replica.postgres.identifiers import Sql

IBAN_LENGTHS: Final = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MN", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
"""Country → letters and digits of its IBANs (SWIFT's registry, 2025)."""

SUSPICIOUS: Final = "@|[+(][1-9]|[0-9][0-9][0-9][0-9][0-9 -][0-9][0-9][0-9][0-9]"
"""What every form below contains: the one pattern that a harmless value meets."""

SHORTEST: Final = 6
"""Bytes of the shortest text that any form fits (a@b.de)."""

_LABEL: Final = r"""[^][:space:]@<>"'(),;:=/.[]"""
_EMAIL: Final = (
    r"""([^][:space:]@<>"'(),;:=/[]*[[:alnum:]_+%-])@"""
    rf"([[:alnum:]]{_LABEL}*\.(?:{_LABEL}+\.)*"
    r"(?!(?:png|jpe?g|gif|webp|svg|avif|css|js)\M)[[:alpha:]]{2,})(?![[:alnum:]])"
)
"""A file's name that ends like an address (logo@2x.png) is none."""

_OURS: Final = "^[0-9a-f]{32}$"
"""The token before the @ that mask email makes."""

_PHONE: Final = (
    r"(?<![[:alnum:]+])(\+[1-9](?:[ ()./-]{0,3}[0-9])+|\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4})"
    r"(?![[:alnum:]])"
)
"""+ and a country, or a number with its area in parentheses. Bare digits say nothing."""

_DECIMALS: Final = r"^\+[0-9]{1,3}[.][0-9]{3,}([ -]+[0-9]{1,3}[.][0-9]{3,})?$|^\+[0-9]+[.][0-9]*$"
"""Numbers with a sign, and coordinates."""

_CARD: Final = (
    r"(?<![[:alnum:]]|[0-9][.-])"
    r"([2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})"
    r"(?![[:alnum:]]|[.-][0-9])"
)

_ISSUED: Final = (
    "^(?:4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5]|2[2-7]|35)[0-9]{14}|3[47][0-9]{13}"
    "|3(?:0[0-5]|[689][0-9])[0-9]{11}|(?:6[0-9]|5[06-9])[0-9]{14,17})$"
)
"""First digits with the length that their issuer gives (ISO/IEC 7812)."""

_LUHN: Final = """
(select sum(case when place % 2 = 1 then digit else digit * 2 / 10 + digit * 2 % 10 end) % 10 = 0
 from (select place, ascii(substr(lpad({digits}, 20, '0'), 21 - place, 1)) - 48 as digit
       from generate_series(1, 20) as place) as digits)
"""

_IBAN: Final = (
    "(?<![[:alnum:]])([A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?![[:alnum:]])"
)

_OF_A_COUNTRY: Final = """
(select octet_length(cut) = length and cut ~ '^[A-Z]{{2}}[0-9]{{2}}'
 from (select ({lengths}::jsonb ->> left(found[1], 2))::int as length) as country,
      lateral (select left(replace(found[1], ' ', ''), length) as cut) as iban)
"""

_MOD_97: Final = """
(select string_agg(
     case when letter >= 'A' then (ascii(letter) - 55)::text else letter end, '' order by place
 )::numeric % 97 = 1
 from (select replace(found[1], ' ', '') as whole) as written,
      lateral (select left(whole, ({lengths}::jsonb ->> left(whole, 2))::int) as cut) as iban,
      lateral (select place, substr(substr(cut, 5) || left(cut, 4), place, 1) collate "C" as letter
               from generate_series(1, length(cut)) as place) as letters)
"""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of personal values. `found[1]` is each match of `pattern` in a text.

    `quick` is a condition on the text `v` that every match fulfils; `asked` is what a match must
    be to be counted, `hit` what makes it a hit; `chance` is the share of hits among harmless ones.
    """

    name: str
    pattern: str
    quick: str
    asked: Sql
    hit: Sql
    chance: float = 0


def _luhn() -> tuple[Sql, Sql]:
    digits = sql.compose("translate(found[1], ' -', '')")
    issued = sql.compose("{d} ~ {issued}", d=digits, issued=sql.literal(_ISSUED))
    return issued, sql.compose(_LUHN, digits=digits)


def _iban() -> tuple[Sql, Sql]:
    lengths = sql.literal(json.dumps(IBAN_LENGTHS))
    return sql.compose(_OF_A_COUNTRY, lengths=lengths), sql.compose(_MOD_97, lengths=lengths)


EMAIL: Final = Form(
    "e-mail addresses",
    _EMAIL,
    "v like '%@%'",
    sql.compose("found[1] !~ {ours}", ours=sql.literal(_OURS)),
    sql.compose("true"),
)
PHONE: Final = Form(
    "phone numbers",
    _PHONE,
    "v ~ '[+(][1-9]'",
    sql.compose(
        "length(regexp_replace(found[1], '[^0-9]', '', 'g')) between 8 and 15 "
        "and found[1] !~ {decimals}",
        decimals=sql.literal(_DECIMALS),
    ),
    sql.compose("true"),
)
CARD: Final = Form("card numbers", _CARD, "v ~ '[0-9]{4}[0-9 -][0-9]{4}'", *_luhn(), chance=0.1)
IBAN: Final = Form("IBANs", _IBAN, "v ~ '[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}'", *_iban(), chance=1 / 97)

FORMS: Final = (EMAIL, PHONE, CARD, IBAN)

_COUNT = """
cross join lateral (
    select count(*) as asked, count(*) filter (where {hit}) as hits
    from regexp_matches(case when {quick} then v end, {pattern}, 'g') as match(found)
    where {asked}
) as {name}
"""


def holds_email(text: Sql) -> Sql:
    """A condition that is true for texts with an e-mail address; fast where there is no @."""
    return sql.compose(
        "{text} like '%@%' and {text} ~ {pattern}", text=text, pattern=sql.literal(_EMAIL)
    )


def is_suspicious(text: Sql) -> Sql:
    """A condition that every text with one of the forms fulfils, and few others do."""
    return sql.compose("{text} ~ {suspicious}", text=text, suspicious=sql.literal(SUSPICIOUS))


def is_long_enough(value: Sql) -> Sql:
    """A quicker condition that every text with one of the forms fulfils."""
    return sql.compose(
        "octet_length({value}) >= {shortest}", value=value, shortest=sql.number(SHORTEST)
    )


def counting(texts: Sql) -> Sql:
    """A statement with one row: for each of FORMS, what was asked and what was hit.

    `texts` is a query that gives the suspicious texts as column `v`.
    """
    parts = [(form, sql.name(f"form {number}")) for number, form in enumerate(FORMS)]
    counted = (
        sql.compose("coalesce(sum({n}.asked), 0)::bigint, coalesce(sum({n}.hits), 0)::bigint", n=n)
        for _, n in parts
    )
    looks = (
        sql.compose(
            _COUNT,
            hit=form.hit,
            quick=sql.compose(form.quick.replace("{", "{{").replace("}", "}}")),
            pattern=sql.literal(form.pattern),
            asked=form.asked,
            name=name,
        )
        for form, name in parts
    )
    return sql.compose(
        "select {counted} from ({texts}) as held {looks}",
        counted=sql.join(", ", counted),
        texts=texts,
        looks=sql.join(" ", looks),
    )
