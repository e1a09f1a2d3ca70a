"""Purchases that are wrong, for the tests of `starship verify`: (statements, row, what else)."""

from __future__ import annotations

from typing import Final

_APPROVAL: Final = (
    "INSERT INTO approvals (id, order_id, product_id, denomination, currency, items, vendors,"
    " ceiling, ceiling_currency, planned, state, expires_at, created_at)"
    " VALUES (1, {missed}, 1, 2500, 'EUR', '[1]', '[\"north\"]', 100, 'EUR', 100, 'USED', 999, 1)"
)
_PURCHASE: Final = (
    "INSERT INTO purchases (id, approval_id, order_id, vendor, product_id, denomination, currency,"
    " quantity, reference, state, ceiling, ceiling_currency, received, due_at, attempts, evidence,"
    " planned_at, lease_until) VALUES (1, 1, {missed}, 'north', 1, 2500, 'EUR', 1, 'R1', 'PLANNED',"
    " 100, 'EUR', 0, 5, 0, '', 2, 0)"
)
_ITEM: Final = (
    "INSERT INTO purchase_items (purchase_id, order_id, ordinal, is_open)"
    " VALUES (1, {missed}, 1, 1)"
)
SOUND: Final = f"{_APPROVAL};{_PURCHASE};{_ITEM}"
"""A planned purchase that breaks nothing."""
_SECOND: Final = (
    "INSERT INTO purchases (id, approval_id, order_id, vendor, product_id, denomination, currency,"
    " quantity, reference, state, ceiling, ceiling_currency, received, due_at, attempts, evidence,"
    " planned_at, lease_until) VALUES (2, 1, {missed}, 'north', 1, 2500, 'EUR', 1, 'R2', 'PLANNED',"
    " 0, 'EUR', 0, 5, 0, '', 2, 0);"
    "INSERT INTO purchase_items (purchase_id, order_id, ordinal, is_open)"
    " VALUES (2, {missed}, 1, 0)"
)
_REFUSAL: Final = "INSERT INTO refusals (id, order_id, is_open, created_at)"


def _changed(*changes: str) -> str:
    return ";".join((SOUND, *changes))


_STANDING: Final = (
    _APPROVAL.replace("{missed}", "NULL").replace("[1]", "[]").replace("'USED'", "'STANDING'"),
    "UPDATE approvals SET actor = 'operator:ana'",
    _PURCHASE.replace("{missed}", "NULL"),
)
AHEAD: Final = ";".join(_STANDING)
"""A purchase for the stock, under an operator's standing approval, that breaks nothing."""


def _purchase(change: str) -> str:
    return _changed(f"UPDATE purchases SET {change} WHERE id = 1")


Planted = tuple[str, str, tuple[str, ...]]

BUYING_PLANTS: Final[dict[str, list[Planted]]] = {
    "no approval names its order, vendor and product": [
        (_purchase("vendor = 'south'"), "purchase 1", ()),
        (_purchase("denomination = 1000"), "purchase 1", ()),
        (_changed("UPDATE approvals SET state = 'OPEN'"), "purchase 1", ()),
        (_changed("DELETE FROM approvals"), "purchase 1", ()),
    ],
    "is for no order, and no operator's standing approval allows it": [
        (";".join((*_STANDING, "UPDATE approvals SET actor = 'pump'")), "purchase 1", ()),
        (";".join((*_STANDING, "UPDATE approvals SET state = 'USED'")), "purchase 1", ()),
        (
            ";".join((*_STANDING, "UPDATE approvals SET actor = 'policy:products'")),
            "purchase 1",
            ("I4 approval 1: is the policies', and no decision of theirs allows just that",),
        ),
    ],
    "its purchases may cost more than its ceiling": [
        (_purchase("ceiling = 101"), "approval 1", ()),
    ],
    "was sent after its approval had ended, or before it was planned": [
        (_purchase("sent_at = 999, attempts = 1"), "purchase 1", ()),
        (_purchase("sent_at = 1, attempts = 1"), "purchase 1", ()),
        (_purchase("sent_at = 5"), "purchase 1", ()),
    ],
    "was given by policies after an operator refused, or holds while a refusal does": [
        (_changed(f"{_REFUSAL} VALUES (1, {{missed}}, 1, 0)"), "approval 1", ()),
        (
            _changed(
                f"{_REFUSAL} VALUES (1, {{missed}}, 0, 0)",
                "UPDATE approvals SET actor = 'policy:all', state = 'ENDED'",
            ),
            "approval 1",
            ("I4 approval 1: is the policies', and no decision of theirs allows just that",),
        ),
    ],
    "is for other items than it says": [
        (_purchase("quantity = 2"), "purchase 1", ()),
        (_changed("DELETE FROM purchase_items"), "purchase 1", ()),
    ],
    "has the reference of another purchase": [
        (_changed(_SECOND, "UPDATE purchases SET reference = 'R1'"), "purchase 2", ()),
    ],
    "item belongs to two open purchases": [
        (_changed(_SECOND, "UPDATE purchase_items SET is_open = 1"), "item {missed}/1", ()),
    ],
    "item is held by a purchase that is closed, or does not wait for it": [
        (
            _purchase("state = 'VOIDED', due_at = NULL, closed_at = 9, evidence = 'e'"),
            "item {missed}/1",
            (),
        ),
    ],
    "is in doubt, and was never sent; or waits for nobody to look after it": [
        (_purchase("state = 'UNKNOWN'"), "purchase 1", ()),
        (_purchase("due_at = NULL"), "purchase 1", ()),
        (_purchase("closed_at = 9"), "purchase 1", ()),
        (_purchase("state = 'SENT', sent_at = 5, attempts = 1"), "purchase 1", ()),
    ],
    "ended without goods, and nothing says how that is known": [
        (
            _changed(
                "UPDATE purchases SET state = 'VOIDED', due_at = NULL, closed_at = 9",
                "UPDATE purchase_items SET is_open = 0",
            ),
            "purchase 1",
            (),
        ),
    ],
}
