"""What the vendor kit checks of what an adapter can do beyond buying and looking up."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from starship_core import Accepted, Bought, Refused, Unavailable
from starship_core.registration import ABILITIES
from starship_core.testing.kit import Conformance
from starship_core.testing.player import (
    CUT,
    GARBAGE,
    SERVER_ERRORS,
    TOO_MANY,
    Fault,
    going_wrong,
)
from starship_core.testing.stage import Stage

_DAY = timedelta(days=1)
_FAULTS = (*CUT, SERVER_ERRORS[0], *GARBAGE, TOO_MANY)


class AbilityChecks(Conformance):
    """Each is another Protocol, for who has its method; the traits name them."""

    pytestmark = pytest.mark.asyncio

    async def test_abilities_are_declared(self, stage: Stage) -> None:
        """What the traits name it can do, and what it can do they name: deployers choose by them.

        If this fails: set `abilities` in the traits to what the adapter's class has methods for.
        """
        async with stage.opened_anywhere() as vendor:
            able = {name for name, method in ABILITIES.items() if hasattr(vendor, method)}
        assert stage.case.registration.traits.abilities == able

    async def test_orders_are_listed(self, stage: Stage) -> None:
        """A purchase is in the list of its time once, under our reference, as sold (`ListsOrders`):
        reconciliation holds our books against it.

        If this fails: map one `VendorOrder` an order, and ask for the whole time, its ends as well.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "orders"):
                return
        purchase = stage.purchase()
        at = datetime.fromisoformat(stage.facts.now)
        async with stage.vendor() as vendor:
            reply = await stage.bought(vendor, purchase)
            listed = await stage.call(vendor.orders(at - _DAY, at + _DAY))
        assert isinstance(reply, Bought)
        (ours,) = [one for one in listed if one.reference == purchase.reference]
        assert (ours.quantity, ours.failed) == (purchase.quantity, False)
        assert ours.charged is None or ours.charged.minor > 0

    @pytest.mark.parametrize("fault", _FAULTS, ids=lambda fault: fault.name)
    async def test_a_list_of_orders_that_fails_is_unavailable(
        self, stage: Stage, fault: Fault
    ) -> None:
        """Never a list with fewer orders: what is not in it would be taken for not bought.

        If this fails: raise `Unavailable` for whatever is not the documented list.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "orders"):
                return
        tape = stage.tape
        at = datetime.fromisoformat(tape.facts.now)
        async with going_wrong(fault) as player, tape.against(player) as vendor:
            with pytest.raises(Unavailable):
                await stage.call(vendor.orders(at - _DAY, at + _DAY))

    async def test_a_reversal_is_looked_up(self, stage: Stage) -> None:
        """`reverse` says that it is under way (Accepted) or that it stays bought (Refused); what
        became of it is told by `find`, which then says Refused, or what was bought (`Reversing`).

        If this fails: never answer `reverse` as if it had ended; map the vendor's *cancelled*.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "reverse"):
                return
        purchase = stage.purchase()
        async with stage.vendor() as vendor:
            bought = await stage.bought(vendor, purchase)
            reply = await stage.call(vendor.reverse(purchase))
            found = await stage.ended(vendor, purchase)
        assert isinstance(reply, Accepted | Refused)
        if isinstance(reply, Accepted):
            assert isinstance(found, Refused)
        else:
            assert found == bought
