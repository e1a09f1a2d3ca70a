"""What the vendor kit checks on recorded answers: a vendor that works as documented."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from starship_core import Accepted, Ambiguous, Bought, Money, Refused, Voucher
from starship_core.testing.cassettes import exchanges, facts_of
from starship_core.testing.kit import Conformance
from starship_core.testing.network import without_network
from starship_core.testing.scrub import assert_clean, unsealed
from starship_core.testing.stage import Stage

STRANGER = "stranger"


class PurchaseChecks(Conformance):
    """Each plays its own cassette, every answer once, and nothing may be left over."""

    pytestmark = pytest.mark.asyncio

    async def test_buys_what_was_ordered(self, stage: Stage) -> None:
        """As many vouchers as ordered, each with a code.

        If this fails: map every unit of the vendor's answer to a `Voucher`, and only sold ones.
        """
        purchase = stage.purchase()
        async with stage.vendor() as vendor:
            reply = await stage.bought(vendor, purchase)
        assert isinstance(reply, Bought), f"the good purchase ended as {type(reply).__name__}"
        assert len(reply.vouchers) == purchase.quantity
        assert reply.final, "all of it has come"
        assert [one.reference for one in reply.vouchers if not _codes(one)] == []

    async def test_vouchers_have_the_value_that_was_sold(self, stage: Stage) -> None:
        """Value and currency are the vendor's word, in minor units, under our product.

        If this fails: make the `Sku` from the answer, with `Money.of`, and never with a float.
        """
        tape = stage.tape
        purchase = tape.purchase()
        async with tape.vendor() as vendor:
            reply = await tape.bought(vendor, purchase)
        assert {one.sku for one in getattr(reply, "vouchers", ())} == {purchase.sku}

    async def test_vouchers_have_names_of_their_own(self, stage: Stage) -> None:
        """Two units never share a `reference`: the second would be taken for the first.

        If this fails: use the vendor's id of the card, or its place in the order.
        """
        tape = stage.tape
        async with tape.vendor() as vendor:
            reply = await tape.bought(vendor, tape.purchase())
        names = [one.reference for one in getattr(reply, "vouchers", ())]
        assert len(set(names)) == len(names)
        assert "" not in names

    async def test_what_was_charged_is_money(self, stage: Stage) -> None:
        """A positive amount, or None when the vendor does not tell.

        If this fails: `charged` is what we paid, in the account's currency, rounded up.
        """
        tape = stage.tape
        async with tape.vendor() as vendor:
            reply = await tape.bought(vendor, tape.purchase())
        charged = getattr(reply, "charged", None)
        assert charged is None or (isinstance(charged, Money) and charged.minor > 0)

    async def test_the_reference_travels(self, stage: Stage) -> None:
        """The vendor knows the purchase by our reference.

        If this fails: send `purchase.reference`, unshortened, where the vendor deduplicates.
        """
        tape = stage.tape
        sent = tape.purchase().reference.lower()
        assert [one for one, _ in exchanges(tape.file) if sent in _whole(tape, one)]

    async def test_find_tells_what_buy_bought(self, stage: Stage) -> None:
        """The same vouchers each time it is asked, for as long as the vendor keeps them.

        If this fails: `find` translates the same answer as `buy`, with the same references.
        """
        if not stage.case.registration.traits.lookup:
            return
        purchase = stage.purchase()
        async with stage.vendor() as vendor:
            bought = await stage.bought(vendor, purchase)
            found = await stage.ended(vendor, purchase)
        assert found is not None
        assert found == bought

    async def test_find_knows_no_stranger(self, stage: Stage) -> None:
        """None for a reference that the vendor never saw.

        If this fails: map the vendor's word for "no such order" to None, and nothing else.
        """
        if not stage.case.registration.traits.lookup:
            return
        async with stage.vendor() as vendor:
            assert await stage.call(vendor.find(stage.purchase("good", STRANGER))) is None

    async def test_find_buys_nothing(self, stage: Stage) -> None:
        """The request that buys goes out once, however often the order is looked up.

        If this fails: `find` sends what `buy` sends; look up instead.
        """
        tape = stage.tape
        asked = [_request(tape, one) for one, _ in exchanges(tape.file)]
        first = next((one for one in asked if tape.purchase().reference.lower() in one), asked[0])
        assert asked.count(first) == 1

    async def test_a_refusal_is_refused(self, stage: Stage) -> None:
        """The vendor's no, by status and body, is `Refused`, with a reason.

        If this fails: list the vendor's words of refusal; what is not listed is `Ambiguous`.
        """
        async with stage.vendor() as vendor:
            reply = await stage.bought(vendor, stage.purchase("rejected"))
        assert isinstance(reply, Refused)
        assert reply.reason.strip()

    async def test_the_same_reference_twice(self, stage: Stage) -> None:
        """As `duplicates` says: `rejects` is Ambiguous (the first may have bought), never Refused;
        `replays` gives what was bought the first time.

        If this fails: correct the trait, or map the vendor's duplicate error to `Ambiguous`.
        """
        declared = stage.case.registration.traits.duplicates
        if declared == "unsafe":
            return
        purchase = stage.purchase()
        async with stage.vendor() as vendor:
            first = await stage.call(vendor.buy(purchase))
            if declared == "rejects":
                with pytest.raises(Ambiguous):
                    await stage.call(vendor.buy(purchase))
                return
            assert await stage.call(vendor.buy(purchase)) == first

    async def test_delayed_codes(self, stage: Stage) -> None:
        """An adapter that may answer `Accepted` says so, and one that says so does.

        If this fails: set `delayed_codes` to what `buy` does.
        """
        line = "delayed" if stage.case.delayed or "delayed" in stage.facts.lines else "good"
        purchase = stage.purchase(line)
        async with stage.vendor() as vendor:
            reply = await stage.call(vendor.buy(purchase))
            late = isinstance(reply, Accepted)
            ended = await stage.bought_later(vendor, purchase) if late else reply
        assert late == stage.case.registration.traits.delayed_codes
        assert isinstance(ended, Bought)

    async def test_a_part(self, stage: Stage) -> None:
        """Of a purchase that succeeds in part, what was sold: not everything, not nothing.

        If this fails: leave out the units that failed; `final` says that no more will come.
        """
        if not stage.case.registration.traits.partial:
            return
        purchase = stage.purchase("partial")
        async with stage.vendor() as vendor:
            reply = await stage.bought(vendor, purchase)
        assert isinstance(reply, Bought)
        assert reply.final
        assert 0 < len(reply.vouchers) < purchase.quantity

    async def test_too_many_units_are_not_sent(self, stage: Stage) -> None:
        """One more than `max_units` is refused before a byte is sent.

        If this fails: return `Refused` at the top of `buy`.
        """
        tape = stage.tape
        most = stage.case.registration.traits.max_units
        purchase = msgspec.structs.replace(tape.purchase(), quantity=most + 1)
        async with tape.opened(tape.facts.url) as vendor:
            with without_network():
                assert isinstance(await stage.call(vendor.buy(purchase)), Refused)

    async def test_two_at_once_do_not_mix(self, stage: Stage) -> None:
        """Each purchase gets its own vouchers.

        If this fails: keep nothing of a call on the adapter; everything is in the purchase.
        """
        both = [stage.purchase("good", name) for name in ("one", "two")]
        async with stage.vendor() as vendor:
            replies = await asyncio.gather(*(stage.bought(vendor, one) for one in both))
        one, two = ({code for v in getattr(r, "vouchers", ()) for code in _codes(v)}
                    for r in replies)  # fmt: skip
        assert one
        assert two
        assert one.isdisjoint(two)

    async def test_the_catalogue(self, stage: Stage) -> None:
        """It lists the good product once, with exact values that admit the purchase.

        If this fails: yield one `VendorProduct` a product, with `Decimal`s from the answer's text.
        """
        line = stage.line("good")
        async with stage.vendor() as vendor:
            products = [one async for one in vendor.catalogue()]
        names = [one.vendor_product for one in products]
        assert len(set(names)) == len(names)
        (good,) = [one for one in products if one.vendor_product == line.product]
        assert isinstance(good.minimum, Decimal)
        assert isinstance(good.maximum, Decimal)
        assert good.minimum <= line.face.amount <= good.maximum
        assert good.currency == line.face.currency

    async def test_currencies(self, stage: Stage) -> None:
        """A vendor that names its currencies sells the good purchase in one of them.

        If this fails: add the currency to the traits, or leave `currencies` empty.
        """
        declared = stage.case.registration.traits.currencies
        assert not declared or stage.case.good.face.currency in declared

    async def test_the_balance(self, stage: Stage) -> None:
        """One amount a currency, for who can tell it (`BalanceReporting`).

        If this fails: sum up or choose; the core adds nothing.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "balance"):
                return
        async with stage.vendor() as vendor:
            amounts = await stage.call(vendor.balance())
        assert amounts
        assert all(isinstance(one, Money) for one in amounts)
        assert len({one.currency for one in amounts}) == len(amounts)

    async def test_cassettes_are_clean(self, stage: Stage) -> None:
        """Nothing is committed but fakes.

        If this fails: add the key to the case's `secret_keys`, and record again.
        """
        folder = stage.tape.file.parent
        assert_clean(folder, stage.case.secret_keys, envelopes=stage.case.envelopes)

    async def test_cassettes_say_where_they_come_from(self, stage: Stage) -> None:
        """A sandbox, or the vendor.

        If this fails: record with `pytest --record-mode=rewrite`, not by hand.
        """
        told = {facts_of(file)[0] for file in stage.tape.file.parent.glob("*.yaml")}
        assert told
        assert all(one.startswith(stage.case.name) for one in told)


def _codes(voucher: Voucher) -> list[str]:
    parts = (voucher.card_number, voucher.pin_code, voucher.claim_url)
    return [part.reveal() for part in parts if part is not None]


def _whole(tape: Stage, request: Any) -> str:
    return f"{_request(tape, request)} {dict(request.headers)}".lower()


def _request(tape: Stage, request: Any) -> str:
    """Address and body, with what is sealed in it."""
    body = unsealed((request.body or b"").decode(errors="replace"), tape.case.envelopes)
    return f"{request.method} {request.uri} {body}".lower()
