"""Purchases and the items that wait for them, on an open transaction.

Every change is one conditional update; what it returns says whether it happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from starship_core.clock import micros, moment
from starship_core.database import Tx, json_rows
from starship_core.errors import NotFound, WrongState
from starship_core.model import Money, Purchase, Sku
from starship_core.ports import Transaction

State = Literal[
    "PLANNED", "SENT", "ACCEPTED", "UNKNOWN", "NEEDS_REVIEW", "BOUGHT", "REFUSED", "NOT_BOUGHT",
    "VOIDED",
]  # fmt: skip
OPEN: Final[tuple[State, ...]] = ("PLANNED", "SENT", "ACCEPTED", "UNKNOWN", "NEEDS_REVIEW")
"""Its items belong to it."""
STATES: Final[tuple[State, ...]] = get_args(State)

COLUMNS: Final = (
    "id, approval_id, order_id, vendor, vendor_product, product_id, denomination, currency, "
    "quantity, reference, vendor_reference, state, ceiling, ceiling_currency, charged, "
    "charged_currency, price_flag, is_late, received, due_at, lease, lease_until, sender, "
    "sender_until, attempts, looks, waiting_since, not_found, sender_ended_at, raw_sealed, "
    "evidence, planned_at, sent_at, closed_at"
)


class PurchaseRecord(Struct, frozen=True, kw_only=True):
    """A row of `COLUMNS`; times in microseconds."""

    id: int
    approval_id: int
    order_id: int | None
    vendor: str
    vendor_product: str
    sku: Sku
    quantity: int
    reference: str
    vendor_reference: str | None
    state: State
    ceiling: Money
    charged: Money | None
    price_flag: bool
    is_late: bool
    received: int
    due_at: int | None
    lease: str | None
    lease_until: int
    sender: str | None
    sender_until: int
    attempts: int
    looks: int
    waiting_since: int | None
    not_found: tuple[int, ...]
    sender_ended_at: int | None
    raw_sealed: str | None
    evidence: str
    planned_at: int
    sent_at: int | None
    closed_at: int | None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def asked(self) -> Purchase:
        """As the vendor's port takes it."""
        return Purchase(
            reference=self.reference, sku=self.sku, quantity=self.quantity,
            vendor_product=self.vendor_product, ceiling=self.ceiling,
            vendor_reference=self.vendor_reference, planned_at=moment(self.planned_at),
            sent_at=None if self.sent_at is None else moment(self.sent_at),
        )  # fmt: skip


_DRAW: Final = """
INSERT INTO counters (name, value) VALUES ('purchase', $1)
ON CONFLICT (name) DO UPDATE SET value = counters.value + $1
RETURNING value
"""
_INSERT: Final = """
INSERT INTO purchases (id, approval_id, order_id, vendor, vendor_product, product_id, denomination,
  currency, quantity, reference, state, ceiling, ceiling_currency, due_at, planned_at, updated_at)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), cast(value->>2 AS bigint), value->>3,
  value->>4, cast(value->>5 AS bigint), cast(value->>6 AS bigint), value->>7,
  cast(value->>8 AS bigint), value->>9, 'PLANNED', cast(value->>10 AS bigint), value->>11,
  cast(value->>12 AS bigint), cast(value->>12 AS bigint), cast(value->>12 AS bigint)
FROM json_each($1) WHERE true
"""
_INSERT_ITEMS: Final = """
INSERT INTO purchase_items (purchase_id, order_id, ordinal)
SELECT cast(value->>0 AS bigint), cast(value->>1 AS bigint), cast(value->>2 AS bigint)
FROM json_each($1) WHERE true
"""
_FIND: Final = f"SELECT {COLUMNS} FROM purchases WHERE id = $1"
_OF_ORDER: Final = f"SELECT {COLUMNS} FROM purchases WHERE order_id = $1 ORDER BY id"
_LIST: Final = f"""
SELECT {COLUMNS} FROM purchases
WHERE ($1 = '' OR state = $1) AND ($2 = '' OR vendor = $2) AND (order_id = $3 OR $3 = 0)
ORDER BY id DESC LIMIT $4
"""
_FREE_ITEMS: Final = """
SELECT ordinal FROM items WHERE order_id = $1 AND status = 'PENDING' AND NOT EXISTS (
  SELECT 1 FROM purchase_items p
  WHERE p.order_id = items.order_id AND p.ordinal = items.ordinal AND p.is_open = 1
) ORDER BY ordinal LIMIT $2
"""
_OWN_ITEMS: Final = """
SELECT i.ordinal FROM purchase_items p
JOIN items i ON i.order_id = p.order_id AND i.ordinal = p.ordinal
WHERE p.purchase_id = $1 AND p.is_open = 1 AND i.status = 'PENDING' ORDER BY i.ordinal
"""
_LET_GO: Final = """
UPDATE purchase_items SET is_open = 0 WHERE purchase_id = $1 AND is_open = 1
  AND ordinal IN (SELECT cast(value->>0 AS bigint) FROM json_each($2))
"""
_LET_ALL_GO: Final = "UPDATE purchase_items SET is_open = 0 WHERE purchase_id = $1 AND is_open = 1"
_SAVE: Final = """
UPDATE purchases SET state = $2, vendor_reference = $3, charged = $4, charged_currency = $5,
  price_flag = $6, received = $7, due_at = $8, lease = $9, lease_until = $10, sender = $11,
  sender_until = $12, attempts = $13, looks = $14, waiting_since = $15, not_found = $16,
  sender_ended_at = $17, raw_sealed = $18, raw_key_id = $19, evidence = $20, sent_at = $21,
  closed_at = $22, updated_at = $23, is_late = $24
WHERE id = $1
"""
_STATES_OF: Final = """
SELECT state, count(*) FROM purchases WHERE order_id = $1 GROUP BY state ORDER BY state
"""
_DUE: Final = """
SELECT id, state FROM purchases WHERE due_at <= $1 AND lease_until <= $1
ORDER BY due_at, id LIMIT $2
"""
_OLDEST: Final = "SELECT min(due_at) FROM purchases WHERE due_at <= $1 AND lease_until <= $1"


