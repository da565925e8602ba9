insert into shop.order_lines (order_id, line_no, product_id, quantity, unit_price, discount)
select order_id, line_no, product_id, quantity, unit_price, discount
from draft_order_line
