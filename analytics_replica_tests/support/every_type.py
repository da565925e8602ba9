"""A table with a column of every type, values that Arrow cannot hold among them.

Here: its drawing, five rows, and for each column another value that is nearly the same. Not here:
what is asked of it (the tests).
"""

from __future__ import annotations

from analytics_replica_tests.support.drawings import Drawn

UUID = "6f1f3c54-5a5c-4d4e-9a9e-0123456789a"
VALUES: dict[str, tuple[str, str | None, str | None, str | None, str | None]] = {
    "id bigint key": ("1", "2", "3", "4", "5"),
    "half smallint": ("1", "-1", None, "0", "9"),
    "whole integer": ("2", "-2", None, "0", "9"),
    "large bigint": ("3", "-3", None, "0", "9000000000"),
    "yes boolean": ("t", "f", None, "t", "f"),
    "price numeric(12,2)": ("1.50", "-1.50", None, "0.00", "NaN"),
    "exact numeric": ("1.500", "NaN", None, "0", "-7.0"),
    "real real": ("0.1", "-0", None, "0", "NaN"),
    "double double precision": ("0.1", "-0", None, "0", "Infinity"),
    "day date": ("2026-01-02", "infinity", None, "2000-01-01", "4713-01-01 BC"),
    "hour time without time zone": ("10:11:12.5", "24:00:00", None, "00:00:00", "23:59:59"),
    "local timestamp without time zone": (
        *("2026-01-02 03:04:05", "infinity", None, "-infinity", "1999-12-31 23:59:59.999999"),
    ),
    "at timestamp with time zone": (
        *("2026-01-02 03:04:05.6+00", "0044-03-15 12:00:00+00 BC", None, "-infinity"),
        "99999-01-01 00:00:00+00",
    ),
    "raw bytea": ("\\x00ff", "\\x", None, "\\x01", "\\x02"),
    "who uuid": (f"{UUID}b", f"{UUID}0", None, f"{UUID}c", f"{UUID}d"),
    "short character varying(20)": ("a", "", None, "b", "c"),
    "padded character(5)": ("abc  ", "     ", None, "b    ", "c    "),
    "said text": ("Ærø", "", None, "b", "c"),
    "doc json": ('{"b": 1,  "a": 2}', "{}", None, "1", "null"),
    "tree jsonb": ('{"a": 2, "b": 1}', "{}", None, "1", "null"),
    "host inet": ("10.0.0.1", "::1", None, "10.0.0.0/8", "fe80::1"),
    "span interval": ("1 day", "-00:00:01", None, "00:00:00", "1 mon"),
    "list integer[]": ("{1,2}", "{}", None, "{3}", "{NULL}"),
    "place point": ("(1,2)", "(0,0)", None, "(3,4)", "(5,6)"),
}
KINDS = dict(label.split(" ", 1) for label in VALUES)
EVERYTHING = Drawn("shop.everything", KINDS)
ROWS = [dict(zip(KINDS, row, strict=True)) for row in zip(*VALUES.values(), strict=True)]
OTHER = {
    "half": "7",
    "whole": "whole + 1",
    "large": "large # (1::bigint << 32 | 1)",
    "yes": "not yes",
    "price": "-price",
    "exact": "1.5",
    "real": "0.25",
    "double": "double + 1",
    "day": "day + 1",
    "hour": "hour + interval '1 us'",
    "local": "local + interval '1 us'",
    "at": "at + interval '1 us'",
    "raw": "'\\x00fe'",
    "who": "'6f1f3c54-5a5c-4d4e-9a9e-0123456789ac'",
    "short": "'A'",
    "padded": "'abd'",
    "said": "said || ' '",
    "doc": '\'{"b": 1, "a": 2}\'',
    "tree": '\'{"a": 2, "b": 1.0}\'',
    "host": "'10.0.0.1/8'",
    "span": "'24:00:00'",
    "list": "'{1,2,3}'",
    "place": "'(1,2.5)'",
}
"""Another value for the row with id 1, one that is nearly the same."""
