"""Bamboo's adapter under the vendor kit."""

from collections.abc import Mapping

import msgspec
import pytest
import starship_bamboo
from starship_bamboo.sandbox import Settings, World, sandbox_app

from starship_core import Money
from starship_core.testing.vendors import Line, VendorCase, VendorConformance

SECRET = "FAKE-FAKE-0001"
SHARED = "FAKE-FAKE-0002"


def callback(reference: str) -> tuple[Mapping[str, str], bytes]:
    """As Bamboo sends it: not signed, the secret in clear."""
    body = {"requestId": reference.upper(), "secretKey": SHARED, "status": "succeeded"}
    return {"content-type": "application/json"}, msgspec.json.encode(body)


@pytest.fixture
def case() -> VendorCase:
    """What the sandbox sells: two cards; one that is sold out; two of which one fails."""
    (registration,) = starship_bamboo.register_vendor_fulfillers()
    return VendorCase(
        registration=registration,
        section={
            "client_id": "sandbox-client",
            "client_secret": SECRET,
            "account_id": 4001,
            "callback_secret": SHARED,
            "page_size": 2,
            "page_seconds": 0,
        },
        good=Line("910001", Money.of("50", "AED"), 2),
        rejected=Line("910004", Money.of("20", "AED"), 1),
        partial=Line("920005", Money.of("25", "INR"), 2),
        sandbox=lambda: sandbox_app(World(Settings(client_secret=SECRET, limits=False))),
        source="Bamboo's documentation",
        secret_keys=frozenset({"cardCode", "pin", "serialNumber", "secretKey"}),
        callback=callback,
    )


class TestBamboo(VendorConformance):
    """As recorded."""
