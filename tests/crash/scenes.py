"""What is interrupted: flows as clients and operators run them, and run again after a crash."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from starship_core.access import Client
from starship_core.clock import micros
from starship_core.database import Tx
from starship_core.errors import InsufficientFunds, Unavailable, WrongState
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.block_stock import block_stock
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.decide_fallbacks import sweep_policies
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.manage_targets import Grant, Wish, approve_ahead, keep_target
from starship_core.flows.manage_webhooks import Changes, change_webhook
from starship_core.flows.move_money import credit_wallet, reverse_credit
from starship_core.flows.place_order import Replayed
from starship_core.flows.pump_inventory import pump
from starship_core.flows.read_order import Asker, OrderView, read_order
from starship_core.flows.read_targets import list_targets
from starship_core.flows.redeliver_events import redeliver_since
from starship_core.flows.refund_order import refund_order
from starship_core.flows.refuse_fallback import refuse_fallback
from starship_core.flows.relay_events import sweep_relay
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.resolve_purchase import resolve_bought, resolve_not_bought
from starship_core.flows.retry_order import retry_order
from starship_core.flows.send_notices import sweep_notices
from starship_core.model import (
    FallbackCase,
    Money,
    OrderEvent,
    Secret,
    Sku,
    Target,
    Verdict,
    Voucher,
)
from starship_core.ship import Policy
from starship_core.store.notices import notify
from starship_core.store.orders import find_by_key
from starship_core.store.purchases import PurchaseRecord, purchases_of
from starship_core.testing.clock import START
from tests.crash.shop import KINDS, NAME, with_shop
from tests.integration.receivers import hook
from tests.integration.ships import ANA, CARD, DINAR, SMALL, YEN, Dock, Shelf, add_products

NOW: Final = START + timedelta(days=2)
MUCH_LATER: Final = START + timedelta(days=12)
SOURCE: Final = """
[sources.incoming]
use = "source-csv"
folder = "incoming"
[webhooks]
retry_seconds = [0]
"""
_INCOMING: Final = """\
product,denomination,currency,card_number,expires_at
card,25.00,EUR,IN-1,
card,25.00,EUR,IN-2,2031-01-01
yen,1000,JPY,IN-3,
card,25.00,EUR,IN-2,
card,25.00,EUR,IN-4,2027-01-01
"""
"""Three good ones, a duplicate, and one that has expired."""
_BULK: Final = 51
UP, DOWN = "https://up.example/hook", "https://down.example/hook"


@dataclasses.dataclass
class Scene:
    """A deployment in which a flow is about to run, and what it is run on."""

    dock: Dock
    acme: Client
    other: Client

    async def order_of(self, key: str) -> int:
        """The id of acme's order under the key."""
        found = await self.dock.ship.database.read(find_by_key, self.acme.id, key)
        assert found is not None
        return found[0]

    async def placed(
        self, key: str, sku: Sku, quantity: int, client: Client | None = None
    ) -> OrderView:
        """As a client does it: send it, and if the key is known, read what became of it."""
        who = client or self.acme
        answer = await self.dock.ask(who, key, sku, quantity)
        order_id = answer.order_id if isinstance(answer, Replayed) else answer.order.id
        view = await read_order(order_id, Asker(who, "req"), self.dock.ship)
        if not isinstance(answer, Replayed):
            assert view.order.status == answer.order.status
            assert [u.code for _, u in view.units] == [u.code for u in answer.units]
        return view


async def prepare(dock: Dock) -> tuple[Client, Client]:
    """Before any scene: two clients, stock, one order delivered, one waiting, one unit expired;
    purchases in doubt of a third client.
    """
    await add_products(dock)
    await in_doubt(dock)
    acme, other = await dock.client("acme"), await dock.client("other", {"EUR": "30.00"})
    await dock.place(acme, "waiting-1", SMALL, 3)
    await dock.stock(6, CARD)
    await dock.place(acme, "delivered-1", CARD, 2)
    await dock.stock(60, SMALL)
    await dock.stock(1, CARD, START + timedelta(days=1))
    return acme, other


def put_files(folder: Path) -> None:
    """What the pump finds in the source's folder."""
    (folder / "incoming").mkdir()
    (folder / "incoming" / "one.csv").write_text(_INCOMING)