def draw_purchase_ids(tx: Transaction, count: int) -> range:
    """Ids that no other purchase has or will get: references are derived from them."""
    last = tx.execute(_DRAW, count)[0][0]
    return range(last - count + 1, last + 1)


def insert_purchases(tx: Transaction, rows: Iterable[Sequence[Any]]) -> None:
    """(id, approval, order, vendor, vendor product, product, denomination, currency, quantity,
    reference, ceiling, its currency, planned at) each.
    """
    tx.execute(_INSERT, json_rows(rows))


def hold_items(tx: Transaction, rows: Iterable[tuple[int, int, int]]) -> None:
    """(purchase, order, ordinal) each: they belong to it until it is closed."""
    if listed := list(rows):
        tx.execute(_INSERT_ITEMS, json_rows(listed))


def find_purchase(tx: Transaction, purchase_id: int, lock: str = "") -> PurchaseRecord:
    """As it stands. Raises NotFound."""
    rows = tx.execute(f"{_FIND} {lock}", purchase_id)
    if not rows:
        raise NotFound("purchase", purchase_id)
    return _record(rows[0])


def take_purchase(tx: Tx, purchase_id: int) -> PurchaseRecord:
    """Locked, after its order (the lock order everywhere). Raises NotFound."""
    order_id = find_purchase(tx, purchase_id).order_id
    if order_id is not None:
        tx.execute(f"SELECT 1 FROM orders WHERE id = $1 {tx.for_update}", order_id)
    return find_purchase(tx, purchase_id, tx.for_update)


def purchases_of(tx: Transaction, order_id: int, lock: str = "") -> list[PurchaseRecord]:
    """All of an order, the oldest first."""
    return [_record(row) for row in tx.execute(f"{_OF_ORDER} {lock}", order_id)]


def list_purchases(
    tx: Transaction, *, state: str = "", vendor: str = "", order_id: int = 0, limit: int
) -> list[PurchaseRecord]:
    """Newest first; an empty filter is none."""
    return [_record(row) for row in tx.execute(_LIST, state, vendor, order_id, limit)]


def free_items(tx: Transaction, order_id: int, at_most: int) -> list[int]:
    """Ordinals that wait and belong to no open purchase."""
    return [int(row[0]) for row in tx.execute(_FREE_ITEMS, order_id, at_most)]


def own_items(tx: Transaction, purchase_id: int) -> list[int]:
    """Ordinals that wait for this purchase."""
    return [int(row[0]) for row in tx.execute(_OWN_ITEMS, purchase_id)]


def let_go(tx: Transaction, purchase_id: int, ordinals: Sequence[int] | None = None) -> None:
    """These items (None: all) no longer belong to it."""
    if ordinals is None:
        tx.execute(_LET_ALL_GO, purchase_id)
    else:
        tx.execute(_LET_GO, purchase_id, json_rows((n,) for n in ordinals))


