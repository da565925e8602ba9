"""The rules of columns as replica.yaml writes them: keep, drop, a mask, or a class.

Here: the shape of a rule, which options belong to which mask, what a class brings when nothing
else is said, and what a rule comes to. Not here: what a mask does to values (masking.strategies),
which types it fits (masking.policy).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MaskName = Literal[
    "token",
    "email",
    "email_domain",
    "last4",
    "phone_country",
    "initials",
    "year",
    "age_band",
    "network",
    "bucket",
    "redact",
    "json",
    "constant",
    "null",
    "keep",
]

ClassName = Literal[
    "email",
    "phone",
    "name",
    "username",
    "birth_date",
    "free_text",
    "ip",
    "device",
    "address",
    "postcode",
    "city",
    "national_id",
    "card",
    "secret",
    "private",
]
"""What a column holds of a person. `private`: what says something private; `secret`: passwords."""

Normalise = Literal["none", "trim_lower", "email", "phone"]


def _with_numbers(region: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - 40 ms that few settings need

    if region not in SUPPORTED_REGIONS:
        raise ValueError(f"{region!r} is no country (ISO 3166) with telephone numbers, as GB is")
    return region


Region = Annotated[str, AfterValidator(_with_numbers)]
"""A country whose phone numbers can be read. With another, numbers would silently not join."""


class Mask(BaseModel):
    """How one column is masked."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    class_: ClassName | None = Field(default=None, alias="class")
    """What the column holds. It brings a mask; what is written beside it wins."""
    mask: MaskName | None = None
    """What every value becomes: token, email (token@host), last4, year, … Default: the class's."""
    domain: str | None = None
    """token, email: columns with the same domain get equal tokens for equal values and join."""
    normalise: Normalise | None = None
    """token, email: what is made equal first; default: email for mask email, else none."""
    region: Region | None = None
    """Phones: the country (ISO 3166) of numbers that are written without one."""
    as_: Literal["hex", "uuid", "int64"] | None = Field(default=None, alias="as")
    """token: how it is written; default: hex. int64 has 64 bits only, so it is refused on keys."""
    elements: bool = False
    """Arrays: every element is masked for itself."""
    width: int | None = Field(default=None, ge=1)
    """age_band, bucket: how wide a band is; default of age_band: 10 years."""
    as_of: date | None = None
    """age_band: the day on which ages are counted: a birthday gives the same band for ever."""
    v4: int | None = Field(default=None, ge=0, le=32)
    """network: bits that are left of an IPv4 address; default: 24."""
    v6: int | None = Field(default=None, ge=0, le=128)
    """network: bits that are left of an IPv6 address; default: 48."""
    paths: dict[str, Literal["keep"] | Mask] = Field(default_factory=dict)
    """json: path (`tier`, `contact.email`, `items[].sku`) → keep or a mask; all else is removed."""
    value: str | None = None
    """constant: the text that every value becomes."""
    because: str | None = Field(default=None, min_length=3)
    """keep: why a column that looks like a person's may pass."""

    @property
    def name(self) -> MaskName:
        """The mask's name, of a resolved rule."""
        return self.mask or "null"

    @model_validator(mode="after")
    def _options_fit(self) -> Mask:
        if self.mask is None and "mask" in self.model_fields_set:
            raise ValueError('write `mask: "null"` in quotes: without them YAML reads nothing')
        if self.mask is None and self.class_ is None:
            raise ValueError("name a `mask` or a `class`")
        if (unfit := self._unfit()) is not None:
            raise ValueError(f"`{unfit}` does not belong to mask {self.mask}")
        if (self.value is not None) != (self.mask == "constant"):
            raise ValueError("`value` belongs to mask constant, which needs it")
        if (self.because is not None) != (self.mask == "keep"):
            raise ValueError("`because` belongs to mask keep, which needs it")
        if self.mask in ("age_band", "bucket") and self._lacks is not None:
            raise ValueError(f"mask {self.mask} needs `{self._lacks}`")
        if self.mask in ("token", "email") and self.domain is None and self.class_ is None:
            raise ValueError(f"mask {self.mask} needs a `domain`: what its tokens may join with")
        return self

    def _unfit(self) -> str | None:
        if self.mask is None:
            return None
        given = self.model_fields_set - {"class_", "mask", "elements", "value", "because"}
        odd = sorted(given - OPTIONS[self.mask])
        return odd[0].rstrip("_") if odd else None

    @property
    def _lacks(self) -> str | None:
        if self.mask == "age_band":
            return "as_of" if self.as_of is None else None
        return "width" if self.width is None else None