async def hit(scene: Scene) -> None:
    view = await scene.placed("hit-0001", CARD, 2)
    assert (view.order.status, len(view.units)) == ("DELIVERED", 2)


async def miss(scene: Scene) -> None:
    view = await scene.placed("miss-0001", YEN, 2)
    assert (view.order.status, len(view.units)) == ("PENDING", 0)


async def refusal(scene: Scene) -> None:
    """Popped, claimed, and put back, because the wallet is too small."""
    with suppress(InsufficientFunds):
        await scene.placed("poor-0001", CARD, 2, scene.other)
        raise AssertionError("30.00 pay for no 50.00")


async def bulk(scene: Scene) -> None:
    """Placed, then retried in three chunks."""
    await scene.dock.ask(scene.acme, "bulk-0001", SMALL, _BULK)
    order_id = await scene.order_of("bulk-0001")
    with suppress(WrongState):
        await retry_order(order_id, ANA, scene.dock.ship)
    order = await scene.dock.order(order_id)
    assert (order.status, order.delivered_quantity) == ("DELIVERED", _BULK)


async def retry(scene: Scene) -> None:
    order_id = await scene.order_of("waiting-1")
    with suppress(WrongState):
        await retry_order(order_id, ANA, scene.dock.ship)
    view = await scene.placed("waiting-1", SMALL, 3)
    assert (view.order.status, len(view.units)) == ("DELIVERED", 3)


async def cancel(scene: Scene) -> None:
    order_id = await scene.order_of("waiting-1")
    with suppress(WrongState):
        await cancel_order(order_id, ANA, scene.dock.ship)
    assert (await scene.dock.order(order_id)).refunded == 3000


async def refund(scene: Scene) -> None:
    order_id = await scene.order_of("delivered-1")
    with suppress(WrongState):
        await refund_order(order_id, ANA, scene.dock.ship, items=[2])
    assert (await scene.dock.order(order_id)).refunded == 2500


async def replace(scene: Scene) -> None:
    """The operator looks first: an order that was replaced is not replaced again."""
    order_id = await scene.order_of("delivered-1")
    if (await scene.dock.order(order_id)).revision == 1:
        await replace_voucher(order_id, 1, ANA, scene.dock.ship)
    view = await scene.placed("delivered-1", CARD, 2)
    assert (view.order.revision, len(view.units)) == (2, 2)


async def pumping(scene: Scene) -> None:
    """What expired goes, what is new comes, from files."""
    await pump(scene.dock.ship, by=ANA)


async def money(scene: Scene) -> None:
    """A credit under its reference, and another one taken back."""
    (wallet,) = scene.other.wallets
    for reference in ("first", "second"):
        with suppress(WrongState):  # it was reversed already
            await credit_wallet(
                scene.dock.ship, wallet.id, Money(700, "EUR"), reference=reference, by=ANA
            )
    await reverse_credit(scene.dock.ship, "second", by=ANA)
    assert await scene.dock.balance(scene.other) == 3700


async def block(scene: Scene) -> None:
    """One of the cards is taken out of sale."""
    first = min(await scene.dock.on_sale(DINAR) or await scene.dock.on_sale(CARD))
    states = dict(await scene.dock.sql("SELECT state, count(*) FROM vouchers GROUP BY state"))
    if "blocked" not in states:
        await block_stock(scene.dock.ship, [first], by=ANA)


async def relaying(scene: Scene) -> None:
    """Two events get their places and deliveries, for one endpoint that is active and one not."""
    client = scene.acme
    active = (await hook(scene.dock, client, UP)).webhook
    idle = (await hook(scene.dock, client, DOWN, "order.pending")).webhook
    await change_webhook(idle.id, Changes(is_active=False), ANA, scene.dock.ship, client_id=None)
    await sweep_relay(scene.dock.ship)
    feed = await scene.dock.sql("SELECT position FROM outbox WHERE client_id = $1", client.id)
    assert sorted(row[0] for row in feed) == [1, 2, 3, 4]
    rows = await scene.dock.sql("SELECT webhook_id FROM deliveries ORDER BY webhook_id")
    assert [row[0] for row in rows] == [*[active.id] * 4, idle.id]