def save_purchase(tx: Transaction, now: int, one: PurchaseRecord) -> None:
    """Write what was changed of a purchase that this transaction has locked."""
    charged = one.charged
    key_id = one.raw_sealed and one.raw_sealed.partition(".")[0]
    tx.execute(
        _SAVE, one.id, one.state, one.vendor_reference, charged and charged.minor,
        charged and charged.currency, int(one.price_flag), one.received, one.due_at, one.lease,
        one.lease_until, one.sender, one.sender_until, one.attempts, one.looks, one.waiting_since,
        msgspec.json.encode(one.not_found).decode(), one.sender_ended_at, one.raw_sealed, key_id,
        one.evidence, one.sent_at, one.closed_at, now, int(one.is_late),
    )  # fmt: skip


def states_of(tx: Transaction, order_id: int) -> dict[State, int]:
    """How many purchases of the order are in each state."""
    return {state: int(count) for state, count in tx.execute(_STATES_OF, order_id)}


def has_open(tx: Transaction, order_id: int) -> bool:
    """Whether items of the order belong to a purchase."""
    return any(state in OPEN for state in states_of(tx, order_id))


def void_planned(tx: Tx, order_id: int, now: datetime, *, why: str) -> list[int]:
    """Close what was not sent; the order's row is locked. Raises WrongState: one was sent."""
    voided, at = [], micros(now)
    for one in purchases_of(tx, order_id, tx.for_update):
        if one.is_open and one.state != "PLANNED":
            raise WrongState(
                f"order {order_id} waits for purchase {one.id}, which is {one.state}; settle it "
                f"first: `starship purchase show {one.id}`, `starship purchase resolve {one.id}`",
                found=one.state, code="PURCHASE_OPEN",
            )  # fmt: skip
        if one.state == "PLANNED":
            let_go(tx, one.id)
            closed = msgspec.structs.replace(
                one, state="VOIDED", due_at=None, closed_at=at,
                evidence=_added(one.evidence, now, f"voided: {why}"),
            )  # fmt: skip
            save_purchase(tx, at, closed)
            voided.append(one.id)
    return voided


def noted(one: PurchaseRecord, now: datetime, what: str) -> str:
    """Its evidence, with one more line."""
    return _added(one.evidence, now, what)


def _added(evidence: str, now: datetime, what: str) -> str:
    line = f"{now:%Y-%m-%dT%H:%M:%SZ} {what}"
    return f"{evidence}\n{line}" if evidence else line


def due(tx: Transaction, now: int, limit: int) -> list[tuple[int, State]]:
    """(id, state) of purchases that somebody should look after now, the oldest first."""
    return [(row[0], row[1]) for row in tx.execute(_DUE, now, limit)]


def oldest_due(tx: Transaction, now: int) -> int | None:
    """Since when the purchase is due that nobody is at for longest; None: there is none."""
    found: int | None = tx.execute(_OLDEST, now)[0][0]
    return found


def _record(row: Sequence[Any]) -> PurchaseRecord:
    (number, approval_id, order_id, vendor, vendor_product, product_id, denomination, currency,
     quantity, reference, vendor_reference, state, ceiling, ceiling_currency, charged,
     charged_currency, price_flag, is_late, *rest) = row  # fmt: skip
    (received, due_at, lease, lease_until, sender, sender_until, attempts, looks, waiting_since,
     not_found, sender_ended_at, raw_sealed, evidence, planned_at, sent_at, closed_at,
    ) = rest  # fmt: skip
    return PurchaseRecord(
        id=number, approval_id=approval_id, order_id=order_id, vendor=vendor,
        vendor_product=vendor_product, sku=Sku(product_id, denomination, currency),
        quantity=quantity, reference=reference, vendor_reference=vendor_reference, state=state,
        ceiling=Money(ceiling, ceiling_currency),
        charged=None if charged is None else Money(charged, charged_currency),
        price_flag=bool(price_flag), is_late=bool(is_late), received=received, due_at=due_at,
        lease=lease, lease_until=lease_until, sender=sender, sender_until=sender_until,
        attempts=attempts, looks=looks, waiting_since=waiting_since,
        not_found=msgspec.json.decode(not_found, type=tuple[int, ...]),
        sender_ended_at=sender_ended_at, raw_sealed=raw_sealed, evidence=evidence,
        planned_at=planned_at, sent_at=sent_at, closed_at=closed_at,
    )  # fmt: skip
