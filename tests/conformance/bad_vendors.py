"""Adapters that are wrong in one thing each, made from Bamboo's, which is right."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec
import starship_bamboo
from starship_bamboo.config import BambooConfig
from starship_bamboo.sandbox import Settings, World, sandbox_app

from starship_core import (
    Accepted,
    Ambiguous,
    Bought,
    Money,
    Purchase,
    Rate,
    ReferenceRule,
    Refused,
    Unavailable,
    VendorOrder,
    VendorProduct,
)
from starship_core.testing.vendors import Line, VendorCase

FAKE = "FAKE-FAKE-0001"
SHARED = "FAKE-FAKE-0002"
LEFT_OPEN = AsyncExitStack()
(GOOD,) = starship_bamboo.register_vendor_fulfillers()


def callback(reference: str) -> tuple[Mapping[str, str], bytes]:
    """As Bamboo sends it."""
    return {}, msgspec.json.encode({"requestId": reference, "secretKey": SHARED})


CASE = VendorCase(
    registration=GOOD,
    section={
        "client_id": "sandbox-client",
        "client_secret": FAKE,
        "account_id": 4001,
        "callback_secret": SHARED,
        "page_size": 2,
        "page_seconds": 0,
    },
    good=Line("910001", Money.of("50", "AED"), 2),
    rejected=Line("910004", Money.of("20", "AED"), 1),
    partial=Line("920005", Money.of("25", "INR"), 2),
    sandbox=lambda: sandbox_app(World(Settings(client_secret=FAKE, limits=False))),
    source="Bamboo's documentation",
    secret_keys=frozenset({"cardCode", "pin", "serialNumber", "secretKey"}),
    callback=callback,
)


class Around:
    """Bamboo's adapter; a bad one replaces a method."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def buy(self, purchase: Purchase) -> Any:
        return await self.inner.buy(purchase)

    async def find(self, purchase: Purchase) -> Any:
        return await self.inner.find(purchase)

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        async for product in self.inner.catalogue():
            yield product

    async def balance(self) -> Sequence[Money]:
        return list(await self.inner.balance())

    async def orders(self, since: datetime, until: datetime) -> Sequence[VendorOrder]:
        return list(await self.inner.orders(since, until))

    def reference(self, headers: Mapping[str, str], body: bytes) -> str | None:
        told = self.inner.reference(headers, body)
        return None if told is None else str(told)


def acting(cls: type[Around]) -> VendorCase:
    """The case with an adapter of this class."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        async with GOOD.open(config, toolbox) as inner:
            yield cls(inner)

    return replace(CASE, registration=replace(GOOD, open=opened))


def claiming(**traits: Any) -> VendorCase:
    """The case with other traits."""
    return replace(CASE, registration=replace(GOOD, traits=replace(GOOD.traits, **traits)))


def configured(config: type[Any]) -> VendorCase:
    return replace(CASE, registration=replace(GOOD, config=config))


class Loose(BambooConfig, frozen=True, kw_only=True, forbid_unknown_fields=False):
    pass


class Plain(BambooConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    api_token: str = ""


class AnyAddress(BambooConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        pass


def eager() -> VendorCase:
    """Connects when it is opened for the first time."""
    tried: list[bool] = []

    @asynccontextmanager
    async def opened(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        if not tried:
            tried.append(True)
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", 1), timeout=1).close()
        async with GOOD.open(config, toolbox) as inner:
            yield inner

    return replace(CASE, registration=replace(GOOD, open=opened))


def leaking() -> VendorCase:
    """Never closes what it opened."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        yield await LEFT_OPEN.enter_async_context(GOOD.open(config, toolbox))

    return replace(CASE, registration=replace(GOOD, open=opened))