async def delivering(scene: Scene) -> None:
    """Each event is taken by the one endpoint and refused by the other, over and over; what was
    sent and not written down is sent again, under its id.
    """
    client = scene.acme
    await hook(scene.dock, client, UP)
    await hook(scene.dock, client, DOWN)
    await sweep_relay(scene.dock.ship)
    ship = dataclasses.replace(scene.dock.ship, notifiers={"webhooks": Heard()})
    while await sweep_deliveries(ship):
        pass
    # what a killed worker took is due again when its lease ends
    later = dataclasses.replace(ship, now=lambda: scene.dock.ship.now() + timedelta(minutes=10))
    while await sweep_deliveries(later):
        pass
    states = await scene.dock.sql(
        "SELECT status, count(*) FROM deliveries GROUP BY status ORDER BY status"
    )
    assert [tuple(row) for row in states] == [("DELIVERED", 4), ("FAILED", 4)]


class Heard:
    """A notifier: one address takes everything, every other one nothing."""

    async def notify(self, event: OrderEvent, to: Target) -> None:
        if to.address != UP:
            raise Unavailable("the receiver answered with HTTP 503")


async def redelivering(scene: Scene) -> None:
    """What failed is due again, all of it, whoever is killed between two chunks."""
    client = scene.acme
    webhook = (await hook(scene.dock, client, UP)).webhook
    await sweep_relay(scene.dock.ship)
    await redeliver_since(webhook.id, START, ANA, scene.dock.ship, client_id=None)
    rows = await scene.dock.sql("SELECT status, attempts FROM deliveries")
    assert [tuple(row) for row in rows] == [("PENDING", 0)] * 4


async def noticing(scene: Scene) -> None:
    """A finding is told once."""
    await scene.dock.ship.database.run(_finding, scene.dock.ship.now())
    ship = scene.dock.ship
    named = msgspec.structs.replace(ship.config.events, operators=["operators"])
    config = msgspec.structs.replace(ship.config, events=named)
    told = dataclasses.replace(ship, config=config, notifiers={"operators": Taken()})
    await sweep_notices(told)
    await sweep_notices(dataclasses.replace(told, now=lambda: ship.now() + timedelta(minutes=10)))
    rows = await scene.dock.sql("SELECT status, sent_to FROM notices")
    assert [tuple(row) for row in rows] == [("SENT", '["operators"]')]


def _finding(tx: Tx, at: datetime) -> None:
    notify(tx, "test.found", subject="s", summary="s", text="t", key="found", at=at)


class Taken:
    """A notifier that takes everything."""

    async def notify(self, event: OrderEvent, to: Target) -> None:
        return


TRANSPORTS: Final[tuple[type, ...]] = (Heard, Taken, *KINDS.values())
"""Whose calls have points, too: transports and vendors."""


async def purchase(scene: Scene) -> None:
    """Refused by the first vendor and bought at the next; after a kill, whoever comes next looks
    until it is known.
    """
    await scene.dock.ask(scene.acme, "bought-1", YEN, 2)
    order_id = await scene.order_of("bought-1")
    ship, shop, clock = await with_shop(scene.dock.ship, "refuses")
    with suppress(WrongState):
        await approve_fallback(
            order_id, ANA, ship, vendors=["refuses", NAME], ceiling=Money(3000, "JPY")
        )
    for _ in range(40):
        await sweep_purchases(ship)
        if (await scene.dock.order(order_id)).status == "DELIVERED":
            break
        clock.advance(seconds=61)
    assert (await scene.dock.order(order_id)).status == "DELIVERED"
    assert shop.sold == 1


async def ahead(scene: Scene) -> None:
    """Two yen cards are wanted, and no source has any: two are bought, once, whoever is killed. The
    operator looks first, and gives no second budget.
    """
    ship, shop, clock = await with_shop(dataclasses.replace(scene.dock.ship, sources={}))
    wish = Wish(product="yen", denomination="1000", minimum=2, maximum=2, vendors=(NAME,))
    await keep_target(wish, ANA, ship)
    (found,) = await list_targets(ship)
    if not found.approvals:
        end = ship.now() + timedelta(days=30)
        grant = Grant(product="yen", denomination="1000", budget="9000", expires_at=end)
        await approve_ahead(grant, ANA, ship)
    for _ in range(40):
        await pump(ship, by=ANA)
        await sweep_purchases(ship)
        if len(await scene.dock.on_sale(YEN)) == 2:
            break
        clock.advance(seconds=61)
    assert len(await scene.dock.on_sale(YEN)) == 2
    assert shop.sold == 1


