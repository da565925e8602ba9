with lines as (

    select
        order_id,
        count(*) as order_lines,
        sum(quantity) as items
    from {{ ref('base_shop__order_lines') }}
    group by order_id

),

payments as (

    select
        order_id,
        sum(captured_amount) as captured_amount,
        sum(refunded_amount) as refunded_amount
    from {{ ref('int_orders__payments') }}
    group by order_id

),

parcels as (

    select
        order_id,
        count(*) as parcels,
        min(shipped_at) as first_shipped_at,
        -- delivered when the last parcel is
        case when count(*) = count(delivered_at) then max(delivered_at) end as delivered_at
    from {{ ref('base_shop__shipments') }}
    group by order_id

)

select
    orders.order_id,
    orders.customer_key,
    orders.customer_link,
    orders.is_test_order,
    orders.order_status,
    orders.currency,
    orders.order_total,
    cast(coalesce(lines.order_lines, 0) as integer) as order_lines,
    cast(coalesce(lines.items, 0) as integer) as items,
    coalesce(payments.captured_amount, 0) as captured_amount,
    coalesce(payments.refunded_amount, 0) as refunded_amount,
    cast(coalesce(parcels.parcels, 0) as integer) as parcels,
    parcels.first_shipped_at,
    parcels.delivered_at,
    orders.placed_at,
    orders.placed_on,
    orders.updated_at
from {{ ref('int_orders__cleaned') }} as orders
left join lines on orders.order_id = lines.order_id
left join payments on orders.order_id = payments.order_id
left join parcels on orders.order_id = parcels.order_id
