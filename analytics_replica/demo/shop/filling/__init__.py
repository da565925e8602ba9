"""The statements that fill the shop, one file per table; `shop.fill` runs them in its order."""
