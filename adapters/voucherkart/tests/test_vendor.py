"""The adapter against its sandbox over a real socket, where the kit has no check."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import starship_voucherkart
from starship_voucherkart.config import VoucherKartConfig
from starship_voucherkart.sandbox import Settings, World, sandbox_app
from starship_voucherkart.vendor import open_vendor

from starship_core import (
    Accepted,
    Ambiguous,
    Bought,
    ConfigError,
    Money,
    Purchase,
    Refused,
    Secret,
    Sku,
    Unavailable,
)
from starship_core.testing.plugs import toolbox
from starship_core.testing.serving import served

SETTINGS = Settings()
Opened = Callable[..., AbstractAsyncContextManager[Any]]


def purchase(reference: str = "R1", quantity: int = 2, product: str = "DEMO1") -> Purchase:
    return Purchase(
        reference=reference,
        sku=Sku(1, 10000, "INR"),
        quantity=quantity,
        vendor_product=product,
        ceiling=Money(10**9, "INR"),
        planned_at=datetime(2027, 1, 1, tzinfo=UTC),
    )


def section(**changed: Any) -> VoucherKartConfig:
    given: dict[str, Any] = {
        "base_url": "http://127.0.0.1:1",
        "username": SETTINGS.username,
        "password": Secret(SETTINGS.password),
        "aes_key": Secret(SETTINGS.aes_key),
        "aes_iv": Secret(SETTINGS.aes_iv),
        "timeout": 5,
    }
    return VoucherKartConfig(**(given | changed))


@pytest.fixture
def world() -> World:
    return World(Settings(slow_seconds=0.6))


@pytest.fixture
def opened(world: World) -> Opened:
    """The adapter, open, at the sandbox."""

    @asynccontextmanager
    async def opening(**changed: Any) -> AsyncIterator[Any]:
        tools = replace(toolbox(Path()), now=lambda: world.now())  # noqa: PLW0108  # it is changed
        async with (
            served(sandbox_app(world)) as url,
            open_vendor(section(base_url=url, **changed), tools) as vendor,
        ):
            yield vendor

    return opening


async def test_a_stale_token_is_renewed_once(opened: Opened, world: World) -> None:
    """And by one of many calls, not by each; every order is made once."""
    async with opened() as vendor:
        assert isinstance(await vendor.buy(purchase("R1")), Bought)
        assert world.issued == 1
        world.tokens.clear()
        replies = await asyncio.gather(*(vendor.buy(purchase(f"R{n}")) for n in range(2, 8)))
    assert all(isinstance(reply, Bought) for reply in replies)
    assert world.issued == 2
    assert len(world.orders) == 7


async def test_a_token_that_never_lasts(opened: Opened, world: World) -> None:
    """One renewal and one more try; then nothing was bought."""
    world.settings = replace(world.settings, token_minutes=0)
    async with opened() as vendor:
        with pytest.raises(Unavailable):
            await vendor.buy(purchase())
    assert (world.issued, world.orders) == (2, [])


async def test_a_token_is_renewed_before_it_ends(opened: Opened, world: World) -> None:
    """No call is spent on finding out that it is old."""
    start = datetime(2027, 1, 1, tzinfo=UTC)
    world.now = lambda: start
    async with opened() as vendor:
        await vendor.buy(purchase("R1"))
        before = len(world.calls)
        world.now = lambda: start + timedelta(minutes=26)
        await vendor.buy(purchase("R2"))
    assert (before, world.issued, len(world.calls)) == (2, 2, 2)


async def test_without_a_token_nothing_was_sent(opened: Opened, world: World) -> None:
    """A password that was changed is no purchase that nobody knows of."""
    world.settings = replace(world.settings, password="another")
    async with opened() as vendor:
        for asked in (vendor.buy, vendor.find):
            with pytest.raises(Unavailable):
                await asked(purchase())
    assert world.orders == []


async def test_with_another_key_nothing_is_believed(opened: Opened, world: World) -> None:
    """Neither the token can be opened, nor is a purchase sent."""
    async with opened(aes_key=Secret("another-key-another-key-another-")) as vendor:
        with pytest.raises(Unavailable, match="is the key the right one"):
            await vendor.buy(purchase())
    assert world.orders == []


@pytest.mark.parametrize(
    "outcome",
    ["html", "junk", "garbage", "empty", "error", "unavailable", "upstream", "another-text"],
)
async def test_what_was_bought_behind_an_unclear_answer(
    opened: Opened, world: World, outcome: str
) -> None:
    """Sent once, never refused, and found."""
    world.goods["DEMO1"] = replace(world.goods["DEMO1"], outcome=outcome)
    async with opened() as vendor:
        with pytest.raises(Ambiguous):
            await vendor.buy(purchase())
        found = await vendor.find(purchase())
    assert isinstance(found, Bought)
    assert len(found.vouchers) == 2
    assert len(world.orders) == 1


async def test_a_slow_answer(opened: Opened, world: World) -> None:
    """Given up after `timeout`, and found."""
    world.goods["DEMO1"] = replace(world.goods["DEMO1"], outcome="slow")
    async with opened(timeout=0.2) as vendor:
        with pytest.raises(Ambiguous, match="no answer"):
            await vendor.buy(purchase())
        assert isinstance(await vendor.find(purchase()), Bought)
    assert len(world.orders) == 1


async def test_an_order_in_process(opened: Opened) -> None:
    """Unclear to the pull, open to the lookup, then there."""
    async with opened() as vendor:
        with pytest.raises(Ambiguous):
            await vendor.buy(purchase(product="LATER"))
        replies = [await vendor.find(purchase(product="LATER")) for _ in range(3)]
    assert replies[:2] == [Accepted(vendor_reference=None)] * 2
    assert isinstance(replies[2], Bought)


async def test_an_order_that_is_hidden_at_first(opened: Opened, world: World) -> None:
    """Why one "not found" is no proof."""
    world.goods["DEMO1"] = replace(world.goods["DEMO1"], outcome="hidden")
    async with opened() as vendor:
        with pytest.raises(Ambiguous):
            await vendor.buy(purchase())
        assert await vendor.find(purchase()) is None
        assert isinstance(await vendor.find(purchase()), Bought)


@pytest.mark.parametrize("product", ["DROPS", "INACTIVE", "SOLDOUT", "NOPE"])
async def test_refusals(opened: Opened, world: World, product: str) -> None:
    """By their code and text; nothing was bought."""
    async with opened() as vendor:
        assert isinstance(await vendor.buy(purchase(product=product)), Refused)
    assert world.orders == []


async def test_an_empty_wallet(opened: Opened, world: World) -> None:
    """Whose text says nothing."""
    world.wallet -= 1_000_000
    async with opened() as vendor:
        reply = await vendor.buy(purchase())
        assert reply == Refused(reason="ER1011: the balance is too low")
        assert await vendor.balance() == [Money(0, "INR")]


async def test_the_same_order_id_replayed(opened: Opened, world: World) -> None:
    """As a success: the same vouchers, and one order."""
    world.settings = replace(world.settings, duplicates="replays")
    async with opened() as vendor:
        assert await vendor.buy(purchase()) == await vendor.buy(purchase())
    assert len(world.orders) == 1


@pytest.mark.parametrize("product", ["GCCODE", "PINONLY", "ADDRESS"])
async def test_every_layout_has_a_code(opened: Opened, product: str) -> None:
    """In one field or another."""
    async with opened() as vendor:
        reply = await vendor.buy(purchase(product=product))
    for one in reply.vouchers:
        held = [one.card_number, one.pin_code, one.claim_url]
        assert len([part for part in held if part is not None]) == 1


async def test_stock_and_catalogue(opened: Opened) -> None:
    """What is there now; what can be bought, without what is no voucher."""
    async with opened() as vendor:
        assert await vendor.stock("SCARCE", Money.of("100", "INR")) == 3
        listed = {one.vendor_product: one.stock async for one in vendor.catalogue()}
    assert (listed["SCARCE"], listed["SOLDOUT"], "EPAY" in listed) == (None, 0, False)


async def test_too_many_calls(opened: Opened, world: World) -> None:
    """429: nothing was looked at."""
    world.settings = replace(world.settings, per_minute=1)
    async with opened() as vendor:
        with pytest.raises(Unavailable) as raised:
            await vendor.buy(purchase())
    assert raised.value.retry_after == 60


async def test_a_vendor_that_seals_nothing(opened: Opened, world: World) -> None:
    """As configured on both sides."""
    calls = frozenset({"getstock", "pullvoucher", "pullvoucher/checkstatus", "getbrands",
                       "getwalletbalance", "gettoken"})  # fmt: skip
    world.settings = replace(world.settings, plain_requests=calls, plain_answers=calls)
    every = ("token", "brands", "stock", "pull", "status", "balance")
    async with opened(plain_requests=every, plain_answers=every) as vendor:
        bought = await vendor.buy(purchase())
        assert isinstance(bought, Bought)
        assert await vendor.find(purchase()) == bought
        assert await vendor.balance() == [Money.of("999800", "INR")]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"base_url": "http://vendor.example"}, "base_url: must be https"),
        ({"base_url": "https://user:pass@vendor.example"}, "base_url: must be https"),
        ({"base_url": "https://vendor.example/?a=b"}, "base_url: must be https"),
        ({"names": {"ExternalOrderID": "Ref"}}, "names: there is no `ExternalOrderID`"),
        ({"names": {"Value": "Denomination"}}, "names: two fields have the same name"),
        ({"paths": {"buy": "x"}}, "paths: there is no `buy`; there are token, brands"),
        ({"plain_answers": ("all",)}, "plain_answers: there is no `all`"),
        ({"refusals": {"0000": "success"}}, "refusals: a code other than 0000"),
        ({"refusals": {"ER1": " "}}, "refusals: a code other than 0000"),
    ],
)
def test_a_section_that_cannot_be_meant(changed: dict[str, Any], told: str) -> None:
    """Said when the file is read, by field."""
    with pytest.raises(ValueError, match=told):
        section(**changed)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"aes_key": Secret("short")}, "aes_key: must be of 32"),
        ({"aes_iv": Secret("short")}, "aes_iv: must be of 16"),
        ({"password": Secret("pässword")}, "password: must be fit for a header"),
        ({"username": "two\nlines"}, "username: must be fit for a header"),
    ],
)
async def test_a_secret_that_cannot_be_used(changed: dict[str, Any], told: str) -> None:
    """Said when the adapter is opened, and without the secret."""
    with pytest.raises(ConfigError, match=told) as raised:
        async with open_vendor(section(**changed), toolbox(Path())):
            pass
    assert "pässword" not in str(raised.value)


def test_the_core_knows_no_more_than_it_is_told() -> None:
    """The traits, each proven by the conformance kit; the cautious one has the plain name."""
    first, *others = starship_voucherkart.register_vendor_fulfillers()
    assert (first.name, first.traits.duplicates) == ("voucherkart", "unsafe")
    assert (first.traits.lookup, first.traits.partial, first.traits.max_units) == (True, True, 10)
    assert first.traits.currencies == {"INR"}
    for other in others:
        assert replace(other.traits, duplicates="unsafe") == first.traits
        assert issubclass(other.config, msgspec.Struct)