OPTIONS: Final[Mapping[MaskName, frozenset[str]]] = {
    "token": frozenset({"domain", "normalise", "region", "as_"}),
    "email": frozenset({"domain", "normalise"}),
    "email_domain": frozenset(),
    "last4": frozenset(),
    "phone_country": frozenset({"region"}),
    "initials": frozenset(),
    "year": frozenset(),
    "age_band": frozenset({"width", "as_of"}),
    "network": frozenset({"v4", "v6"}),
    "bucket": frozenset({"width"}),
    "redact": frozenset({"region"}),
    "json": frozenset({"paths"}),
    "constant": frozenset({"value"}),
    "null": frozenset(),
    "keep": frozenset({"because"}),
}
"""Which options belong to which mask."""

ColumnRule = Literal["keep", "drop"] | Mask
ClassRule = Literal["drop"] | Mask


def _token(domain: str, **options: Normalise) -> Mask:
    return Mask.model_validate({"mask": "token", "domain": domain, **options})


CLASS_DEFAULTS: Final[Mapping[ClassName, ClassRule]] = {
    "email": Mask(mask="email", domain="email"),
    "phone": _token("phone", normalise="phone"),
    "name": _token("person_name"),
    "username": _token("username"),
    "birth_date": Mask(mask="year"),
    "free_text": Mask(mask="null"),
    "ip": Mask(mask="network"),
    "device": _token("device"),
    "address": _token("address"),
    "postcode": _token("postcode"),
    "city": _token("city"),
    "national_id": _token("national_id"),
    "card": Mask(mask="last4"),
    "secret": "drop",
    "private": Mask(mask="null"),
}
"""What a class brings. Free text becomes NULL: redaction cannot find a name in it."""

_DEFAULTS: Final[Mapping[str | None, Mapping[str, object]]] = {
    "token": {"normalise": "none", "as_": "hex"},
    "email": {"normalise": "email"},
    "age_band": {"width": 10},
    "network": {"v4": 24, "v6": 48},
}


def resolved(
    rule: ColumnRule, classes: Mapping[ClassName, ClassRule], region: str | None
) -> ColumnRule:
    """What the rule comes to: keep, drop, or a mask with all its options written out.

    `classes` are replica.yaml's own defaults, which win over the built-in ones, and `region` is
    that of phone numbers. The class is kept beside the mask. A rule that is resolved already stays
    as it is. ValueError if an option is missing that the class does not bring.
    """
    if not isinstance(rule, Mask):
        return rule
    said = {name: getattr(rule, name) for name in rule.model_fields_set}
    given = {**CLASS_DEFAULTS, **classes}[rule.class_] if rule.class_ is not None else None
    if rule.mask is None and not isinstance(given, Mask):
        return "drop"
    brought = _brought(given, rule) if isinstance(given, Mask) else {}
    name = rule.mask or (given.mask if isinstance(given, Mask) else None)
    merged: dict[str, Any] = {**_DEFAULTS.get(name, {}), **brought, **said, "mask": name}
    if name in ("phone_country", "redact") or merged.get("normalise") == "phone":
        merged.setdefault("region", region)
    if name == "json":
        inside = {at: resolved(r, classes, region) for at, r in rule.paths.items()}
        merged["paths"] = {at: r for at, r in inside.items() if r != "drop"}
    if name in ("token", "email") and merged.get("domain") is None:
        raise ValueError(f"mask {name} needs a `domain`: what its tokens may join with")
    wanted = {_ALIASES.get(k, k): v for k, v in merged.items() if v is not None}
    return Mask.model_validate(wanted)


_ALIASES: Final = {"class_": "class", "as_": "as"}


def _brought(given: Mask, rule: Mask) -> dict[str, Any]:
    """What the class's own mask says, as far as it belongs to the mask that the rule names."""
    said = {name: getattr(given, name) for name in given.model_fields_set}
    if rule.mask in (None, given.mask):
        return said
    fits = OPTIONS[rule.mask] if rule.mask is not None else frozenset()
    return {name: value for name, value in said.items() if name in fits}


def keeps_anything(rule: ColumnRule) -> bool:
    """Whether values pass as they are, as a whole or at a path of a document."""
    if not isinstance(rule, Mask):
        return rule == "keep"
    return rule.mask == "keep" or any(map(keeps_anything, rule.paths.values()))


def masks_in(rule: ColumnRule) -> Iterator[Mask]:
    """The mask and, of a document, the masks of its paths."""
    if isinstance(rule, Mask):
        yield rule
        for inner in rule.paths.values():
            yield from masks_in(inner)