async def in_doubt(dock: Dock) -> None:
    """Before any scene: three purchases, one of which is found later, the others an operator's."""
    buyer = await dock.client("buyer")
    ship, _shop, clock = await with_shop(dock.ship, "silent", "lossy")
    for key in ("unbought-1", "posted-1", "lost-1"):
        order_id = (await dock.place(buyer, key, YEN, 2)).order.id
        vendor = "lossy" if key == "lost-1" else "silent"
        await approve_fallback(order_id, ANA, ship, vendors=[vendor], ceiling=Money(3000, "JPY"))
        for _ in range(1 if vendor == "lossy" else 9):
            await sweep_purchases(ship)
            clock.advance(hours=7)
    assert [row[0] for row in await dock.sql("SELECT state FROM purchases ORDER BY id")] == [
        "NEEDS_REVIEW", "NEEDS_REVIEW", "UNKNOWN",
    ]  # fmt: skip
    await dock.change("UPDATE purchases SET due_at = $1 WHERE due_at > 0", micros(MUCH_LATER))
    await dock.change("DELETE FROM notices")
    await sweep_relay(dock.ship)


async def _doubted(scene: Scene, key: str) -> tuple[int, PurchaseRecord]:
    """The order of that key and its first purchase."""
    ((order_id,),) = await scene.dock.sql("SELECT id FROM orders WHERE idempotency_key = $1", key)
    return order_id, (await scene.dock.ship.database.read(purchases_of, order_id))[0]


async def found(scene: Scene) -> None:
    """The vendor sold and its answer was lost: it is looked up, days later, and delivered."""
    order_id, one = await _doubted(scene, "lost-1")
    ship, shop, clock = await with_shop(scene.dock.ship, "lossy")
    (shop.folder / one.reference).touch()  # as its books say since then
    clock.advance(seconds=(MUCH_LATER - NOW).total_seconds())
    for _ in range(9):
        await sweep_purchases(ship)
        clock.advance(seconds=61)
    assert (await scene.dock.order(order_id)).status == "DELIVERED"
    assert shop.sold == 1


async def settled_unbought(scene: Scene) -> None:
    """Not bought, says an operator, and will not have it bought elsewhere."""
    order_id, one = await _doubted(scene, "unbought-1")
    ship, shop, _clock = await with_shop(scene.dock.ship)
    with suppress(WrongState):
        await resolve_not_bought(one.id, "their support says so", ANA, ship)
    with suppress(WrongState):
        await refuse_fallback(order_id, ANA, ship)
    assert await scene.dock.sql("SELECT count(*) FROM refusals") == [(1,)]
    await sweep_purchases(ship)
    assert shop.sold == 0


async def settled_bought(scene: Scene) -> None:
    """Bought, says an operator, with the vouchers that came by post."""
    order_id, one = await _doubted(scene, "posted-1")
    post = Shelf()
    for n in range(2):
        unit = Voucher(sku=YEN, reference=f"p{n}", card_number=Secret(f"POST-{n}"))
        post.waiting[unit.reference] = unit
    with suppress(WrongState):
        await resolve_bought(one.id, {"post": post}, ANA, scene.dock.ship)
    assert (await scene.dock.order(order_id)).status == "DELIVERED"


class _Allows:
    """A policy that lets one order of a client and day through."""

    def decide(self, case: FallbackCase) -> Verdict:
        if case.spent_today.minor:
            return Verdict(says="AskOperator", reason="one a day")
        return Verdict(says="Allow", reason="the first one today")


async def decided(scene: Scene) -> None:
    """Two orders under a limit for one: decided once each, a purchase planned for one of them."""
    for key in ("decided-1", "decided-2"):
        await scene.dock.ask(scene.acme, key, YEN, 2)
    ship, shop, _clock = await with_shop(scene.dock.ship)
    allows = Policy(name="allows", plugin="test", port=_Allows(), names_products=True)
    await sweep_policies(dataclasses.replace(ship, policies={"allows": allows}))
    rows = await scene.dock.sql("SELECT outcome FROM decisions ORDER BY order_id")
    assert [row[0] for row in rows] == ["Allow", "AskOperator"]
    assert shop.sold == 0


