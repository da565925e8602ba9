"""PostgreSQL's names for its own types, for columns that we know only from the log.

The log names a column's type by OID and modifier; the catalog, which we do not ask, would give
the name. Here: `type_name`, equal to `format_type(oid, modifier)` for built-in types (a test asks
PostgreSQL). Not here: what a type becomes (types.py).
"""

from __future__ import annotations

from typing import Final

_NAMES: Final[dict[int, str]] = {
    16: "boolean",
    17: "bytea",
    18: '"char"',
    19: "name",
    20: "bigint",
    21: "smallint",
    22: "int2vector",
    23: "integer",
    24: "regproc",
    25: "text",
    26: "oid",
    27: "tid",
    28: "xid",
    29: "cid",
    30: "oidvector",
    114: "json",
    142: "xml",
    143: "xml[]",
    194: "pg_node_tree",
    199: "json[]",
    271: "xid8[]",
    600: "point",
    601: "lseg",
    602: "path",
    603: "box",
    604: "polygon",
    628: "line",
    629: "line[]",
    650: "cidr",
    651: "cidr[]",
    700: "real",
    701: "double precision",
    718: "circle",
    719: "circle[]",
    774: "macaddr8",
    775: "macaddr8[]",
    790: "money",
    791: "money[]",
    829: "macaddr",
    869: "inet",
    1000: "boolean[]",
    1001: "bytea[]",
    1002: '"char"[]',
    1003: "name[]",
    1005: "smallint[]",
    1006: "int2vector[]",
    1007: "integer[]",
    1008: "regproc[]",
    1009: "text[]",
    1010: "tid[]",
    1011: "xid[]",
    1012: "cid[]",
    1013: "oidvector[]",
    1014: "bpchar[]",
    1015: "character varying[]",
    1016: "bigint[]",
    1017: "point[]",
    1018: "lseg[]",
    1019: "path[]",
    1020: "box[]",
    1021: "real[]",
    1022: "double precision[]",
    1027: "polygon[]",
    1028: "oid[]",
    1033: "aclitem",
    1034: "aclitem[]",
    1040: "macaddr[]",
    1041: "inet[]",
    1042: "bpchar",
    1043: "character varying",
    1082: "date",
    1083: "time without time zone",
    1114: "timestamp without time zone",
    1115: "timestamp without time zone[]",
    1182: "date[]",
    1183: "time without time zone[]",
    1184: "timestamp with time zone",
    1185: "timestamp with time zone[]",
    1186: "interval",
    1187: "interval[]",
    1231: "numeric[]",
    1266: "time with time zone",
    1270: "time with time zone[]",
    1560: '"bit"',
    1561: '"bit"[]',
    1562: "bit varying",
    1563: "bit varying[]",
    1700: "numeric",
    1790: "refcursor",
    2201: "refcursor[]",
    2202: "regprocedure",
    2203: "regoper",
    2204: "regoperator",
    2205: "regclass",
    2206: "regtype",
    2207: "regprocedure[]",
    2208: "regoper[]",
    2209: "regoperator[]",
    2210: "regclass[]",
    2211: "regtype[]",
    2949: "txid_snapshot[]",
    2950: "uuid",
    2951: "uuid[]",
    2970: "txid_snapshot",
    3220: "pg_lsn",
    3221: "pg_lsn[]",
    3361: "pg_ndistinct",
    3402: "pg_dependencies",
    3614: "tsvector",
    3615: "tsquery",
    3642: "gtsvector",
    3643: "tsvector[]",
    3644: "gtsvector[]",
    3645: "tsquery[]",
    3734: "regconfig",
    3735: "regconfig[]",
    3769: "regdictionary",
    3770: "regdictionary[]",
    3802: "jsonb",
    3807: "jsonb[]",
    3904: "int4range",
    3905: "int4range[]",
    3906: "numrange",
    3907: "numrange[]",
    3908: "tsrange",
    3909: "tsrange[]",
    3910: "tstzrange",
    3911: "tstzrange[]",
    3912: "daterange",
    3913: "daterange[]",
    3926: "int8range",
    3927: "int8range[]",
    4072: "jsonpath",
    4073: "jsonpath[]",
    4089: "regnamespace",
    4090: "regnamespace[]",
    4096: "regrole",
    4097: "regrole[]",
    4191: "regcollation",
    4192: "regcollation[]",
    4451: "int4multirange",
    4532: "nummultirange",
    4533: "tsmultirange",
    4534: "tstzmultirange",
    4535: "datemultirange",
    4536: "int8multirange",
    4600: "pg_brin_bloom_summary",
    4601: "pg_brin_minmax_multi_summary",
    5017: "pg_mcv_list",
    5038: "pg_snapshot",
    5039: "pg_snapshot[]",
    5069: "xid8",
    6150: "int4multirange[]",
    6151: "nummultirange[]",
    6152: "tsmultirange[]",
    6153: "tstzmultirange[]",
    6155: "datemultirange[]",
    6157: "int8multirange[]",
}

_OIDS: Final = {name: oid for oid, name in _NAMES.items()}
_ARRAYS: Final = {
    oid: _OIDS[name.removesuffix("[]")] for name, oid in _OIDS.items() if name.endswith("[]")
}
"""Each array's OID and its element's."""

_NUMERIC: Final = 1700
_INTERVAL: Final = 1186
_TIMES: Final = frozenset({1083, 1114, 1184, 1266})
_HEADER: Final = 4
"""PostgreSQL stores most lengths with the size of its own length word added (VARHDRSZ)."""

_LENGTHS: Final = {
    1042: ("character", _HEADER),
    1043: ("character varying", _HEADER),
    1560: ("bit", 0),
    1562: ("bit varying", 0),
}
"""Types with a length: their name when it is given, and what is stored on top of it."""

_INTERVAL_FIELDS: Final = ((2, "year"), (1, "month"), (3, "day"), (10, "hour"), (11, "minute"),
                           (12, "second"))  # fmt: skip
"""The bits of an interval's modifier that name its fields, from large to small (datetime.h)."""
_ALL_FIELDS: Final = 0x7FFF
_FULL_PRECISION: Final = 0xFFFF


def type_name(oid: int, modifier: int) -> str:
    """The type as `format_type` prints it; `user type <oid>` for a type that somebody created."""
    if oid in _ARRAYS:
        return f"{type_name(_ARRAYS[oid], modifier)}[]"
    name = _NAMES.get(oid, f"user type {oid}")
    if modifier < 0:
        return name
    if oid in _LENGTHS:
        spelled, header = _LENGTHS[oid]
        return f"{spelled}({modifier - header})"
    if oid in _TIMES:
        first, _, rest = name.partition(" ")
        return f"{first}({modifier}) {rest}"
    if oid == _INTERVAL:
        return name + _interval_fields(modifier)
    if oid == _NUMERIC:
        packed = modifier - _HEADER
        precision = (packed >> 16) & 0xFFFF
        scale = ((packed & 0x7FF) ^ 1024) - 1024
        return f"{name}({precision},{scale})"
    return name


def is_known(oid: int) -> bool:
    """True if `type_name` has a name for this type."""
    return oid in _NAMES


def _interval_fields(modifier: int) -> str:
    mask, precision = modifier >> 16 & _ALL_FIELDS, modifier & _FULL_PRECISION
    named = [] if mask == _ALL_FIELDS else [n for bit, n in _INTERVAL_FIELDS if mask >> bit & 1]
    spelled = f" {named[0]}" if named else ""
    if len(named) > 1:
        spelled += f" to {named[-1]}"
    return spelled if precision == _FULL_PRECISION else f"{spelled}({precision})"
