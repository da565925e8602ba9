"""What the policy could say about columns that nobody classified yet.

Here: a rule for every column, with its reason, from names, types and what a sample says. Not here:
the words (signs.py), the sample (evidence.py, landing.sampling), what the policy does say
(policy.py), writing replica.yaml (cli). No value is ever looked at.

Nothing unsafe is kept by default: a column is kept if its type and name say that it is machinery
and no sample speaks against it; what is neither that nor plainly personal becomes NULL and waits
for a person's decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from analytics_replica.domain.tables import Column, Identity, Table, TableName
from analytics_replica.masking.evidence import Evidence
from analytics_replica.masking.kinds import SPELT, Kind, words_of
from analytics_replica.masking.policy import Policy
from analytics_replica.masking.signs import (
    MACHINERY,
    MEASURE,
    OF_A_BODY,
    PEOPLE,
    PROCESS_DATE,
    SWITCH,
    sign_of,
)
from analytics_replica.masking.treatments import Kind as Done
from analytics_replica.masking.treatments import Treatment
from analytics_replica.settings.rules import (
    CLASS_DEFAULTS,
    ClassName,
    ClassRule,
    ColumnRule,
    Mask,
    resolved,
)

Classes = Mapping[ClassName, ClassRule]
"""What classes bring in this replica.yaml, where that is not what they bring by themselves."""

NULL: Final = Mask(mask="null")

NOTHING_SEEN: Final = Evidence(0)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule for one column and why. `decide` marks those that a person must look at."""

    rule: ColumnRule
    reason: str
    decide: bool = False

    @property
    def holds(self) -> ClassName | None:
        """The class of the column; None if it is kept or nobody knows."""
        return self.rule.class_ if isinstance(self.rule, Mask) else None

    @property
    def drops(self) -> bool:
        """True if the column never leaves production under this rule, as classes are built in."""
        return resolved(self.rule, {}, None) == "drop"


def suggest(
    table: Table,
    evidence: Mapping[str, Evidence] | None = None,
    classes: Classes | None = None,
) -> Mapping[str, Suggestion]:
    """A rule for every column of the table, in column order, that `Policy.check` accepts.

    From names, types and the evidence of a sample. Columns that identify rows get a rule that keeps
    rows apart. Evidence can make a rule stricter, and never makes a column one that is kept.
    """
    # PostgreSQL publishes a table that logs whole rows with all of its columns, or refuses its
    # updates: nothing can be dropped there.
    whole = table.identity is Identity.FULL
    where = _Where(words_of(table.name.name), classes or {}, may_drop=not whole)
    seen = evidence or {}
    return {
        column.name: _for_column(_typed(column), where, seen.get(column.name, NOTHING_SEEN))
        for column in table.columns
    }


@dataclass(frozen=True, slots=True)
class _Where:
    """What of the table and of replica.yaml matters for each column."""

    table_words: str
    classes: Classes
    may_drop: bool

    @property
    def about_people(self) -> bool:
        """True if the table's name says that its rows are people."""
        return PEOPLE.search(self.table_words) is not None

    def works(self, rule: Mask, column: Column) -> bool:
        """True if the policy could treat the column so, and it would not pass as it is."""
        done = resolved(rule, self.classes, None)
        if done == "drop":
            return self.may_drop and not column.key
        if not isinstance(done, Mask) or done.mask == "keep":
            return False
        policy = Policy({_ALONE: {column.name: Treatment(Done.MASK, done)}})
        return not any(policy.faults(Table(_ALONE, (column,))))


_ALONE: Final = TableName("", "")


@dataclass(frozen=True, slots=True)
class _Found:
    """What is thought of a column: it holds a class, is kept, is a document, or nobody knows."""

    reason: str
    holds: ClassName | None = None
    kept: bool = False
    document: bool = False
    decide: bool = False


def _typed(column: Column) -> Column:
    """The column; as a text, which fits every mask for texts, if its type is not known."""
    if column.type_oid or Kind.of(column) is not Kind.TEXT:
        return column
    return replace(column, type_oid=_TEXT, type_name="text")


_TEXT: Final = 25

_OVERRULED: Final = frozenset({"name", "username", "address", "postcode", "city", "device", "ip"})
"""Classes that a name may promise and values may correct (a login that is an e-mail address)."""


def _for_column(column: Column, where: _Where, seen: Evidence) -> Suggestion:
    words, kind = words_of(column.name), Kind.of(column)
    named = sign_of(words, kind, where.table_words)
    if named is not None:
        proven = seen.holds if named.holds in _OVERRULED else None
        told = f"{named.reason}; {seen}" if str(seen) else named.reason
        found = _Found(told, _class(proven) or named.holds)
    else:
        found = _corrected(_by_type(column.name, words, kind, where), seen, words, where)
    if column.key:
        return _for_key(words, column, found, where)
    return _as_rule(column, found, where)


