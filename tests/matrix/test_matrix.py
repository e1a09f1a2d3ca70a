"""The fault matrix: every adapter, at its own sandbox behind a front that goes wrong in seventeen
ways, through approval and sweeps until nothing is due any more. `ends.json` is how cells end.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from starship_core.clock import moment
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.import_products import import_products
from starship_core.ship import Ship
from starship_core.store.purchases import find_purchase
from starship_core.store.vendor_products import VendorOffer, write_offer
from starship_core.testing.clock import ManualClock
from starship_core.testing.serving import served
from tests.integration.ships import ANA, Dock, docked, written
from tests.matrix.faults import FAULTS
from tests.matrix.front import Exchange, Fault, Front, fronted
from tests.matrix.shops import PRODUCTS, SHOPS, Shop

ENDS: Final = json.loads((Path(__file__).parent / "ends.json").read_text(encoding="utf-8"))
ORDERED: Final = 2
SWEEPS: Final = 40
"""More than any purchase needs: a saga that never ends fails."""
CELLS: Final = [("sqlite", use, fault) for use in SHOPS for fault in FAULTS] + [
    ("postgresql", "bamboo", fault) for fault in FAULTS
]


@dataclass(frozen=True)
class Scene:
    """One deployment with one vendor, which goes wrong."""

    dock: Dock
    clock: ManualClock
    front: Front
    world: Any

    @property
    def ship(self) -> Ship:
        return self.dock.ship


@pytest.fixture
def database_kind(cell: tuple[str, str, str]) -> str:
    """All cells on SQLite; one adapter's on PostgreSQL as well."""
    return cell[0]


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
async def test_cell(
    cell: tuple[str, str, str],
    database_url: str,
    redis_url: str,
    clock: ManualClock,
    tmp_path: Path,
) -> None:
    """Bought at most once, nothing lost, nothing doubled, no end without proof; and the end that
    stands in the table.
    """
    _, use, name = cell
    shop, fault = SHOPS[use], FAULTS[name]
    file = written(tmp_path, database_url, redis_url)
    async with _scene(file, shop, fault, clock) as (scene, listen):
        end = await _played(scene, listen)
        assert end == ENDS[use][name]
        await _nothing_lost_or_doubled(scene, end)
        await scene.dock.sound()


async def _sells_twice(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.answer(await exchange.forward())


def _shows_another(shop: Shop, goods: Any) -> None:
    shop.cards(goods)[0][shop.codes[0]] = "VK-OF-NOBODY"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("an item was bought twice", _sells_twice),
        Fault("a code that was never sold", alters=_shows_another),
    ],
    ids=lambda fault: fault.about,
)
@pytest.mark.parametrize("cell", [("sqlite", "", "")], ids=[""])
async def test_the_checks_can_fail(
    fault: Fault, database_url: str, redis_url: str, clock: ManualClock, tmp_path: Path
) -> None:
    """What no saga can mend is seen: an order that was doubled on its way, a code of nobody."""
    file = written(tmp_path, database_url, redis_url)
    async with _scene(file, SHOPS["voucherkart"], fault, clock) as (scene, listen):
        end = await _played(scene, listen)
        with pytest.raises(AssertionError, match=fault.about):
            await _nothing_lost_or_doubled(scene, end)


def test_the_table_is_whole(record_property: Callable[[str, object], None]) -> None:
    """Each adapter meets each fault, and of all cells at least half end delivered."""
    assert {use: list(row) for use, row in ENDS.items()} == {use: list(FAULTS) for use in SHOPS}
    ends = [cell["end"] for row in ENDS.values() for cell in row.values()]
    assert set(ends) <= {"delivered", "pending", "review"}
    assert 2 * ends.count("delivered") >= len(ends)
    lines = [f"{'':22}" + " ".join(f"{use:>19}" for use in ENDS)]
    lines += [
        f"{fault:22}" + " ".join(f"{row[fault]['end']:>19}" for row in ENDS.values())
        for fault in FAULTS
    ]
    record_property("table:fault matrix", "\n".join(lines))


@asynccontextmanager
async def _scene(
    file: Path, shop: Shop, fault: Fault, clock: ManualClock
) -> AsyncIterator[tuple[Scene, Callable[[], Awaitable[None]]]]:
    world = shop.world(clock)
    async with (
        served(shop.app(world)) as upstream,
        fronted(shop, fault, upstream) as (front, listen),
    ):
        products = _configured(file, shop, front.url)
        async with docked(file, clock) as dock:
            await import_products(products, ANA, dock.ship)
            yield Scene(_patient(dock, fault), clock, front, world), listen


def _configured(file: Path, shop: Shop, url: str) -> Path:
    """The vendor's section is added; the file of its products."""
    section = f'[vendors.shop]\nuse = "{shop.use}"\nbase_url = "{url}"{shop.section}'
    text = file.read_text() + section
    file.write_text(text.replace('"source-csv"', f'"source-csv", "{shop.plugin}"'))
    products = file.parent / "products.csv"
    products.write_text(PRODUCTS)
    return products


