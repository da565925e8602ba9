"""Plans: what happens to a staging table before its rows are touched.

Here: deciding, for one table, whether staging can follow and how, and carrying that out. Not here:
the statements (ddl.py), which types widen (widening.py). A plan is made for every table before
anything changes, so a refusal leaves all as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from analytics_replica.domain.batches import RESERVED_PREFIX
from analytics_replica.domain.tables import TableName
from analytics_replica.staging import ddl
from analytics_replica.staging.ddl import HeldTable
from analytics_replica.staging.ledger import AppliedTable
from analytics_replica.staging.quarantine import quarantined
from analytics_replica.staging.shapes import Shape, ShapeColumn
from analytics_replica.staging.warehouse import Transaction
from analytics_replica.staging.widening import require_widening, widens

EDITIONS: Final = ("gold_a", "gold_b")
"""Schemas that dbt builds anew each night: its views there may be dropped."""

NEVER_COPIED: Final = (
    "no copy of it was landed since replica.yaml lists it, so its changes wait in landing"
)
"""Why a table that is new in replica.yaml, or came back, stands still."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one staging table.

    `left_over` are columns that it has and the shape does not: they stay, NULL for new rows.
    `drop_views` are the views that stand in the way and may go.
    """

    target: TableName
    create: bool = False
    drop: bool = False
    add: tuple[ShapeColumn, ...] = ()
    widen: tuple[ShapeColumn, ...] = ()
    left_over: tuple[str, ...] = ()
    drop_views: tuple[TableName, ...] = ()


def plan_table(
    within: Transaction,
    target: TableName,
    shape: Shape,
    held: HeldTable | None,
    *,
    known: AppliedTable | None,
    copied: bool,
) -> Plan:
    """What must be done so that `target` can hold the shape. Changes nothing.

    A table that the ledger does not know is made anew; so is one that a copy brings with types or
    a key that the old one cannot take. ColumnNarrowed or TableQuarantined if staging cannot follow.
    """
    plan = decide(target, shape, held, known=known, copied=copied)
    if not (plan.drop or plan.widen):
        return plan
    return replace(plan, drop_views=removable_views(within, target, shape.table))


def removable_views(
    within: Transaction, target: TableName, source: TableName
) -> tuple[TableName, ...]:
    """The views that read the staging table, all of which dbt makes again.

    TableQuarantined, naming them, if others read it.
    """
    reading = ddl.dependents(within, target)
    foreign = [d.name for d in reading if d.name.schema not in EDITIONS or not d.plain]
    if foreign:
        raise quarantined(
            source,
            f"{target} must be made anew or change its types, and "
            f"{', '.join(map(str, foreign))} reads it",
            "Drop what reads it (only views in gold_a and gold_b may), then apply again.",
        )
    return tuple(d.name for d in reading)


def decide(
    target: TableName,
    shape: Shape,
    held: HeldTable | None,
    *,
    known: AppliedTable | None,
    copied: bool,
) -> Plan:
    """The plan as far as the table itself goes; pure."""
    was_applied = known is not None and known.last_batch > 0
    if not (was_applied or copied):
        raise quarantined(shape.table, NEVER_COPIED)
    if held is None:
        if not copied:
            raise quarantined(shape.table, f"somebody dropped {target}")
        return Plan(target, create=True)
    if not held.ours:
        raise quarantined(
            shape.table,
            f"there is already a {target} that is not ours",
            "Drop or rename it, or give the table an `alias` in replica.yaml.",
        )
    if known is None or not was_applied or (copied and not _can_follow(shape, held)):
        return Plan(target, create=True, drop=True)
    if not copied:
        _require_untouched(shape, held, known)
    return follow(target, shape, held)


def follow(target: TableName, shape: Shape, held: HeldTable) -> Plan:
    """What a table that is there needs so that it can hold the shape, too; pure.

    ColumnNarrowed or TableQuarantined if it cannot.
    """
    if set(held.key) != set(shape.key):
        raise quarantined(
            shape.table,
            f"its key changed from ({', '.join(held.key)}) to ({', '.join(shape.key)})",
        )
    for column in shape.columns:
        old = held.columns.get(column.name, column.staging_type)
        require_widening(shape.table, column.name, old, column.staging_type)
    named = {column.name for column in shape.columns}
    return Plan(
        target,
        add=tuple(c for c in shape.columns if c.name not in held.columns),
        widen=tuple(
            c for c in shape.columns if held.columns.get(c.name, c.staging_type) != c.staging_type
        ),
        left_over=tuple(n for n in landed_columns(held) if n not in named),
    )


def landed_columns(held: HeldTable) -> list[str]:
    """The columns of the table that came from production, in order."""
    return [column for column in held.columns if not column.startswith(RESERVED_PREFIX)]


def carry_out(within: Transaction, plan: Plan, shape: Shape) -> None:
    """Does what the plan says; a table that is made anew has no primary key yet."""
    ddl.drop_views(within, plan.drop_views)
    if plan.drop:
        ddl.drop_table(within, plan.target)
    if plan.create:
        ddl.create_table(within, plan.target, shape)
    ddl.add_columns(within, plan.target, plan.add)
    ddl.widen_columns(within, plan.target, plan.widen)


def _require_untouched(shape: Shape, held: HeldTable, known: AppliedTable) -> None:
    dropped = [c.name for c in known.columns if c.name not in held.columns]
    if dropped:
        raise quarantined(shape.table, f"somebody dropped {', '.join(dropped)} from staging")
    came = {column.name for column in known.columns}
    returned = [c.name for c in shape.columns if c.name in held.columns and c.name not in came]
    if returned:
        raise quarantined(
            shape.table,
            f"{', '.join(returned)} did not come for a time and comes again: what older rows have "
            "in it now, the log does not say",
        )


def _can_follow(shape: Shape, held: HeldTable) -> bool:
    named = {column.name for column in shape.columns}
    if set(landed_columns(held)) - named:
        return False  # a column that went stays only until the table is copied
    return set(held.key) == set(shape.key) and all(
        widens(held.columns.get(c.name, c.staging_type), c.staging_type) for c in shape.columns
    )