def _by_type(name: str, words: str, kind: Kind, where: _Where) -> _Found:
    if kind in {Kind.MOMENT, Kind.UUID}:
        return _KEPT[kind]
    if not _is_readable(name, words):
        return _Found("its name is in a script that is not known here", decide=True)
    match kind:
        case Kind.FLAG if SWITCH.search(words):
            return _KEPT[kind]
        case Kind.NUMBER if where.about_people and OF_A_BODY.search(words):
            return _Found("a measure in a table about people", decide=True)
        case Kind.NUMBER if MEASURE.search(words):
            return _KEPT[kind]
        case Kind.DATE if PROCESS_DATE.search(words):
            return _KEPT[kind]
        case Kind.TEXT | Kind.OWN if MACHINERY.search(words):
            return _Found("a code", kept=True)
        case Kind.JSON:
            return _Found("name under paths what may pass", document=True, decide=True)
        case Kind.NETWORK:
            return _Found("an address of a person's device", "ip")
        case _:
            return _Found("neither its name nor its type says that it is harmless", decide=True)


_KEPT: Final[Mapping[Kind, _Found]] = {
    Kind.NUMBER: _Found("a number that counts, measures or identifies", kept=True),
    Kind.FLAG: _Found("yes or no", kept=True),
    Kind.DATE: _Found("a day", kept=True),
    Kind.MOMENT: _Found("a time", kept=True),
    Kind.UUID: _Found("an identifier", kept=True),
}

_IDENTIFIER: Final = re.compile(r"(?:^|_)(?:ids?|uid|uuid|guid|ref|checksum|sha\d*|md5|etag)$")


def _corrected(found: _Found, seen: Evidence, words: str, where: _Where) -> _Found:
    """What is thought of a column without a sign, after its values were looked at."""
    said = str(seen)
    if found.document:
        return _Found(f"{said}; {found.reason}", document=True, decide=True) if said else found
    if (proven := _class(seen.holds)) is not None:
        return _Found(said, proven)
    if seen.traces is not None:
        return _Found(said, "free_text", decide=True)
    like = _class(seen.resembles)
    if like is None or (like == "secret" and _IDENTIFIER.search(words)):
        return found
    if found.kept and like in ("name", "free_text", "address") and seen.are_codes:
        return found
    if like == "free_text":
        return _Found(said, like)
    # Names are not proven: products have such, too. In a table of people they most likely are.
    is_likely = like != "name" or where.about_people
    return _Found(said, like if is_likely else None, decide=True)


def _class(name: str | None) -> ClassName | None:
    """The class that evidence calls so."""
    return next((known for known in get_args(ClassName) if known == name), None)


def _is_readable(name: str, words: str) -> bool:
    """Whether every letter of the name is left in its words."""
    letters = sum(character.isalnum() for character in name.translate(SPELT))
    return bool(words) and sum(character.isalnum() for character in words) >= letters


def _as_rule(column: Column, found: _Found, where: _Where) -> Suggestion:
    if found.kept:
        return Suggestion("keep", found.reason)
    if found.document:
        return Suggestion(Mask(mask="json"), found.reason, found.decide)
    if found.holds is None:
        return Suggestion(NULL, found.reason, found.decide)
    fitting = (rule for rule in _rules(found.holds, column) if where.works(rule, column))
    return Suggestion(next(fitting, NULL), found.reason, found.decide)


def _for_key(words: str, column: Column, found: _Found, where: _Where) -> Suggestion:
    """The suggestion for a column that identifies rows: kept, or a token that keeps rows apart."""
    if found.kept:
        return Suggestion("keep", "identifies the row")
    if found.holds is None or found.holds in ("secret", "private", "free_text"):
        rule = Mask(mask="token", domain=words or "key")
        return Suggestion(rule, f"identifies the row; {found.reason}", decide=True)
    fitting = (rule for rule in _rules(found.holds, column) if where.works(rule, column))
    exact = Mask(mask="token", domain=words or "key")
    return Suggestion(next(fitting, exact), f"identifies the row; {found.reason}", found.decide)


def _rules(holds: ClassName, column: Column) -> Iterator[Mask]:
    """The class's own mask, and what comes nearest where that does not fit the column."""
    of_class = {"class": holds}
    yield Mask.model_validate(of_class)
    if column.type_name.endswith("[]"):
        yield Mask.model_validate({**of_class, "elements": True})
    brought = CLASS_DEFAULTS[holds]
    domain = brought.domain if isinstance(brought, Mask) else None
    if column.key:
        # Tokens of one domain are all made in one way, and a key's are made of the exact value.
        folds = (isinstance(brought, Mask) and brought.mask == "email") or holds == "phone"
        exact = f"{domain}_exact" if folds else domain or holds
        yield Mask.model_validate(
            {**of_class, "mask": "token", "domain": exact, "normalise": "none"}
        )
    yield Mask.model_validate({**of_class, "mask": "null"})