async def _played(scene: Scene, listen: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """From the approval to where nothing is due any more; the end."""
    order_id = await _approved(scene, scene.front.shop)
    absent = scene.front.fault.absent
    if not absent:
        await listen()
    if scene.front.fault.seconds is not None:
        await _warmed(scene)
    await sweep_purchases(scene.ship)
    if absent:
        assert await _states(scene) == ["PLANNED"], "nobody was there to sell it"
        await listen()
    await _swept(scene)
    return await _end(scene, order_id)


async def _warmed(scene: Scene) -> None:
    """Let in and connected, so that all the time there is goes to the answer that never ends."""
    ship = scene.ship
    ((purchase_id,),) = await scene.dock.sql("SELECT id FROM purchases")
    record = await ship.database.read(find_purchase, purchase_id)
    assert await ship.vendors["shop"].port.find(record.asked) is None


def _patient(dock: Dock, fault: Fault) -> Dock:
    """As patient as the adapter says, but where that patience is what the cell is about."""
    vendor = dock.ship.vendors["shop"]
    if fault.seconds is not None:
        vendor = replace(vendor, traits=replace(vendor.traits, buy_timeout=fault.seconds))
    return replace(dock, ship=replace(dock.ship, vendors={"shop": vendor}))


async def _approved(scene: Scene, shop: Shop) -> int:
    """An order of two that waits, mapped and approved."""
    offer = VendorOffer(
        product_id=shop.sku.product_id, code=shop.code, currency=shop.sku.currency,
        vendor="shop", vendor_product=shop.product,
    )  # fmt: skip
    await scene.ship.database.run(write_offer, offer, 1)
    client = await scene.dock.client("acme", {shop.sku.currency: "9000.00"})
    order = (await scene.dock.place(client, "key-matrix", shop.sku, ORDERED)).order
    assert order.status == "PENDING"
    await approve_fallback(order.id, ANA, scene.ship, vendors=("shop",), ceiling=shop.ceiling)
    return order.id


async def _swept(scene: Scene) -> None:
    """Again and again, each time when the next purchase is due, until none is."""
    for _ in range(SWEEPS):
        ((due,),) = await scene.dock.sql("SELECT min(due_at) FROM purchases")
        if due is None:
            return
        scene.clock.set(max(moment(due), scene.clock()))
        await sweep_purchases(scene.ship)
    raise AssertionError(f"after {SWEEPS} sweeps it is still due: {await _states(scene)}")


async def _states(scene: Scene) -> list[str]:
    return [state for (state,) in await scene.dock.sql("SELECT state FROM purchases ORDER BY id")]


async def _end(scene: Scene, order_id: int) -> dict[str, Any]:
    """What the table says of a cell."""
    order, states = await scene.dock.order(order_id), await _states(scene)
    if order.status == "DELIVERED":
        end = "delivered"
    elif "NEEDS_REVIEW" in states:
        end = "review"
    else:
        assert order.status in ("PENDING", "PARTIALLY_DELIVERED"), "no order fails by itself"
        end = "pending"
    return {
        "end": end,
        "purchases": states,
        "requests": scene.front.reached,
        "sold": len(scene.front.shop.sold(scene.world)),
        "delivered": order.delivered_quantity,
        "flagged": any(
            flag for (flag,) in await scene.dock.sql("SELECT price_flag FROM purchases")
        ),
    }


async def _nothing_lost_or_doubled(scene: Scene, end: dict[str, Any]) -> None:
    sold = scene.front.shop.sold(scene.world)
    references = [row[0] for row in await scene.dock.sql("SELECT reference FROM purchases")]
    assert {reference for reference, _ in sold} <= set(references)
    assert len(sold) <= ORDERED, "an item was bought twice"
    codes = [code for _, code in sold]
    stock, aside = await _codes(scene, "vouchers"), await _codes(scene, "quarantine")
    assert len(set(stock)) == len(stock), "a code is in stock twice"
    assert set(stock) <= set(codes), "a code that was never sold"
    assert scene.front.shown <= {*stock, *aside}, "a code was told and is lost"
    if end["purchases"] != ["NEEDS_REVIEW"]:
        assert sorted(stock) == sorted(codes), "what was sold is not ours"
    if {"REFUSED", "NOT_BOUGHT"} & set(end["purchases"]):
        assert codes == [], "it was called not bought, and was sold"


async def _codes(scene: Scene, table: str) -> list[str]:
    """Of everything that we have there, whatever its state."""
    rows = await scene.dock.sql(f"SELECT id, sealed, key_id FROM {table}")
    found = [scene.ship.vault.reveal(*row).card_number for row in rows]
    return [code.reveal() for code in found if code is not None]
