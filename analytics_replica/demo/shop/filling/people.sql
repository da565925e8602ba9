create temporary table person (
    number integer primary key,
    full_name text,
    legacy_name text,
    email text,
    other_email text,
    email_typed text,
    email_retyped text,
    phone_typed text,
    phone_retyped text,
    card text,
    line1 text,
    city text,
    postcode text,
    country text,
    born date,
    remark text,
    parcel text
) on commit drop;

create temporary table prose (product_id integer primary key, description text) on commit drop
