"""Orders and debits that do not belong together, and clients who run out of money."""

from __future__ import annotations

from typing import Any, Final

from starship_core.database import Tx
from starship_core.model import Money
from starship_core.reconciliation.finding import MOST, Finding, patient, rest, told
from starship_core.ship import Ship
from starship_core.store.invariants import NO_DEBIT
from starship_core.store.levels import LowBalance, low_balances

_NO_DEBIT: Final = f"""
WITH unpaid(name) AS ({NO_DEBIT.query})
SELECT name, count(*) OVER () FROM unpaid ORDER BY name LIMIT $1
"""
_NO_ORDER: Final = """
SELECT t.id, t.wallet_id, t.amount, t.currency, count(*) OVER () FROM transactions t
LEFT JOIN orders o ON o.id = t.order_id
WHERE t.transaction_type = 'DEBIT' AND t.key LIKE 'order:%' AND o.id IS NULL
ORDER BY t.id LIMIT $1
"""


async def unpaid_orders(ship: Ship) -> list[Finding]:
    """Orders whose debit is missing, or of another wallet, amount or currency."""
    return await ship.database.read(_asked, _NO_DEBIT, _unpaid)


async def debits_of_nothing(ship: Ship) -> list[Finding]:
    """Debits of an order that does not exist: a client paid for nothing."""
    return await ship.database.read(_asked, _NO_ORDER, _astray)


async def poor_clients(ship: Ship) -> list[Finding]:
    """Wallets with less to spend than `[notices] low_balance` of their currency."""
    least = ship.config.notices.low_balance
    low = await ship.database.read(low_balances, least) if least else []
    found = [_poor(each) for each in low[:MOST]]
    return found + rest(found, len(low) - MOST)


def _asked(tx: Tx, query: str, find: Any) -> list[Finding]:
    patient(tx)
    return told(tx.execute(query, MOST), find)


def _unpaid(row: str) -> Finding:
    return Finding(
        kind="order.no_debit",
        subject=row.replace(" ", ":"),
        problem=NO_DEBIT.problem,
        command=f"starship {row.replace(' ', ' explain ')}",
    )


def _astray(transaction: int, wallet: int, amount: int, currency: str) -> Finding:
    money = Money(amount, currency)
    return Finding(
        kind="debit.no_order",
        subject=f"transaction:{transaction}",
        problem=f"{money} were taken from wallet {wallet} for an order that there is not",
        command=f"starship wallet credit {wallet} {money.text} "
        f"--reference repaid-{transaction} --as NAME",
    )


def _poor(low: LowBalance) -> Finding:
    left, wanted = (Money(minor, low.currency) for minor in (low.spendable, low.floor))
    return Finding(
        kind="balance.low",
        subject=f"wallet:{low.wallet}",
        problem=f"client {low.client} has {left} left to spend, less than {wanted}",
        command=f"starship wallet credit {low.wallet} AMOUNT --reference REFERENCE --as NAME",
    )