def once() -> VendorCase:
    """Opens only when nothing else of its kind is open."""
    taken: list[bool] = []

    @asynccontextmanager
    async def opened(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        assert not taken, "there is one already"
        taken.append(True)
        try:
            async with GOOD.open(config, toolbox) as inner:
                yield inner
        finally:
            taken.clear()

    return replace(CASE, registration=replace(GOOD, open=opened))


class Telling(Around):
    def __repr__(self) -> str:
        return f"Bamboo({FAKE})"


class PlainFind(Around):
    def find(self, purchase: Purchase) -> Awaitable[Any]:  # type: ignore[override]  # the fault
        return self.inner.find(purchase)  # type: ignore[no-any-return]


class Changed(Around):
    """Bought otherwise than the vendor said."""

    def other(self, reply: Bought) -> Bought:
        return reply

    async def find(self, purchase: Purchase) -> Any:
        reply = await self.inner.find(purchase)
        good = purchase.vendor_product == CASE.good.product
        return self.other(reply) if isinstance(reply, Bought) and good else reply


def change(other: Callable[[Bought], Bought]) -> VendorCase:
    return acting(type("Other", (Changed,), {"other": lambda _, reply: other(reply)}))


def each_voucher(**changed: Any) -> Callable[[Bought], Bought]:
    def other(reply: Bought) -> Bought:
        vouchers = tuple(msgspec.structs.replace(one, **changed) for one in reply.vouchers)
        return msgspec.structs.replace(reply, vouchers=vouchers)

    return other


class Renamed(Around):
    """Sends a reference of its own."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.names: dict[str, str] = {}

    def own(self, purchase: Purchase) -> Purchase:
        made = str(uuid5(NAMESPACE_OID, purchase.reference))
        self.names[made] = purchase.reference
        return msgspec.structs.replace(purchase, reference=made)

    async def orders(self, since: datetime, until: datetime) -> Sequence[VendorOrder]:
        return [
            msgspec.structs.replace(one, reference=self.names[one.reference])
            for one in await super().orders(since, until)
        ]

    async def buy(self, purchase: Purchase) -> Any:
        return await self.inner.buy(self.own(purchase))

    async def find(self, purchase: Purchase) -> Any:
        return await self.inner.find(self.own(purchase))


class Restless(Around):
    """Tells another serial each time."""

    looks = 0

    async def find(self, purchase: Purchase) -> Any:
        reply = await self.inner.find(purchase)
        self.looks += 1
        serial = {"voucher_reference_number": str(self.looks)}
        return each_voucher(**serial)(reply) if isinstance(reply, Bought) else reply


class Certain(Around):
    """Takes "no such order" for a refusal."""

    async def find(self, purchase: Purchase) -> Any:
        return await self.inner.find(purchase) or Refused(reason="not found")


class BuysAgain(Around):
    """Looks up what it bought by buying it again."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.sent: set[str] = set()

    async def buy(self, purchase: Purchase) -> Any:
        self.sent.add(purchase.reference)
        return await self.inner.buy(purchase)

    async def find(self, purchase: Purchase) -> Any:
        if purchase.reference in self.sent:
            with suppress(Ambiguous):
                await self.inner.buy(purchase)
        return await self.inner.find(purchase)


class Timid(Around):
    """Calls a refusal unclear."""

    async def buy(self, purchase: Purchase) -> Any:
        reply = await self.inner.buy(purchase)
        if isinstance(reply, Refused) and purchase.quantity == 1:
            raise Ambiguous(reply.reason)
        return reply


class NeverDone(Around):
    """Says of a part that more will come."""

    async def find(self, purchase: Purchase) -> Any:
        reply = await self.inner.find(purchase)
        if isinstance(reply, Bought) and len(reply.vouchers) < purchase.quantity:
            return msgspec.structs.replace(reply, final=False)
        return reply


class Remembers(Around):
    """Keeps what it bought on itself."""

    last: Bought | None = None

    async def find(self, purchase: Purchase) -> Any:
        reply = await self.inner.find(purchase)
        if not isinstance(reply, Bought):
            return reply
        self.last = self.last or reply
        return self.last


class Floating(Around):
    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        async for product in self.inner.catalogue():
            value: Any = float(product.maximum)
            yield msgspec.structs.replace(product, maximum=value)


class TwoBalances(Around):
    async def balance(self) -> Sequence[Money]:
        return 2 * list(await self.inner.balance())


class LineByLine(Around):
    """Lists an order once for each of its units."""

    async def orders(self, since: datetime, until: datetime) -> Sequence[VendorOrder]:
        listed = await super().orders(since, until)
        return [
            msgspec.structs.replace(one, quantity=1) for one in listed for _ in range(one.quantity)
        ]


class Hopeful(Around):
    """Takes a list that cannot be had for an empty one."""

    async def orders(self, since: datetime, until: datetime) -> Sequence[VendorOrder]:
        with suppress(Unavailable):
            return await super().orders(since, until)
        return []


class StaysBought(Around):
    """Takes nothing back, and says so."""

    said: Any = Refused(reason="it stays bought")

    async def reverse(self, _: Purchase) -> Any:
        return self.said


class TakenBack(StaysBought):
    """Says that a reversal is under way, of which the vendor never hears."""

    said = Accepted(vendor_reference=None)


class Shouting(Around):
    def reference(self, headers: Mapping[str, str], body: bytes) -> str | None:
        told = self.inner.reference(headers, body)
        return told and str(told).upper()


class Fragile(Around):
    def reference(self, headers: Mapping[str, str], body: bytes) -> str | None:
        json.loads(body)
        return super().reference(headers, body)


class Trusting(Around):
    def reference(self, headers: Mapping[str, str], body: bytes) -> str | None:
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            told = json.loads(body)["requestId"]
            return told if isinstance(told, str) else None
        return None


class Sorts(Around):
    """Calls an error by another name when its text has one of these words."""

    words: tuple[str, ...] = ()
    into: Callable[[Exception], Exception]

    async def buy(self, purchase: Purchase) -> Any:
        try:
            return await self.inner.buy(purchase)
        except (Ambiguous, Unavailable) as error:
            if not any(word in str(error) for word in self.words):
                raise
            other = type(self).into(error)
            other.raw = getattr(error, "raw", None)  # type: ignore[attr-defined]
        raise other


def sorting(into: Any, *words: str) -> VendorCase:
    return acting(type("Sorting", (Sorts,), {"words": words, "into": staticmethod(into)}))


def unavailable(_: Exception) -> Exception:
    return Unavailable("try again")


def ambiguous(_: Exception) -> Exception:
    return Ambiguous("who knows")


def forgetful(error: Exception) -> Exception:
    return _Bare(str(error))


class _Bare(Ambiguous):
    """Cannot be given what was answered."""

    @property
    def raw(self) -> None:
        return None

    @raw.setter
    def raw(self, _: object) -> None:
        pass


def chatty(error: Exception) -> Exception:
    raw = getattr(error, "raw", None)
    return Ambiguous(f"{error}: {raw.reveal() if raw else FAKE}")


class Retries(Around):
    async def buy(self, purchase: Purchase) -> Any:
        try:
            return await self.inner.buy(purchase)
        except Ambiguous as error:
            if "OrderAlreadyExists" in str(error):
                raise
            return await self.inner.buy(purchase)


class Hasty(Around):
    """Takes a lookup that failed for "no such order"."""

    async def find(self, purchase: Purchase) -> Any:
        with suppress(Unavailable, Ambiguous):
            return await self.inner.find(purchase)


class Talkative(Around):
    async def find(self, purchase: Purchase) -> Any:
        reply = await self.inner.find(purchase)
        for voucher in reply.vouchers if isinstance(reply, Bought) else ():
            if voucher.card_number is not None:
                logging.getLogger("bad").debug("bought %s", voucher.card_number.reveal())
        return reply


class Deaf(Around):
    async def buy(self, purchase: Purchase) -> Any:
        try:
            return await self.inner.buy(purchase)
        except asyncio.CancelledError:
            raise Ambiguous("cancelled") from None


BAD: dict[str, VendorCase] = {
    "registration_is_well_formed": replace(CASE, registration=replace(GOOD, api=2)),
    "config_refuses_a_misspelt_field": configured(Loose),
    "secrets_are_secrets": configured(Plain),
    "the_cases_secrets_are_fakes": replace(
        CASE, section={**CASE.section, "client_secret": "hunter2-hunter2"}
    ),
    "plain_http_is_refused": configured(AnyAddress),
    "opening_asks_nobody": eager(),
    "it_opens_again": once(),
    "opening_tells_no_secret": acting(Telling),
    "the_port_has_its_methods": acting(PlainFind),
    "limits_are_of_known_operations": claiming(rate_limits={"checkout": Rate(2, 1)}),
    "the_adapter_gives_up_before_the_core_does": claiming(buy_timeout=10.0),
    "buys_what_was_ordered": change(
        lambda reply: msgspec.structs.replace(reply, vouchers=reply.vouchers[:1])
    ),
    "vouchers_have_the_value_that_was_sold": change(
        lambda reply: each_voucher(
            sku=msgspec.structs.replace(reply.vouchers[0].sku, denomination=50)
        )(reply)
    ),
    "vouchers_have_names_of_their_own": change(each_voucher(reference="1")),
    "what_was_charged_is_money": change(
        lambda reply: msgspec.structs.replace(reply, charged=Money(0, "USD"))
    ),
    "find_tells_what_buy_bought": acting(Restless),
    "find_knows_no_stranger": acting(Certain),
    "a_refusal_is_refused": acting(Timid),
    "the_same_reference_twice": claiming(duplicates="replays"),
    "delayed_codes": claiming(delayed_codes=False),
    "a_part": acting(NeverDone),
    "too_many_units_are_not_sent": claiming(max_units=499),
    "two_at_once_do_not_mix": acting(Remembers),
    "the_catalogue": acting(Floating),
    "currencies": claiming(currencies=frozenset({"USD"})),
    "the_balance": acting(TwoBalances),
    "abilities_are_declared": claiming(abilities=frozenset({"balance", "callbacks"})),
    "orders_are_listed": acting(LineByLine),
    "a_list_of_orders_that_fails_is_unavailable": acting(Hopeful),
    "a_callback_names_our_reference": acting(Shouting),
    "a_broken_callback_names_nothing": acting(Fragile),
    "a_callback_without_its_secret_names_nothing": acting(Trusting),
    "a_refused_connection_is_unavailable": sorting(ambiguous, "cannot be reached"),
    "too_many_requests_is_unavailable": sorting(ambiguous, "rate limit"),
    "unauthorised_is_unavailable": sorting(ambiguous, "credentials"),
    "no_answer_is_ambiguous": sorting(unavailable, "ReadTimeout"),
    "a_cut_connection_is_ambiguous": sorting(unavailable, "RemoteProtocolError", "ReadError"),
    "a_server_error_is_ambiguous": sorting(unavailable, "HTTP 5"),
    "an_unreadable_200_is_ambiguous": sorting(unavailable, "something else"),
    "an_unlisted_answer_is_ambiguous": sorting(unavailable, "HTTP 2", "HTTP 3", "HTTP 4"),
    "a_purchase_is_sent_once": acting(Retries),
    "what_is_unclear_is_kept": sorting(forgetful, "HTTP", "something else"),
    "a_lookup_that_fails_proves_nothing": acting(Hasty),
    "errors_tell_no_secret": sorting(chatty, "no answer"),
    "a_purchase_tells_no_secret": acting(Talkative),
    "a_cancelled_purchase_stops": acting(Deaf),
    "closing_leaves_nothing_open": leaking(),
}
"""The check's name → the adapter that only this check fails."""

RECORDED: dict[str, VendorCase] = {
    "the_reference_travels": acting(Renamed),
    "find_buys_nothing": acting(BuysAgain),
}
"""Adapters that send something else, so that their cassettes are recorded first."""


def reversing(cls: type[StaysBought]) -> VendorCase:
    """The case with an adapter that can take orders back, as Bamboo's cannot."""
    registration = acting(cls).registration
    traits = replace(
        GOOD.traits, abilities=frozenset({"balance", "callbacks", "orders", "reversal"})
    )
    return replace(CASE, registration=replace(registration, traits=traits))


SHORT = ReferenceRule(form="text", longest=3)
