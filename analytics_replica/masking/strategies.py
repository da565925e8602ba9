"""The masks: what each does to a column of texts.

Here: one function per mask and what it declares (types, key, uniqueness). Not here: which column
gets which mask (policy.py). Every function works on whole columns, maps NULL to NULL, and touches
each different value once. Tokens can be computed elsewhere from docs/reference/tokens.md.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from analytics_replica.settings.schema import Mask, MaskName

TOKEN_BYTES: Final = 16
"""128 bits: with 10^8 values the chance of any collision is about 10^-23."""

_HOST: Final = re.compile(r"[a-z0-9.-]{1,253}")

_TEXT_OIDS: Final = frozenset({25, 1043, 1042, 19})
_DATE_OIDS: Final = frozenset({1082, 1114, 1184})
_JSON_OIDS: Final = frozenset({114, 3802})

Apply = Callable[[pa.Array, Mask, bytes], pa.Array]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A mask: its function and what it promises.

    `staging` is the PostgreSQL type of the result, None for the column's own type. `types` are the
    OIDs it fits, None for all. `keyed` masks use the key; `keeps_unique` ones keep different
    values different.
    """

    apply: Apply
    staging: str | None
    types: frozenset[int] | None
    keyed: bool = False
    keeps_unique: bool = False


def token_of(value: str, domain: str, key: bytes) -> str:
    """The token of one value: 32 hex digits, equal for equal values within a domain and key.

    HMAC-SHA-256 under a key derived for the domain, cut to 128 bits. The empty text stays empty.
    """
    if not value:
        return value
    return hmac.digest(_domain_key(domain, key), value.encode(), "sha256").hex()[: 2 * TOKEN_BYTES]


def _domain_key(domain: str, key: bytes) -> bytes:
    return hmac.digest(key, b"analytics-replica/token/v1/" + domain.encode(), "sha256")


def _tokens(texts: pa.Array, domain_key: bytes) -> pa.Array:
    """The tokens of a column: `token_of` for all values at once; a test compares the two."""
    from analytics_replica.masking.bulk_hmac import hmac_hex  # noqa: PLC0415 - numba takes 0.7 s

    return hmac_hex(texts, domain_key, 2 * TOKEN_BYTES)


def normalised(value: str, how: str | None) -> str:
    """The form under which equal people are equal; never empty if the value is not."""
    match how:
        case "trim_lower":
            form = value.strip().lower()
        case "phone":
            form = _phone(value)
        case _:
            form = value
    return form or value


def _phone(value: str) -> str:
    """The digits, without international or trunk prefix: the last ten of a long number."""
    digits = re.sub(r"\D", "", value)
    return digits[-10:] if len(digits) > 10 else digits


def _distinct(texts: pa.Array, change: Callable[[list[str]], Iterable[str | None]]) -> pa.Array:
    """The texts with `change` applied to the list of different values, each once."""
    encoded = texts.dictionary_encode()
    changed = pa.array(list(change(encoded.dictionary.to_pylist())), pa.string())
    return changed.take(encoded.indices)


def _each(texts: pa.Array, change: Callable[[str], str | None]) -> pa.Array:
    return _distinct(texts, lambda values: map(change, values))


def _normalised_tokens(values: list[str], how: str | None, domain_key: bytes) -> list[str]:
    forms = pa.array([normalised(value, how) for value in values], pa.string())
    return list(_tokens(forms, domain_key).to_pylist())


def _apply_token(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    domain_key = _domain_key(mask.domain or "", key)
    how = mask.normalise
    if how in (None, "none"):
        return _tokens(texts, domain_key)
    return _distinct(texts, lambda values: _normalised_tokens(values, how, domain_key))


def _apply_email(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    domain_key = _domain_key(mask.domain or "", key)
    how = mask.normalise or "trim_lower"

    def change(values: list[str]) -> Iterator[str]:
        tokens = _normalised_tokens(values, how, domain_key)
        for value, token in zip(values, tokens, strict=True):
            form = normalised(value, how)
            host = form.rpartition("@")[2] if "@" in form else ""
            yield token + (f"@{host}" if _HOST.fullmatch(host) else "")

    return _distinct(texts, change)


def _apply_last4(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    del mask, key

    def change(value: str) -> str:
        digits = re.sub(r"\D", "", value)
        return "****" + digits[-4:] if len(digits) >= 8 else "****"

    return _each(texts, change)


def _apply_year(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    del mask, key
    plain = pc.match_substring_regex(texts, r"^\d{4}-\d{2}-\d{2}[^B]*$")
    return pc.utf8_slice_codeunits(pc.if_else(plain, texts, None), 0, 4).cast(pa.int32())


def _apply_initials(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    del mask, key
    return _each(texts, lambda v: "".join(word[0].upper() for word in v.split()[:3]))


class _Number(str):
    """A JSON number as it was written, so that no digit is lost."""

    __slots__ = ()


def _apply_json(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    del key

    def change(value: str) -> str | None:
        found = json.loads(value, parse_float=_Number, parse_int=_Number)
        if not isinstance(found, dict):
            return None
        kept = {name: found[name] for name in mask.keep if name in found}
        scalars = {n: v for n, v in kept.items() if not isinstance(v, (dict, list))}
        return "{" + ", ".join(f"{json.dumps(n)}: {_written(v)}" for n, v in scalars.items()) + "}"

    return _each(texts, change)


def _written(scalar: Any) -> str:
    return str(scalar) if isinstance(scalar, _Number) else json.dumps(scalar)


def _apply_constant(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    del key
    return pc.if_else(pc.is_valid(texts), mask.value or "", None).cast(pa.string())


def _apply_null(texts: pa.Array, mask: Mask, key: bytes) -> pa.Array:
    del mask, key
    return pa.nulls(len(texts), pa.string())


STRATEGIES: Final[dict[MaskName, Strategy]] = {
    "token": Strategy(_apply_token, "text", None, keyed=True, keeps_unique=True),
    "email": Strategy(_apply_email, "text", _TEXT_OIDS, keyed=True),
    "last4": Strategy(_apply_last4, "text", _TEXT_OIDS),
    "year": Strategy(_apply_year, "integer", _DATE_OIDS),
    "initials": Strategy(_apply_initials, "text", _TEXT_OIDS),
    "json": Strategy(_apply_json, "jsonb", _JSON_OIDS),
    "constant": Strategy(_apply_constant, "text", None),
    "null": Strategy(_apply_null, None, None),
}
