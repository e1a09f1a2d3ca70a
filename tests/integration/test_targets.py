"""Targets on both databases: what the pump pulls, what it plans to buy, and what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec import structs

from starship_core.audit import By
from starship_core.buying.filling import FAULTY, NOT_ALL, fill_up, look_at_levels
from starship_core.clock import micros
from starship_core.config import RetrySection
from starship_core.errors import InvalidInput, NotFound
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_targets import (
    Grant,
    Wish,
    approve_ahead,
    drop_target,
    keep_target,
    revoke_ahead,
)
from starship_core.flows.pump_inventory import pump, rehearse, sweep_pump
from starship_core.flows.read_targets import list_targets
from starship_core.flows.switch_buying import switch_off
from starship_core.model import Bought, Money, Purchase, Refused, Sku, Want
from starship_core.reconciliation.stock import short_targets
from starship_core.ship import Ship
from starship_core.stock.rations import Rations
from starship_core.stock.report import OfTarget, Pumped
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.sweeps import registered
from starship_core.testing.clock import ManualClock
from tests.integration.scripted import Scripted, at_market, goods, states
from tests.integration.ships import ANA, CARD, SMALL, YEN, Dock, Shelf

PUMP: Final = By(actor="pump")


async def wish(ship: Ship, minimum: int = 5, maximum: int = 8, **more: Any) -> None:
    """A target of the card of 25.00."""
    await keep_target(
        Wish(product="card", denomination="25.00", minimum=minimum, maximum=maximum, **more),
        ANA, ship,
    )  # fmt: skip


async def grant(ship: Ship, budget: str = "1000.00", **more: Any) -> int:
    """A standing approval for it: a day."""
    end = ship.now() + timedelta(days=1)
    facts = {"expires_at": end} | more
    given = Grant(product="card", denomination="25.00", budget=budget, **facts)
    return (await approve_ahead(given, ANA, ship)).id


async def market(dock: Dock, *vendors: str, **scripts: Scripted) -> Ship:
    return await at_market(dock, {name: Scripted() for name in vendors} | scripts)


async def pumped(ship: Ship) -> OfTarget:
    """A run over all sources; what it says of its one target."""
    report = await pump(ship, by=PUMP)
    (told,) = report.targets
    return told


def bought(told: OfTarget) -> list[tuple[str, int, str]]:
    return [(one.vendor, one.quantity, one.ceiling) for one in told.ahead]


async def ceilings(dock: Dock) -> list[tuple[int, int]]:
    """(quantity, ceiling) of every purchase."""
    rows = await dock.sql("SELECT quantity, ceiling FROM purchases ORDER BY id")
    return [tuple(row) for row in rows]


# --- sources -------------------------------------------------------------------------------------
class Listening(Shelf):
    """A shelf that remembers what it was asked for."""

    def pull(self, wants: Sequence[Want]) -> Any:
        self.wants = {want.sku: want.quantity for want in wants}
        return super().pull(wants)


def listening(dock: Dock) -> tuple[Ship, Listening]:
    shelf = Listening()
    return replace(dock.ship, sources={"shelf": shelf}), shelf


async def test_below_the_minimum_it_fills_up_to_the_maximum(dock: Dock) -> None:
    """What is more stays with its source, unconfirmed; of a sku without a target all is taken."""
    ship, shelf = listening(dock)
    await wish(ship)
    shelf.put(10)
    shelf.put(3, SMALL)
    report = await pump(ship, by=PUMP)
    assert (shelf.wants[CARD], shelf.wants[SMALL]) == (8, 1_000_000)
    assert report.sources[0].counts == {"taken": 11, "surplus": 2}
    assert (len(await dock.on_sale()), len(await dock.on_sale(SMALL))) == (8, 3)
    assert list(shelf.waiting) == ["u9", "u10"]
    (told,) = report.targets
    assert (told.had, told.pulled, told.under_way, told.ahead, told.why) == (0, 8, 0, [], None)
    await dock.sound()


async def test_at_the_minimum_nothing_is_wanted(dock: Dock) -> None:
    """Five are enough; four are not, and then it is four more."""
    ship, shelf = listening(dock)
    await wish(ship)
    shelf.put(5)
    await pump(ship, by=PUMP)
    shelf.put(9)
    assert (await pump(ship, by=PUMP)).sources[0].counts == {"surplus": 9}
    assert CARD not in shelf.wants
    await dock.change(
        "UPDATE vouchers SET state = 'blocked' WHERE id = (SELECT min(id) FROM vouchers)"
    )
    assert (await pump(ship, by=PUMP)).sources[0].counts == {"taken": 4, "surplus": 5}
    assert shelf.wants[CARD] == 4


async def test_what_is_here_already_is_no_surplus(dock: Dock) -> None:
    """A pump that died before it told its source: the same units again are confirmed, not kept
    waiting as too many.
    """
    ship, shelf = listening(dock)
    await wish(ship, 2, 3)
    shelf.put(3)
    again = dict(shelf.waiting)
    await pump(ship, by=PUMP)
    shelf.waiting = again
    shelf.put(1)
    assert (await pump(ship, by=PUMP)).sources[0].counts == {"already here": 3, "surplus": 1}
    assert list(shelf.waiting) == ["u4"]


async def test_two_sources_share_what_is_missing(dock: Dock) -> None:
    """The second is asked for what the first did not have."""
    first, second = Shelf(), Listening()
    first.put(3)
    second.made = 3
    second.put(9)
    await wish(dock.ship)
    report = await pump(dock.ship, by=PUMP, sources={"first": first, "second": second})
    assert second.wants[CARD] == 5
    assert [one.counts for one in report.sources] == [{"taken": 3}, {"taken": 5, "surplus": 4}]


async def test_what_is_brought_by_hand_is_taken_whole(dock: Dock) -> None:
    """A file is not read again by itself, so nothing of it may be left."""
    await wish(dock.ship, 1, 1)
    dock.shelf.put(4)
    report = await pump(dock.ship, by=ANA, sources={"hand": dock.shelf}, brought=True)
    assert (report.sources[0].counts, report.targets) == ({"taken": 4}, [])


async def test_a_denomination_of_a_range_is_wanted_by_its_target(dock: Dock) -> None:
    """Without one, sources give what they have of a range."""
    file = dock.ship.config.folder / "range.csv"
    file.write_text(
        "code,name,category,currency,denominations\nyen,Yen card,Shops,JPY,1000;2000-9000\n"
    )
    await import_products(file, ANA, dock.ship)
    ship, shelf = listening(dock)
    yen = Wish(product="yen", denomination="5000", minimum=2, maximum=3)
    await keep_target(yen, ANA, ship)
    await pump(ship, by=PUMP)
    assert {sku: n for sku, n in shelf.wants.items() if sku.product_id == 2} == {
        YEN: 1_000_000,
        Sku(2, 5000, "JPY"): 3,
    }


# --- buying ahead --------------------------------------------------------------------------------
async def test_what_the_sources_lack_is_bought(dock: Dock) -> None:
    """Three from the shelf, five from the vendor, on sale by the common purchase sweep."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    approval = await grant(ship)
    dock.shelf.put(3)
    told = await pumped(ship)
    assert (told.had, told.pulled, told.why) == (0, 3, None)
    assert bought(told) == [("north", 5, "125.00 EUR")]
    assert told.ahead[0].approval_id == approval
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "BOUGHT")]
    assert len(await dock.on_sale()) == 8
    assert await dock.sql(
        "SELECT actor, subject FROM audit WHERE action = 'target.buy'"
    ) == [("pump", "sku:1/25.00/EUR")]  # fmt: skip
    told = await pumped(ship)
    assert (told.had, told.ahead, told.why) == (8, [], None)
    await dock.sound()


