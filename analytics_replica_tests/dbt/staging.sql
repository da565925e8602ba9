-- A small staging schema as masking leaves it, for a real dbt build. Types follow replica.yaml.
create schema staging;

create table staging.customers (
    id bigint, email text, full_name text, phone text, status text,
    created_at timestamptz, updated_at timestamptz
);
create table staging.customer_profiles (
    customer_id bigint, marketing_opt_in text, birth_date integer, notes text, attributes jsonb,
    updated_at timestamptz
);
create table staging.legacy_users (
    legacy_key text, name text, email text, phone text, registered_on text, birth_date text,
    country text
);
create table staging.addresses (
    id bigint, customer_id bigint, kind text, line1 text, city text, postcode text, country text,
    updated_at timestamptz
);
create table staging.product_categories (id integer, name text, parent_id integer);
create table staging.products (
    id bigint, sku text, name text, category_id integer, price numeric(10, 2), currency text,
    description text, is_active boolean, updated_at timestamptz
);
create table staging.orders (
    id uuid, customer_id bigint, legacy_key text, status text, currency text,
    total numeric(12, 2), placed_at timestamptz, updated_at timestamptz
);
create table staging.order_lines (
    order_id uuid, line_no smallint, product_id bigint, quantity integer,
    unit_price numeric(10, 2), discount numeric(5, 4)
);
create table staging.order_events (
    id bigint, order_id uuid, kind text, occurred_at timestamptz, payload jsonb
);
create table staging.payments (
    id bigint, order_id uuid, method text, amount numeric(12, 2), currency text, payer_email text,
    card_number text, status text, paid_at timestamptz
);
create table staging.refunds (
    id bigint, payment_id bigint, amount numeric(12, 2), reason text, refunded_at timestamptz
);
create table staging.shipments (
    id bigint, order_id uuid, carrier text, tracking_no text, recipient text,
    shipped_at timestamptz, delivered_at timestamptz
);
create table staging.support_tickets (
    id bigint, customer_id bigint, email text, subject text, body text, status text,
    opened_at timestamptz, closed_at timestamptz
);

-- Ann has two accounts and a CRM record, Bob only a CRM record, the third account is a tester's.
insert into staging.customers values
    (1, 'a1@x.com', 'n1', 'p1', 'Active', '2026-01-01 12:00Z', '2026-01-01 12:00Z'),
    (2, 'a1@x.com', 'n1', null, 'closed', '2026-02-01 12:00Z', '2026-02-01 12:00Z'),
    (3, 't1@qa.shop.example', 'n3', null, 'active', '2026-02-01 12:00Z', '2026-02-01 12:00Z');
insert into staging.customer_profiles values
    (1, 'Y', 1980, null, '{"tier": "Gold", "source": "ads"}', '2026-01-01 12:00Z'),
    (2, 'no', null, null, null, '2026-02-01 12:00Z');
insert into staging.legacy_users values
    ('CRM-1', 'n9', 'c1@y.com', 'p1', '24/12/2009', null, 'Germany'),
    ('CRM-2', 'n8', 'b1@y.com', null, '31/02/2010', null, 'fr');
insert into staging.product_categories values (1, 'Garden', null), (2, 'Spades', 1);
insert into staging.products values
    (1, 'SP-1', 'Spade', 2, 20.00, 'eur', 'long', true, '2026-01-01 12:00Z');

-- Order 1 is paid twice over: first try failed; half of it was given back a day later. Order 2 knows
-- Bob only by the CRM's key. Order 3 is the tester's.
insert into staging.orders values
    ('00000000-0000-0000-0000-000000000001', 2, null, 'payment received', 'EUR', 38.00,
     '2026-03-01 10:00Z', '2026-03-01 10:00Z'),
    ('00000000-0000-0000-0000-000000000002', null, 'crm-2', 'Shipped', 'eur', 20.00,
     '2026-03-01 23:30Z', '2026-03-02 10:00Z'),
    ('00000000-0000-0000-0000-000000000003', 3, null, 'paid', 'EUR', 20.00,
     '2026-03-01 10:00Z', '2026-03-01 10:00Z');
insert into staging.order_lines values
    ('00000000-0000-0000-0000-000000000001', 1, 1, 2, 20.00, 0.05),
    ('00000000-0000-0000-0000-000000000002', 1, 1, 1, 20.00, 0),
    ('00000000-0000-0000-0000-000000000003', 1, 1, 1, 20.00, 0);
insert into staging.payments values
    (1, '00000000-0000-0000-0000-000000000001', 'card', 38.00, 'EUR', 'a1@x.com', '****1234',
     'failed', '2026-03-01 10:00Z'),
    (2, '00000000-0000-0000-0000-000000000001', 'card', 38.00, 'EUR', 'a1@x.com', '****1234',
     'CAPTURED', '2026-03-01 10:05Z'),
    (3, '00000000-0000-0000-0000-000000000002', 'paypal', 20.00, 'eur', null, null,
     'captured', '2026-03-01 23:30Z'),
    (4, '00000000-0000-0000-0000-000000000003', 'card', 20.00, 'EUR', null, '****1234',
     'captured', '2026-03-01 10:00Z');
insert into staging.refunds values (1, 2, 19.00, null, '2026-03-02 09:00Z');
insert into staging.shipments values
    (1, '00000000-0000-0000-0000-000000000002', 'DHL', 't', 'n', '2026-03-02 10:00Z', null);
