-- generated ids go on after the last one that was given out here
select
    setval('shop.customers_id_seq', (select max(id) from shop.customers)),
    setval('shop.addresses_id_seq', (select max(id) from shop.addresses)),
    setval('shop.product_categories_id_seq', (select max(id) from shop.product_categories)),
    setval('shop.products_id_seq', (select max(id) from shop.products)),
    setval('shop.order_events_id_seq', (select max(id) from shop.order_events)),
    setval('shop.payments_id_seq', (select max(id) from shop.payments)),
    setval('shop.refunds_id_seq', (select max(id) from shop.refunds)),
    setval('shop.shipments_id_seq', (select max(id) from shop.shipments)),
    setval('shop.support_tickets_id_seq', (select max(id) from shop.support_tickets))
