"""Acme's adapter under the vendor kit."""

import pytest
from starship_core import Money
from starship_core.testing.vendors import Line, VendorCase, VendorConformance

import starship_acme
from starship_acme.sandbox import World, sandbox_app

KEY = "FAKE-FAKE-0001"


@pytest.fixture
def case() -> VendorCase:
    """What the sandbox sells: two coffees; and something rare that is sold out."""
    (registration,) = starship_acme.register_vendor_fulfillers()
    return VendorCase(
        registration=registration,
        section={"api_key": KEY},
        good=Line("COFFEE", Money.of("25", "EUR"), 2),
        rejected=Line("RARE", Money.of("10", "GBP"), 1),
        sandbox=lambda: sandbox_app(World(api_key=KEY)),
        source="Acme's documentation",
        secret_keys=frozenset({"code", "pin"}),
    )


class TestAcme(VendorConformance):
    """As recorded."""
