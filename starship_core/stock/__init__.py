"""Vouchers on their way from a source into the stock and the pool, and out again."""
