"""Vendors' rate limits over a real Redis: two processes, one rate."""

from __future__ import annotations

import pytest

from starship_core.errors import Unavailable
from starship_core.registration import Rate, VendorTraits
from starship_core.throttle import Throttle
from starship_core.vendor_guard import guarded
from tests.integration.ships import Dock
from tests.integration.vendors import Counter, with_vendors

TWO_AN_HOUR = Rate(2, 3600)


@pytest.fixture
def database_kind() -> str:
    """No database counts calls."""
    return "sqlite"


async def passed(throttle: Throttle, tries: int, key: str = "north:catalogue") -> int:
    """How many of so many calls had their turn at once."""
    count = 0
    for _ in range(tries):
        try:
            await throttle.turn(key, TWO_AN_HOUR, patience=0)
        except Unavailable:
            continue
        count += 1
    return count


async def test_two_processes_have_one_rate(dock: Dock) -> None:
    """What the one has used the other has not; another vendor's calls do not count."""
    one, two = (Throttle(dock.ship.pool.attempt) for _ in range(2))
    assert [await passed(one, 1), await passed(two, 5), await passed(one, 5)] == [1, 1, 0]
    assert await passed(one, 5, "south:catalogue") == 2
    # who was refused took its place back: two are counted, and no more
    (count,) = await dock.ship.pool.attempt([("ZCARD", "starship:vendor:north:catalogue")]) or []
    assert count == 2


async def test_a_flushed_redis_restarts_the_others_window_and_not_ones_own(dock: Dock) -> None:
    """It permits nothing to who has counted for itself."""
    one, two = (Throttle(dock.ship.pool.attempt) for _ in range(2))
    assert await passed(one, 2) == 2
    await dock.ship.pool.attempt([("FLUSHALL",)])
    assert [await passed(one, 3), await passed(two, 3)] == [0, 2]


async def test_a_call_over_the_limit_is_not_made(dock: Dock) -> None:
    """Unavailable with the time to come back, and the vendor's breaker learns nothing of it."""
    traits = VendorTraits(rate_limits={"catalogue": TWO_AN_HOUR})
    ship, calls = with_vendors(dock.ship, traits, patience=0), Counter(None)
    vendor = ship.vendors["north"]
    assert [await guarded(vendor, "catalogue", calls, ship) for _ in range(2)] == [1, 2]
    with pytest.raises(Unavailable, match="rate limit") as refused:
        await guarded(vendor, "catalogue", calls, ship)
    assert calls.made == 2
    assert refused.value.retry_after == pytest.approx(3600, abs=60)
    assert await dock.sql("SELECT vendor FROM breakers") == []
    assert await guarded(vendor, "find", calls, ship) == 3
