"""Bare sqlite3, one connection, every commit on disk: the rows of one order, a transaction each."""

import sqlite3
import time
from collections import deque

ORDER = """INSERT INTO orders (client_id, idempotency_key, fingerprint, ref, product_id, currency,
 product_name, denomination, quantity, wallet_id, amount_currency, charged, price, min_expiry,
 status, sub_status, delivery_time, delivered_quantity, from_cache, placed_at, delivered_at,
 updated_at) VALUES (?1, ?2, ?3, ?4, ?5, 'GBP', 'Product', 1000, 1, ?6, 'GBP', 1000, ?7, 0,
 'DELIVERED', 'COMPLETED', 'INSTANT', 1, 1, ?8, ?8, ?8) ON CONFLICT DO NOTHING RETURNING id"""
ITEM = """INSERT INTO items (order_id, ordinal, status, share, settled_at)
 VALUES (?1, 1, 'DELIVERED', 1000, ?2)"""
CLAIM = """UPDATE vouchers SET state = 'assigned', order_id = ?2, ordinal = 1, updated_at = ?3
 WHERE id = ?1 AND state = 'pooled' RETURNING sealed"""
ENTRY = """INSERT INTO ledger_transactions (key, kind, account, currency, at)
 VALUES (?1, 'debit', ?2, 'GBP', ?3) ON CONFLICT DO NOTHING RETURNING id"""
MOVE = "UPDATE ledger_accounts SET balance = balance - 1000 WHERE account = ?1 RETURNING balance"
POSTINGS = """INSERT INTO ledger_postings (transaction_id, account, minor)
 VALUES (?1, ?2, -1000), (?1, 'sales:GBP', 1000)"""
DEBIT = """INSERT INTO transactions (wallet_id, order_id, key, transaction_type, amount, currency,
 balance_after, created_at) VALUES (?1, ?2, ?3, 'DEBIT', 1000, 'GBP', ?4, ?5) RETURNING id"""
EVENTS = """INSERT INTO outbox (event_id, order_id, client_id, event_type, revision, data,
 created_at) VALUES (?1, ?3, ?4, 'order.created', 1, ?5, ?6),
 (?2, ?3, ?4, 'order.delivered', 1, ?5, ?6)"""
AUDIT = "INSERT INTO audit (at, actor, action, subject) VALUES (?1, ?2, 'reveal', ?3)"


def place(db: sqlite3.Connection, voucher: int, sku: int, wallet: int, key: str) -> None:
    now, account = time.time_ns() // 1000, f"wallet:{wallet}"
    db.execute("BEGIN IMMEDIATE")
    row = (wallet, key, "f" * 64, key, sku, wallet, "p" * 180, now)
    order = db.execute(ORDER, row).fetchone()[0]
    db.execute(ITEM, (order, now))
    assert db.execute(CLAIM, (voucher, order, now)).fetchone()[0]
    entry = db.execute(ENTRY, (f"order:{order}:debit", account, now)).fetchone()[0]
    balance = db.execute(MOVE, (account,)).fetchone()[0]
    db.execute(POSTINGS, (entry, account))
    db.execute(DEBIT, (wallet, order, f"order:{order}:debit", balance, now)).fetchone()[0]
    db.execute(EVENTS, (f"{order}c", f"{order}d", order, wallet, "d" * 330, now))
    db.execute(AUDIT, (now, "credential:1", f"order:{order}"))
    db.execute("COMMIT")


def measure(path: str, vouchers: deque[tuple[int, int]], seconds: float) -> float:
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    end, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < end and vouchers:
        voucher, sku = vouchers.popleft()
        place(db, voucher, sku, done % 8 + 1, f"bare-{voucher}")
        done += 1
    db.close()
    return done / (time.perf_counter() - end + seconds)
