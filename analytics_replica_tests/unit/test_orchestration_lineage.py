"""Which columns a column is made of, read from compiled SQL."""

from __future__ import annotations

from analytics_replica.orchestration.column_lineage import column_lineage

ORDERS = ("staging", "orders")
LINES = ("gold_b", "order lines")
PARENTS = {
    ORDERS: {"id": "bigint", "customer": "text", "total": "numeric(10,2)"},
    LINES: {"order_id": "bigint", "Amount": "numeric(10,2)"},
}


def made_of(sql: str) -> dict[str, set[str]]:
    return {
        column: {f"{relation[1]}.{name}" for relation, name in found}
        for column, found in column_lineage(sql, PARENTS).items()
    }


def test_columns_are_followed_through_names_functions_and_joins() -> None:
    sql = """
        with lines as (
            select order_id, sum("Amount") as amount
            from "warehouse"."gold_b"."order lines" group by order_id
        )
        select o.id as order_id, upper(o.customer) as who, o.total - lines.amount as rest
        from "warehouse"."staging"."orders" as o join lines on lines.order_id = o.id
    """
    assert made_of(sql) == {
        "order_id": {"orders.id"},
        "who": {"orders.customer"},
        "rest": {"orders.total", "order lines.Amount"},
    }


def test_a_star_is_all_columns_of_the_parent_as_the_catalog_has_them() -> None:
    assert made_of('select * from "warehouse"."staging"."orders"') == {
        "id": {"orders.id"},
        "customer": {"orders.customer"},
        "total": {"orders.total"},
    }


def test_every_branch_of_a_union_counts() -> None:
    sql = """
        select id as number from staging.orders
        union all
        select order_id from gold_b."order lines"
    """
    assert made_of(sql) == {"number": {"orders.id", "order lines.order_id"}}


def test_a_constant_is_made_of_nothing() -> None:
    assert made_of("select 1 as one, count(*) as n from staging.orders") == {
        "one": set(),
        "n": set(),
    }


def test_sql_beyond_the_parser_has_no_lineage_and_is_no_error() -> None:
    assert made_of("this is not sql at all (") == {}