async def test_what_is_under_way_is_not_bought_again(dock: Dock) -> None:
    """Run after run, while the vendor has not been asked, and while nobody knows; a source that has
    it meanwhile is still asked, since what is bought may never come.
    """
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await grant(ship)
    assert bought(await pumped(ship)) == [("north", 8, "200.00 EUR")]
    told = await pumped(ship)
    assert (told.under_way, told.ahead, told.why) == (8, [], None)
    await dock.change(
        "UPDATE purchases SET state = 'NEEDS_REVIEW', due_at = NULL, sent_at = 1, received = 6"
    )
    told = await pumped(ship)
    assert (told.under_way, bought(told)) == (2, [("north", 6, "150.00 EUR")])
    dock.shelf.put(9)
    assert (await pumped(ship)).pulled == 8


async def test_two_pumps_at_once_buy_one_gap_once(dock: Dock) -> None:
    """Without the lease that keeps them apart: the target's row does, and the budget holds one."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await grant(ship, "200.00")
    await grant(ship, "300.00")
    await asyncio.gather(*(_unleased(ship) for _ in range(6)))
    assert await ceilings(dock) == [(8, 20_000)]
    await dock.sound()


async def test_two_pumps_at_once_under_a_budget_for_one(dock: Dock) -> None:
    """More is missing than both may buy: one purchase, and never past the budget."""
    ship = await market(dock, "north")
    await wish(ship, 50, 100, vendors=("north",))
    await grant(ship, "49.00")
    await asyncio.gather(*(_unleased(ship) for _ in range(6)))
    assert await ceilings(dock) == [(1, 2_500)]
    assert await dock.sql("SELECT planned FROM approvals") == [(2_500,)]
    await dock.sound()


async def _unleased(ship: Ship) -> None:
    """What a pump does after its sources, as if another held its lease at the same time."""
    begun = await look_at_levels(ship)
    await fill_up(ship, PUMP, begun, Rations(begun), lambda: None)


async def test_a_budget_for_a_run_is_that_of_its_half_hour(dock: Dock, clock: ManualClock) -> None:
    """Whoever runs the pump again within it, after a kill or by hand, plans no second one."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",), budget="60.00")
    await grant(ship)
    told = await pumped(ship)
    assert (bought(told), told.why) == (
        [("north", 2, "50.00 EUR")], "its budget for one run is used up",
    )  # fmt: skip
    assert (await pumped(ship)).ahead == []
    clock.advance(minutes=30)
    assert bought(await pumped(ship)) == [("north", 2, "50.00 EUR")]
    assert await ceilings(dock) == [(2, 5_000)] * 2


