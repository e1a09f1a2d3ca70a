"""A worker's process, stopped between SENT and its first byte and woken late, sends nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from starship_core.clock import micros, utc_now
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.model import Money
from starship_core.store.vendor_products import VendorOffer, write_offer
from tests.e2e.counting_vendor import NAME, Counter, at_counter
from tests.integration.ships import ANA, CARD, Dock, add_products, docked, written

ROOT = Path(__file__).parents[2]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def parked(dock: Dock) -> int:
    await add_products(dock)
    acme = await dock.client()
    offer = VendorOffer(
        product_id=CARD.product_id, code="card", currency="EUR", vendor=NAME, vendor_product="c"
    )
    await dock.ship.database.run(write_offer, offer, 1)
    return (await dock.place(acme, "key-stopped", quantity=2)).order.id


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("followed_up", [True, False], ids=["followed up", "nobody looked"])
async def test_a_stopped_sender(
    database_url: str, redis_url: str, tmp_path: Path, *, followed_up: bool
) -> None:
    """Its lease runs out on the wall meanwhile; whoever follows up buys, once, and it does not."""
    file = written(tmp_path, database_url, redis_url)
    async with Counter().open() as vendor, docked(file, utc_now) as dock:
        ship = replace(dock.ship, vendors=at_counter(vendor.address))
        order_id = await parked(dock)
        await approve_fallback(order_id, ANA, ship, vendors=[NAME], ceiling=Money(9_000, "EUR"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.e2e.buying_process", str(tmp_path), vendor.address,
            cwd=ROOT,
        )  # fmt: skip
        try:
            await until(lambda: (tmp_path / "sent").exists() and is_stopped(process.pid))
            assert await dock.sql("SELECT state FROM purchases") == [("SENT",)]
            ((lease_until,),) = await dock.sql("SELECT sender_until FROM purchases")
            await until(lambda: micros(utc_now()) > lease_until)
            if followed_up:
                for minutes in (1, 3, 6, 10, 11):
                    later = replace(ship, now=lambda m=minutes: utc_now() + timedelta(minutes=m))  # type: ignore[misc]
                    await sweep_purchases(later)
                assert (await dock.order(order_id)).status == "DELIVERED"
            os.kill(process.pid, signal.SIGCONT)
            assert await asyncio.wait_for(process.wait(), 60) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (tmp_path / "woken").exists()
        assert len(vendor.sold) == int(followed_up)
        await dock.sound()