async def settled(scene: Scene) -> None:
    """A purchase that was never sent is voided by a cancel; nothing was bought."""
    await scene.dock.ask(scene.acme, "void-1", YEN, 2)
    order_id = await scene.order_of("void-1")
    ship, shop, _clock = await with_shop(scene.dock.ship)
    with suppress(WrongState):
        await approve_fallback(order_id, ANA, ship, vendors=[NAME], ceiling=Money(3000, "JPY"))
    with suppress(WrongState):
        await cancel_order(order_id, ANA, ship)
    assert (await scene.dock.order(order_id)).status == "CANCELLED"
    assert shop.sold == 0


SCENES: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "place, a hit": hit,
    "place, a miss in yen": miss,
    "place, refused": refusal,
    "place and retry in bulk": bulk,
    "retry": retry,
    "cancel": cancel,
    "refund": refund,
    "replace": replace,
    "approve, refused, bought at the next": purchase,
    "approve and cancel": settled,
    "buy ahead": ahead,
    "a purchase is found": found,
    "resolve, not bought": settled_unbought,
    "resolve, bought": settled_bought,
    "policies decide": decided,
    "pump": pumping,
    "wallet credit and reversal": money,
    "block": block,
    "relay": relaying,
    "deliver": delivering,
    "redeliver": redelivering,
    "notices": noticing,
}
ATOMIC: Final = frozenset(SCENES) - {
    "place and retry in bulk", "pump", "wallet credit and reversal", "relay", "deliver",
    "redeliver", "notices", "approve, refused, bought at the next", "approve and cancel",
    "policies decide", "buy ahead", "a purchase is found", "resolve, not bought", "resolve, bought",
}  # fmt: skip
"""One transaction changes everything, so a crash leaves the state before or the state after."""

_STATE: Final = {
    "orders": "SELECT idempotency_key, status, sub_status, delivered_quantity, pending_items,"
    " from_cache, refunded, charged FROM orders",
    "items": "SELECT idempotency_key, items.status, count(*), CAST(sum(items.refunded) AS bigint)"
    " FROM items JOIN orders ON orders.id = order_id GROUP BY idempotency_key, items.status",
    "vouchers": "SELECT product_id, denomination, state, order_id IS NULL, count(*) FROM vouchers"
    " GROUP BY product_id, denomination, state, order_id IS NULL",
    "quarantine": "SELECT reason, count(*) FROM quarantine GROUP BY reason",
    "money": "SELECT account, balance FROM ledger_accounts",
    "transactions": "SELECT wallet_id, transaction_type, amount, count(*) FROM transactions"
    " GROUP BY wallet_id, transaction_type, amount",
    "purchases": "SELECT vendor, state, quantity, received, price_flag FROM purchases",
    "standing": "SELECT actor, ceiling, planned, state FROM approvals WHERE order_id IS NULL",
    "targets": "SELECT minimum, maximum, vendors FROM targets",
    "decisions": "SELECT idempotency_key, outcome, face, reason FROM decisions"
    " JOIN orders ON orders.id = order_id",
    "spending": "SELECT currency, spent FROM policy_spending",
    "refusals": "SELECT order_id, is_open FROM refusals",
    "holds": "SELECT is_open, count(*) FROM purchase_items GROUP BY is_open",
    "events": "SELECT idempotency_key, event_type, count(*) FROM outbox"
    " JOIN orders ON orders.id = order_id GROUP BY idempotency_key, event_type",
    "feeds": "SELECT client_id, event_id, position FROM outbox WHERE position IS NOT NULL",
    "webhooks": "SELECT url, is_active, count(*) FROM webhooks GROUP BY url, is_active",
    "deliveries": "SELECT url, event_id, status, deliveries.error FROM deliveries"
    " JOIN webhooks ON webhooks.id = webhook_id",
    "notices": "SELECT key, status, sent_to FROM notices",
}


async def state_of(dock: Dock) -> dict[str, list[Any]]:
    """All that clients and operators could tell apart; no ids, no times."""
    return {
        name: sorted([[str(value) for value in row] for row in await dock.sql(query)])
        for name, query in _STATE.items()
    }