async def test_no_run_plans_without_bound(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many purchases at once, here two of ten units each; the next run goes on."""
    monkeypatch.setattr("starship_core.buying.ahead.AT_ONCE", 2)
    ship = await market(dock, "north")
    await wish(ship, 50, 50, vendors=("north",))
    await grant(ship, "2000.00")
    told = [await pumped(ship) for _ in range(3)]
    assert [sum(one.quantity for one in each.ahead) for each in told] == [20, 20, 10]
    assert told[0].why == "so many at once; the next run goes on"
    assert [quantity for quantity, _ in await ceilings(dock)] == [10] * 5


async def test_a_refused_purchase_counts_for_no_budget(dock: Dock) -> None:
    """Nothing was spent, and the next vendor of the approval is asked."""
    ship = await market(dock, "south", north=Scripted([Refused(reason="sold out")]))
    await wish(ship, 2, 2, vendors=("north", "south"), budget="60.00")
    await grant(ship, "60.00", vendors=("north", "south"))
    assert bought(await pumped(ship)) == [("north", 2, "50.00 EUR")]
    await sweep_purchases(ship)
    assert bought(await pumped(ship)) == [("south", 2, "50.00 EUR")]
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "REFUSED"), ("south", "BOUGHT")]
    assert len(await dock.on_sale()) == 2
    await dock.sound()


async def test_one_approval_is_used_up_after_the_other(dock: Dock) -> None:
    """The one first that ends first; all of them together buy what is missing."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    late = await grant(ship, "500.00", expires_at=ship.now() + timedelta(days=9))
    early = await grant(ship, "80.00")
    told = await pumped(ship)
    assert [(one.approval_id, one.quantity) for one in told.ahead] == [(early, 3), (late, 5)]
    await dock.sound()


async def test_a_yes_that_is_repeated_is_one(dock: Dock, clock: ManualClock) -> None:
    """Who got no answer and asks again gives no second budget, also when some of it is planned, or
    when both come at once; later it is another one.
    """
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    assert len({*await asyncio.gather(*(grant(ship) for _ in range(4)))}) == 1
    await pumped(ship)
    first = await grant(ship)
    clock.advance(minutes=10)
    assert await grant(ship) != first
    assert await dock.sql("SELECT count(*) FROM approvals") == [(2,)]


async def test_nothing_is_planned_past_its_end(dock: Dock, clock: ManualClock) -> None:
    """And what was planned and not sent by then is closed, and its budget given back."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await grant(ship)
    await pumped(ship)
    clock.advance(hours=24)
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "NOT_BOUGHT")]
    assert await dock.sql("SELECT planned FROM approvals") == [(0,)]
    told = await pumped(ship)
    assert (told.ahead, told.why) == ([], "no standing approval holds: `starship target approve`")
    await dock.sound()


async def test_revoked(dock: Dock) -> None:
    """Nothing is planned or sent under it any more; again it is the same, and audited once."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    approval = await grant(ship)
    await pumped(ship)
    assert [(await revoke_ahead(approval, ANA, ship)).state for _ in range(2)] == ["ENDED"] * 2
    await sweep_purchases(ship)
    assert await states(dock) == [("north", "NOT_BOUGHT")]
    assert (await pumped(ship)).ahead == []
    rows = await dock.sql("SELECT actor, before FROM audit WHERE action = 'target.revoke'")
    assert rows == [("operator:ana", f'{{"approval":{approval},"left":"800.00 EUR"}}')]
    await dock.sound()


async def _switched(dock: Dock, ship: Ship) -> None:
    await switch_off("vendor:north", ANA, ship)


async def _broken(dock: Dock, ship: Ship) -> None:
    await dock.change(
        "INSERT INTO breakers (vendor, operation, opened_at, updated_at)"
        " VALUES ('north', 'buy', $1, $1)", micros(ship.now()),
    )  # fmt: skip


async def _unmapped(dock: Dock, ship: Ship) -> None:
    await dock.change("UPDATE product_vendors SET is_active = 0")


async def _overcharged(dock: Dock, ship: Ship) -> None:
    """Something was bought under it, for more than was agreed."""
    await pumped(ship)
    dearer = Scripted([lambda asked: _for(asked, Money(99_999, "EUR"))])
    await sweep_purchases(await at_market(dock, {"north": dearer}))
    await dock.change("UPDATE vouchers SET state = 'blocked'")


def _for(asked: Purchase, charged: Money) -> Bought:
    return goods(asked, charged=charged)


async def _other_vendor(dock: Dock, ship: Ship) -> None:
    await wish(ship, vendors=("south",))


async def _other_currency(dock: Dock, ship: Ship) -> None:
    await wish(ship, vendors=("north",), budget="10.00", currency="USD")


async def _dearer(dock: Dock, ship: Ship) -> None:
    offer = VendorOffer(
        product_id=1, code="card", currency="EUR", vendor="north", vendor_product="north-card",
        cost=Money(2_000, "USD"), cost_face=2_500,
    )  # fmt: skip
    await ship.database.run(write_offer, offer, 1)


async def _inactive(dock: Dock, ship: Ship) -> None:
    await dock.change("UPDATE products SET is_active = 0")


async def _sources_only(dock: Dock, ship: Ship) -> None:
    await wish(ship)


OBSTACLES: dict[str, tuple[Any, str]] = {
    "switch": (_switched, "north: switched off, or the breaker is open"),
    "breaker": (_broken, "north: switched off, or the breaker is open"),
    "mapping": (_unmapped, "north cannot be asked for it; see `starship vendor map`"),
    "charge": (
        _overcharged,
        "purchase 1 was charged at more than was agreed: approval 1 is not used any more",
    ),
    "vendor": (_other_vendor, "approval 1 names none of the target's vendors"),
    "currency": (_other_currency, "approval 1 is in EUR, the target in USD"),
    "cost": (_dearer, "what north asks for it is not known in EUR, as approval 1 is"),
    "product": (_inactive, "its product is not sold"),
    "sources": (_sources_only, "its target names no vendor: sources only"),
}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("what", OBSTACLES)
async def test_what_stands_in_the_way(dock: Dock, what: str, database_kind: str) -> None:
    """Nothing is planned, the report says why, and operators are told once a day."""
    ship = await market(dock, "north", "south")
    await wish(ship, vendors=("north", "south"))
    await grant(ship, vendors=("north",))
    prepare, why = OBSTACLES[what]
    await prepare(dock, ship)
    before = await ceilings(dock)
    for _ in range(2):
        told = await pumped(ship)
        assert (told.ahead, told.why) == ([], why)
    assert await ceilings(dock) == before
    notices = await dock.sql("SELECT kind, subject, text FROM notices WHERE kind = 'stock.low'")
    assert [(kind, subject) for kind, subject, _ in notices] == [("stock.low", "sku:1/25.00/EUR")]
    assert why in notices[0][2]


async def test_a_unit_is_reckoned_with_what_it_cost(dock: Dock) -> None:
    """In the currency of the budget: 19.01 for a face value of 25.00, not the face value."""
    ship = await market(dock, "north")
    offer = VendorOffer(
        product_id=1, code="card", currency="EUR", vendor="north", vendor_product="north-card",
        cost=Money(1_901, "USD"), cost_face=2_500,
    )  # fmt: skip
    await ship.database.run(write_offer, offer, 1)
    await wish(ship, vendors=("north",))
    with pytest.raises(InvalidInput, match="north asks for it in USD: give the budget in USD"):
        await grant(ship)
    await grant(ship, "100.00", currency="USD")
    told = await pumped(ship)
    assert bought(told) == [("north", 5, "95.05 USD")]
    assert told.why == "the budget of its standing approvals is used up"
    await dock.sound()


class Broken(Shelf):
    """A source that fails after what it had."""

    async def confirm(self, references: Sequence[str]) -> None:
        raise RuntimeError


async def test_only_after_every_source_was_read(dock: Dock) -> None:
    """One that fails may have it, and a run over one source says nothing of the others."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await grant(ship)
    broken = Broken()
    broken.put(1)
    (told,) = (await pump(replace(ship, sources={"broken": broken}), by=PUMP)).targets
    assert (told.ahead, told.why) == ([], FAULTY)
    (told,) = (await pump(ship, by=PUMP, sources={"shelf": Shelf()})).targets
    assert (told.ahead, told.why) == ([], NOT_ALL)
    assert await ceilings(dock) == []


async def test_a_rehearsal_says_what_would_be_bought(dock: Dock) -> None:
    """The same as the run after it says, and nothing is written; so for one source alone."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await grant(ship, "60.00")
    dock.shelf.put(2)
    before = await dock.sql("SELECT name, value FROM counters ORDER BY name")
    rehearsed = await rehearse(ship)
    assert (await ceilings(dock), await dock.sql("SELECT id FROM notices")) == ([], [])
    assert await dock.sql("SELECT name, value FROM counters ORDER BY name") == before
    alone = await rehearse(ship, sources=ship.sources)
    assert [one.why for one in alone.targets] == [NOT_ALL]
    real = await pump(ship, by=PUMP)
    assert _as_told(rehearsed) == _as_told(real)
    assert _as_told(real) == [
        (0, 2, [("north", 2, "50.00 EUR")], "the budget of its standing approvals is used up")
    ]


def _as_told(report: Pumped) -> list[Any]:
    return [(one.had, one.pulled, bought(one), one.why) for one in report.targets]


async def test_the_pump_on_time_buys_ahead(dock: Dock) -> None:
    """The worker's sweep plans what the sources lack: it counts as done, and is written down."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await grant(ship)
    dock.shelf.put(2)
    assert await sweep_pump(ship) == 8
    assert await ceilings(dock) == [(6, 15_000)]
    ((after,),) = await dock.sql("SELECT after FROM audit WHERE action = 'stock.pump'")
    assert '"bought_ahead":6' in after


async def test_a_target_that_is_not_reached_is_a_finding(dock: Dock) -> None:
    """Of reconciliation, by its minimum; what is under way counts."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    dock.shelf.put(2)
    await pump(ship, by=PUMP)
    (found,) = await short_targets(ship)
    assert (found.kind, found.subject, found.problem) == (
        "stock.low", "sku:1/25.00/EUR",
        "2 vouchers are on sale and 0 under way, less than its target's 5",
    )  # fmt: skip
    await grant(ship)
    await pump(ship, by=PUMP)
    assert await short_targets(ship) == []


async def test_a_bulk_order_gets_no_items_from_a_pump_alone(dock: Dock) -> None:
    """What the pump brings and buys, and all that it rings, leave it INITIAL while auto-retry is
    off; on, the retry that the pump rings makes its items and serves it.
    """
    ship = await market(dock, "north")
    rich = await dock.client("rich", {"EUR": "10000.00"})
    order = (await dock.place(rich, "key-bulk", quantity=60)).order
    await wish(ship, 60, 60, vendors=("north",))
    await grant(ship, "2000.00")
    dock.shelf.put(10)
    await run_with_rings(ship)
    assert len(await dock.on_sale()) == 60
    assert (await dock.order(order.id)).sub_status == "INITIAL"
    assert await dock.sql("SELECT count(*) FROM items") == [(0,)]
    config = structs.replace(ship.config, retry=RetrySection(auto=True))
    await run_with_rings(replace(ship, config=config))
    assert (await dock.order(order.id)).status == "DELIVERED"
    await dock.sound()


async def run_with_rings(ship: Ship) -> None:
    """The pump, and then every kind that it wakes and that is registered, as a worker does it."""
    kinds = registered(ship.config)
    await kinds["pump"].run(ship)
    for kind in reversed(kinds["pump"].rings):
        if kind in kinds:
            while await kinds[kind].run(ship):
                pass


# --- what operators may write --------------------------------------------------------------------
async def test_a_target_that_is_none(dock: Dock) -> None:
    """By field, and nothing is kept."""
    ship = await market(dock, "north")
    good: dict[str, Any] = {"product": "card", "denomination": "25.00", "minimum": 5, "maximum": 8}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"minimum": 0}, "minimum"), ({"minimum": 9}, "minimum"),
        ({"maximum": 1_000_001}, "minimum"), ({"denomination": "24.00"}, "denomination"),
        ({"denomination": "25.001"}, "denomination"), ({"vendors": ("west",)}, "vendor"),
        ({"vendors": ("north", "north")}, "vendor"), ({"budget": "0"}, "budget"),
        ({"budget": "1.001"}, "budget"),
    ]  # fmt: skip
    for facts, field in wrong:
        with pytest.raises(InvalidInput) as refused:
            await keep_target(Wish(**(good | facts)), ANA, ship)
        assert refused.value.field == field, facts
    with pytest.raises(NotFound):
        await keep_target(Wish(**(good | {"product": "none"})), ANA, ship)
    assert await list_targets(ship) == []


