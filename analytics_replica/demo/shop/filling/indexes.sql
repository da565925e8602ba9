-- what the shop's own pages look up; made after the rows, which is faster than keeping them up to date
create index on shop.addresses (customer_id);
create index on shop.orders (customer_id);
create index on shop.orders (legacy_key);
create index on shop.order_events (order_id);
create index on shop.payments (order_id);
create index on shop.refunds (payment_id);
create index on shop.shipments (order_id);
create index on shop.support_tickets (customer_id);
