"""What may be bought: approvals of orders and standing ones, on an open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from starship_core.clock import micros, moment
from starship_core.errors import NotFound
from starship_core.model import Money, Sku
from starship_core.ports import Transaction

COLUMNS: Final = (
    "id, order_id, product_id, denomination, currency, actor, reason, case_seen, verdicts, items, "
    "vendors, ceiling, ceiling_currency, planned, state, expires_at, created_at"
)
_INSERT: Final = f"""
INSERT INTO approvals (order_id, product_id, denomination, currency, actor, reason, case_seen,
  verdicts, items, vendors, ceiling, ceiling_currency, state, expires_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
RETURNING {COLUMNS}
"""  # our own words
_FIND: Final = f"SELECT {COLUMNS} FROM approvals WHERE id = $1"
_OF_ORDER: Final = f"SELECT {COLUMNS} FROM approvals WHERE order_id = $1 ORDER BY id"
_USE: Final = """
UPDATE approvals SET state = 'USED', planned = $2, updated_at = $3
WHERE id = $1 AND state = 'OPEN' AND expires_at > $3 RETURNING id
"""
_SPEND: Final = """
UPDATE approvals SET planned = planned + $2, updated_at = $3
WHERE id = $1 AND state = 'STANDING' AND expires_at > $3 AND planned + $2 <= ceiling RETURNING id
"""
_GIVE_BACK: Final = """
UPDATE approvals SET planned = planned - $2, updated_at = $3 WHERE id = $1 AND order_id IS NULL
"""
_TAKE_BACK: Final = """
UPDATE approvals SET planned = planned + $2, updated_at = $3
WHERE id = $1 AND state = 'STANDING' AND planned + $2 <= ceiling RETURNING id
"""
_END: Final = """
UPDATE approvals SET state = 'ENDED', updated_at = $2
WHERE order_id = $1 AND state IN ('OPEN', 'USED') RETURNING id
"""
_encode = msgspec.json.Encoder().encode


class Terms(Struct, frozen=True, kw_only=True):
    """What somebody with the right to say so agrees to."""

    vendors: tuple[str, ...]
    """Instances in order of preference; the next one is asked only after a refusal, or while one
    stands still that has accepted nothing.
    """
    ceiling: Money
    """At most this for all of it; of a standing approval, its budget."""
    expires_at: datetime
    actor: str
    """`operator:ana`, `policy:products`."""
    reason: str
    case: Any = None
    """What a policy saw, and what each said: kept as JSON."""
    verdicts: Any = None


class Approval(Struct, frozen=True, kw_only=True):
    """A committed yes."""

    id: int
    order_id: int | None
    """None: a standing one."""
    sku: Sku
    terms: Terms
    items: tuple[int, ...]
    planned: int
    state: str
    created_at: datetime

    def holds(self, now: datetime) -> bool:
        """Whether its purchases may be sent now."""
        return self.state in ("USED", "STANDING") and now < self.terms.expires_at


def insert_approval(
    tx: Transaction,
    terms: Terms,
    sku: Sku,
    at: datetime,
    *,
    order: tuple[int, Sequence[int]] | None,
) -> Approval:
    """Write it. `order`: its id and the items named; None: a standing approval of a budget."""
    order_id, items = order or (None, ())
    rows = tx.execute(
        _INSERT, order_id, sku.product_id, sku.denomination, sku.currency, terms.actor,
        terms.reason, _text(terms.case), _text(terms.verdicts), _text(items), _text(terms.vendors),
        terms.ceiling.minor, terms.ceiling.currency, "STANDING" if order is None else "OPEN",
        micros(terms.expires_at), micros(at),
    )  # fmt: skip
    return approval_of(rows[0])


def find_approval(tx: Transaction, approval_id: int) -> Approval:
    """Raises NotFound."""
    rows = tx.execute(_FIND, approval_id)
    if not rows:
        raise NotFound("approval", approval_id)
    return approval_of(rows[0])


def approvals_of(tx: Transaction, order_id: int) -> list[Approval]:
    """All of an order, the oldest first."""
    return [approval_of(row) for row in tx.execute(_OF_ORDER, order_id)]


def use(tx: Transaction, approval: Approval, ceiling: int, at: int) -> bool:
    """Take what is to be planned from it: the whole of an order's approval, once, or a part of a
    standing one's budget. False: it is used, over, or its budget does not hold that much.
    """
    statement = _SPEND if approval.order_id is None else _USE
    return bool(tx.execute(statement, approval.id, ceiling, at))


def give_back(tx: Transaction, approval_id: int, ceiling: int, at: int) -> None:
    """What was planned under a standing approval, and was not bought."""
    tx.execute(_GIVE_BACK, approval_id, ceiling, at)


def take_back(tx: Transaction, approval_id: int, ceiling: int, at: int) -> bool:
    """What had been given back was bought after all. False: it is an order's, or the budget was
    planned anew meanwhile.
    """
    return bool(tx.execute(_TAKE_BACK, approval_id, ceiling, at))


def end_approvals(tx: Transaction, order_id: int, at: int) -> list[int]:
    """Nothing is sent under these any more."""
    return [row[0] for row in tx.execute(_END, order_id, at)]


def approval_of(row: Sequence[Any]) -> Approval:
    """Of a row of `COLUMNS`."""
    (number, order_id, product_id, denomination, currency, actor, reason, case, verdicts, items,
     vendors, ceiling, ceiling_currency, planned, state, expires_at, created_at) = row  # fmt: skip
    terms = Terms(
        vendors=msgspec.json.decode(vendors, type=tuple[str, ...]),
        ceiling=Money(ceiling, ceiling_currency), expires_at=moment(expires_at), actor=actor,
        reason=reason, case=_facts(case), verdicts=_facts(verdicts),
    )  # fmt: skip
    return Approval(
        id=number, order_id=order_id, sku=Sku(product_id, denomination, currency), terms=terms,
        items=msgspec.json.decode(items, type=tuple[int, ...]), planned=planned, state=state,
        created_at=moment(created_at),
    )  # fmt: skip


def _text(fact: Any) -> str | None:
    return None if fact is None else _encode(fact).decode()


def _facts(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