async def test_an_approval_that_is_none(dock: Dock) -> None:
    """By field, and nothing may be bought."""
    ship = await market(dock, "north", "south")
    await wish(ship, vendors=("north",), budget="50.00")
    good: dict[str, Any] = {
        "product": "card", "denomination": "25.00", "budget": "99.00",
        "expires_at": ship.now() + timedelta(days=1),
    }  # fmt: skip
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"vendors": ("south",)}, "vendor"), ({"budget": "0"}, "budget"),
        ({"currency": "USD"}, "currency"), ({"expires_at": ship.now()}, "until"),
        ({"expires_at": ship.now() + timedelta(days=93)}, "until"),
    ]  # fmt: skip
    for facts, field in wrong:
        with pytest.raises(InvalidInput) as refused:
            await approve_ahead(Grant(**(good | facts)), ANA, ship)
        assert refused.value.field == field, facts
    with pytest.raises(InvalidInput, match="needs a reason"):
        await approve_ahead(Grant(**good), By(actor="operator:ana"), ship)
    assert await dock.sql("SELECT id FROM approvals") == []


async def test_without_a_target_or_a_vendor_nothing_is_approved(dock: Dock) -> None:
    """An approval stands on a target that names vendors."""
    ship = await market(dock, "north")
    with pytest.raises(NotFound, match=r"target of 1/25\.00/EUR"):
        await grant(ship)
    await wish(ship)
    with pytest.raises(InvalidInput, match="names no vendor"):
        await grant(ship)
    with pytest.raises(NotFound):
        await revoke_ahead(1, ANA, ship)


async def test_a_target_removed_takes_its_approvals_along(dock: Dock) -> None:
    """Set again, it starts without one; every change is in the audit."""
    ship = await market(dock, "north")
    await wish(ship, vendors=("north",))
    await wish(ship, vendors=("north",))
    await grant(ship)
    await drop_target("card", "25.00", ANA, ship)
    with pytest.raises(NotFound):
        await drop_target("card", "25.00", ANA, ship)
    await wish(ship, vendors=("north",))
    (found,) = await list_targets(ship)
    assert (found.minimum, found.maximum, found.vendors, found.approvals) == (
        5, 8, ("north",), [],
    )  # fmt: skip
    rows = await dock.sql("SELECT action FROM audit WHERE subject = 'sku:1/25.00/EUR' ORDER BY id")
    assert [row[0] for row in rows] == [
        "target.set", "target.approve", "target.remove", "target.set",
    ]  # fmt: skip
