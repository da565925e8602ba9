"""Every type that PostgreSQL has, with values that are hard to keep.

Here: values by type, types of extensions and of our own, and what is refused. Not here: sending
them through the pipeline (scenarios/test_type_matrix.py). A value is a text that PostgreSQL reads,
or an expression where it begins with `=`.
"""

from __future__ import annotations

from typing import Final

LONG: Final = "=(repeat('9', 131072) || '.5')::numeric"
LONGEST: Final = "=(repeat('7', 131072) || '.' || repeat('3', 16383))::numeric"

BUILT_IN: Final[dict[str, list[str]]] = {
    "boolean": ["t", "f"],
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "real": ["1.1", "3.4028235e38", "NaN", "-Infinity", "1e-45", "-0", "1e6", "123456.7"],
    "double precision": ["0.1", "5e-324", "1.7976931348623157e308", "NaN", "-Infinity", "-0",
                         "1e15", "123456789012345680"],
    "numeric": ["NaN", "Infinity", "-Infinity", "0.000", "-1.50", LONG, LONGEST, "1e-16383"],
    "numeric(10,2)": ["NaN", "99999999.99", "-0.01", "0"],
    "numeric(38,10)": ["1234567890123456789012345678.0123456789", "-1"],
    "numeric(50,5)": ["123456789012345678901234567890123456789012345.12345", "NaN"],
    "numeric(4,-2)": ["123400", "-99", "NaN"],
    "numeric(3,5)": ["0.00123", "NaN"],
    "money": ["-92233720368547758.08", "12345678.90", "0"],
    "text": ["", "O'Brien", 'quote " comma ,', "tab\tnew\nline\r\n", "\\x41", "\\N", "NULL",
             "日本 ü 🎉 \u0001", "=repeat('ä', 300000)"],
    "character varying": ["any", " blank "],
    "character varying(10)": ["ten chars!", ""],
    "character(5)": ["ab", "", "abcde"],
    "bpchar": ["ab  ", ""],
    '"char"': ["a", "", "\\351", "\\377"],
    "name": ["=repeat('n', 63)::name", ""],
    "bytea": ["\\x", "\\x00ff10", "\\x5c6e", "=decode(repeat('00ff', 20000), 'hex')"],
    "date": ["2026-11-21", "infinity", "-infinity", "0044-03-15 BC", "4713-01-01 BC",
             "5874897-12-31", "0001-01-01", "9999-12-31", "10000-01-01"],
    "time without time zone": ["00:00:00", "23:59:59.999999", "24:00:00", "12:00:00.5"],
    "time(0) without time zone": ["12:34:56"],
    "time with time zone": ["12:00:00+05:30", "24:00:00-08", "00:00:00+15:59:59"],
    "timestamp without time zone": ["2026-11-21 10:00:00.123456", "infinity", "-infinity",
                                    "294276-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC"],
    "timestamp(3) without time zone": ["2026-11-21 10:00:00.125"],
    "timestamp with time zone": ["2026-11-21 10:00:00.5+02", "-infinity", "infinity",
                                 "0001-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00",
                                 "2026-03-29 01:30:00+01", "1883-11-18 12:03:58-04:56:02"],
    "interval": ["1 year -2 mons +3 days 04:05:06.789", "-178000000 years", "-00:00:00.000001",
                 "2562047788:00:54.775807", "-2562047788:00:54.775807",
                 "178956970 years 7 mons 2147483647 days", "-1 day +02:03:04", "0"],
    "interval year to month": ["1-2"],
    "interval day to second(3)": ["1 02:03:04.567"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"],
    "json": ['{"a" : 1,  "a": 2, "z": "\\u0000"}', "null", '"\\ud83d\\ude00"', "1e400"],
    "jsonb": ['{"n": 12345678901234567890.123456789, "u": "\\u00e9"}', "null", "1e400", '"ä"',
              "=to_jsonb((repeat('8', 5000) || '.25')::numeric)"],
    "jsonpath": ['$.a[*] ? (@.b > 1.50 && @.c like_regex "^x")', "strict $"],
    "inet": ["192.168.0.1/24", "::1", "::ffff:10.0.0.1/120"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit(3)": ["101"],
    '"bit"': ["10101"],
    "bit varying": ["10101", ""],
    "bit varying(5)": ["101"],
    "point": ["(1.5,-2)", "(NaN,Infinity)", "(0.1,1e300)"],
    "line": ["{1,-1,0.1}"],
    "lseg": ["[(0,0),(0.1,1)]"],
    "box": ["(1,1),(0.1,0)"],
    "path": ["((0,0),(1,1),(2,0.1))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(2,0.1))"],
    "circle": ["<(0.1,0),2>"],
    "int4range": ["[1,10)", "empty", "(,5)", "(,)"],
    "int8range": ["[1,9223372036854775807)"],
    "numrange": ["(0.10,NaN]", "[-Infinity,1e40]"],
    "daterange": ["[2020-01-01,infinity)", "[0044-03-15 BC,)"],
    "tsrange": ["[2020-01-01 00:00:00,294276-12-31 23:59:59)"],
    "tstzrange": ["[2020-06-01 00:00:00+02,infinity]"],
    "int4multirange": ["{[1,3),[5,7)}", "{}"],
    "int8multirange": ["{[1,3)}"],
    "nummultirange": ["{(0.10,1.0]}"],
    "datemultirange": ["{[2020-01-01,2020-02-01)}"],
    "tsmultirange": ["{[2020-01-01,2020-02-01)}"],
    "tstzmultirange": ["{[2020-01-01 00:00:00+02,2021-01-01 00:00:00+00)}"],
    "tsvector": ["'cat':1A 'do''g':2,5B", "", "'a\\\\b'"],
    "tsquery": ["'fat' & ( 'rat':AB* | !'cat' ) <-> 'x'"],
    "pg_lsn": ["16/B374D848", "0/0"],
    "xid8": ["18446744073709551615"],
    "xid": ["4294967295"],
    "cid": ["7"],
    "tid": ["(4294967295,65535)"],
    "oidvector": ["1 2 4294967295"],
    "int2vector": ["-1 32767"],
    "refcursor": ["a cursor"],
    "pg_snapshot": ["10:20:10,14,15"],
    "txid_snapshot": ["10:20:10,14,15"],
}  # fmt: skip

ARRAYS: Final[dict[str, list[str]]] = {
    "integer[]": ["{}", "[0:2]={7,8,NULL}", "{{1,2},{3,4}}", "[-1:0][5:5]={{1},{2}}"],
    "text[]": ['{"a,b","c\\"d",NULL,"NULL","","\\\\"," "}'],
    "numeric(10,2)[]": ["{NaN,1.5,NULL}"],
    "character varying(10)[]": ["{ten,NULL}"],
    "date[]": ["{infinity,NULL,0044-03-15 BC}"],
    "bytea[]": ['{"\\\\x00ff",NULL}'],
    "jsonb[]": ['{"{\\"a\\": 1}"}'],
}
"""Arrays beyond those that the test makes of every type."""

OUR_OWN: Final = """
create extension hstore; create extension citext; create extension ltree; create extension cube;
create extension vector; create extension seg; create extension isn;
create schema "Odd Types";
create type "Odd Types"."Mood" as enum ('happy', 'so so', 'Grumpy''s', '', '{');
create domain "Odd Types".share as numeric(5, 4) check (value between 0 and 1);
create domain "Odd Types".codes as text[];
create domain "Odd Types"."of domain" as "Odd Types".share;
create type "Odd Types".place as (street text, "No." int, mood "Odd Types"."Mood", at timestamptz);
create type "Odd Types".floats as range (subtype = float8);
"""

CREATED: Final[dict[str, list[str]]] = {
    "hstore": ['"a b"=>"1", "c"=>NULL', ""],
    "citext": ["MiXed", ""],
    "ltree": ["Top.Science", ""],
    "lquery": ["*.Sci*{1,2}"],
    "cube": ["(0.1, 2),(3, 4)", "(1)"],
    "vector(3)": ["[1,0.1,-3e+10]"],
    "halfvec(2)": ["[1,0.5]"],
    "sparsevec(5)": ["{1:1,3:0.1}/5"],
    "seg": ["1.50(+-)0.2", "<5"],
    "isbn13": ["978-0-11-000533-1"],
    '"Odd Types"."Mood"': ["so so", "Grumpy's", "", "{"],
    '"Odd Types".share': ["0.5", "1.0000"],
    '"Odd Types"."of domain"': ["0.25"],
    '"Odd Types".codes': ["[0:1]={x,NULL}"],
    '"Odd Types".place': ['("Main, ""St""",,happy,"2026-06-01 12:00:00+02")', "(,,,)", '("",1,,)'],
    '"Odd Types".floats': ["[0.1,Infinity)"],
    '"Odd Types"."Mood"[]': ['{so so,NULL,""}', "[3:3]={happy}"],
    '"Odd Types".share[]': ["{0.1,NULL}"],
    '"Odd Types".place[]': ['{"(a,1,,)",NULL}'],
    '"Odd Types".floats[]': ['{"[1,2)"}'],
    "hstore[]": ['{"\\"a\\"=>\\"1\\"",NULL}'],
    "information_schema.cardinal_number": ["0"],
    "information_schema.time_stamp": ["2026-11-21 10:00:00.5+02"],
}  # fmt: skip

OWN: Final = frozenset({
    '"Odd Types"."Mood"', '"Odd Types".share', '"Odd Types"."of domain"', '"Odd Types".codes',
    '"Odd Types".floats', "information_schema.cardinal_number", "information_schema.time_stamp",
})  # fmt: skip
"""Types that staging makes anew."""

ONLY_TEXT: Final = (*(kind for kind in CREATED if kind.removesuffix("[]") not in OWN),)
"""Types of ours and of extensions that stay text."""

REFUSED: Final = frozenset(
    {
        "regclass",
        "regcollation",
        "regconfig",
        "regdictionary",
        "regnamespace",
        "regoper",
        "regoperator",
        "regproc",
        "regprocedure",
        "regrole",
        "regtype",
        "aclitem",
    }
)
"""Names of the catalog: refused at configuration time, and so are their arrays."""

ONLY_PRINTED: Final = frozenset(
    {
        "pg_node_tree",
        "pg_ndistinct",
        "pg_dependencies",
        "pg_mcv_list",
        "pg_brin_bloom_summary",
        "pg_brin_minmax_multi_summary",
        "gtsvector",
    }
)
"""No server reads these from a text, so a table has them only if it copied a system catalog."""

FROM_CATALOG: Final = {
    "pg_node_tree": "(select adbin from pg_attrdef limit 1)",
    "pg_ndistinct": "(select stxdndistinct from pg_statistic_ext_data limit 1)",
    "pg_dependencies": "(select stxddependencies from pg_statistic_ext_data limit 1)",
    "pg_mcv_list": "(select stxdmcv from pg_statistic_ext_data limit 1)",
}
"""Where a value of them comes from."""

NEEDS_LIBXML: Final = {"xml": ["<a b='1'>&lt;ü</a>", "text <b/> text"]}
