"""Column lineage: which columns of its parents a column of a model is made of.

Here: reading that from compiled SQL. Pure. Not here: running dbt (dbt_runs.py), what is shown
(dbt_events.py), following columns through models (gold_lineage.py). dagster-dbt can do this too,
but parses the model again for every column: 9 s of CPU for 20 models against 0.5 s (2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

Relation = tuple[str, str]
"""Schema and name."""

Parents = Mapping[Relation, Mapping[str, str]]
"""Relation → its columns with their types."""

Made = tuple[Relation, str] | str
"""A column of a parent, or the name of a part of which nobody knows where it comes from."""

DIALECT = "postgres"

_READERS: Final = (
    "query_to_xml",
    "table_to_xml",
    "schema_to_xml",
    "database_to_xml",
    "cursor_to_xml",
    "dblink",
    "pg_read_",
    "lo_get",
)
"""PostgreSQL's functions that read what no FROM names, by how they begin."""

_CHOICES: Final = (exp.Paren, exp.Max, exp.Min, exp.Coalesce)
"""Expressions that give one of the values that they are given, as it is."""


@dataclass(frozen=True, slots=True)
class MadeOf:
    """What a column is made of.

    `columns` of the parents; `unchanged` says that its values are theirs as they are; `unread` are
    the parts of which nobody knows where they come from. A constant or a count has none of both.
    """

    columns: frozenset[tuple[Relation, str]] = frozenset()
    unchanged: bool = False
    unread: frozenset[str] = frozenset()


def column_lineage(sql: str, parents: Parents) -> dict[str, set[tuple[Relation, str]]]:
    """Column of the query → columns of `parents` that it is made of.

    A column that is made of none (a constant, a count) has an empty set. Empty as a whole if the
    SQL is beyond the parser: lineage that is unknown is not shown.
    """
    return {column: set(made.columns) for column, made in traced(sql, parents).items()}


def traced(sql: str, parents: Parents) -> dict[str, MadeOf]:
    """Column of the query → what it is made of; nothing if the SQL is beyond the parser."""
    schema = MappingSchema(dialect=DIALECT)
    for (parent_schema, name), columns in parents.items():
        table = exp.table_(name, db=parent_schema, quoted=True)
        schema.add_table(table, dict(columns), dialect=DIALECT, match_depth=False)
    try:
        query = parse_one(sql, dialect=DIALECT)
        for table in query.find_all(exp.Table):
            # dbt writes database.schema.name; there is one database.
            table.set("catalog", None)
        qualified = qualify(query, schema=schema, dialect=DIALECT, validate_qualify_columns=False)
        found = lineage(
            None,
            qualified,
            schema,
            dialect=DIALECT,
            scope=build_scope(qualified),
            trim_selects=False,
            copy=False,
        )
    except SqlglotError:
        return {}
    tables = _Tables.of(qualified, parents)
    return {column: _made_of(node, tables) for column, node in found.items()}


@dataclass(frozen=True, slots=True)
class _Tables:
    """The tables of one query by the names that it gives them."""

    parents: Parents
    named: Mapping[str, set[Relation]]
    generated: frozenset[str]
    """Names of what functions make out of nothing."""

    @classmethod
    def of(cls, query: exp.Expr, parents: Parents) -> _Tables:
        named: dict[str, set[Relation]] = {}
        generated: set[str] = set()
        for table in query.find_all(exp.Table, exp.Unnest, exp.Lateral):
            function = table if isinstance(table, exp.Unnest) else table.this
            if isinstance(function, exp.Func):
                if function.find(exp.Column, exp.Anonymous) is None:
                    generated.update((table.alias, *table.alias_column_names))
            elif isinstance(table, exp.Table):
                named.setdefault(table.alias_or_name, set()).add((table.db, table.name))
        return cls(parents, named, frozenset(generated - {""}))

    def column_of(self, relation: Relation, column: str) -> Iterator[Made]:
        """The parent's column, all of them for `*`, else what is not known."""
        if relation not in self.parents:
            yield ".".join(part for part in relation if part)
            return
        for name in self.parents[relation] if column == "*" else (column,):
            known = name in self.parents[relation]
            yield (relation, name) if known else f"{'.'.join(relation)}.{name}"


def _made_of(node: Node, tables: _Tables) -> MadeOf:
    steps = list(node.walk())
    resolved = {_plain(s.name) for s in steps if not isinstance(s.expression, exp.Placeholder)}
    made: set[Made] = set()
    for step in steps:
        made.update(_reading_functions(step.expression))
        if not step.downstream:
            made.update(_leaf(step, tables, resolved))
    columns = frozenset(leaf for leaf in made if not isinstance(leaf, str))
    unread = frozenset(leaf for leaf in made if isinstance(leaf, str))
    unchanged = bool(columns) and not unread and all(_hands_on(step) for step in steps)
    return MadeOf(columns, unchanged, unread)


def _leaf(step: Node, tables: _Tables, resolved: set[str]) -> Iterator[Made]:
    """What a step without steps below it stands for."""
    expression = step.expression
    if isinstance(expression, exp.Placeholder):
        yield from _of_placeholder(_plain(step.name), tables, resolved)
    elif isinstance(expression, exp.Table):
        if not isinstance(expression.this, exp.Func):
            is_all = step.name.endswith("*")
            column = "*" if is_all else exp.to_column(step.name).name
            yield from tables.column_of((expression.db, expression.name), column)
        elif expression.alias not in tables.generated:
            yield f"{expression.this.name or expression.this.sql_name()}()".lower()
    elif any(_is_unresolved(part) for part in expression.walk()):
        yield expression.alias_or_name


def _of_placeholder(name: str, tables: _Tables, resolved: set[str]) -> Iterator[Made]:
    """A column that the parser found in no scope.

    What a recursive query hands to itself is resolved where the recursion begins; in a lateral
    subquery the table's name tells.
    """
    table, _, column = name.rpartition(".")
    if (table and name in resolved) or (table or name) in tables.generated:
        return
    relations = tables.named.get(table, set()) if table else set()
    if not relations:
        yield name
    for relation in relations:
        yield from tables.column_of(relation, column)


def _is_unresolved(part: exp.Expr) -> bool:
    if isinstance(part, exp.Star):
        return not isinstance(part.parent, exp.Count)
    return isinstance(part, exp.Column | exp.TableColumn)


def _reading_functions(expression: exp.Expr) -> Iterator[str]:
    for function in expression.find_all(exp.Anonymous):
        if function.name.lower().startswith(_READERS):
            yield f"{function.name.lower()}()"


def _hands_on(step: Node) -> bool:
    if isinstance(step.expression, exp.Table | exp.Placeholder):
        return True
    return _is_handed_on(step.expression.unalias())


def _is_handed_on(value: exp.Expr) -> bool:
    """Whether the expression gives values of its columns as they are, as text, or NULL."""
    if isinstance(value, exp.Column | exp.Null):
        return True
    if isinstance(value, exp.Nullif) or (isinstance(value, exp.Cast) and value.is_type("text")):
        return _is_handed_on(value.this)
    if isinstance(value, _CHOICES):
        return all(map(_is_handed_on, (value.this, *value.expressions)))
    return False


def _plain(name: str) -> str:
    return name.replace('"', "")
