"""The adapter for Pine Labs under the vendor kit."""

import pytest
import starship_pinelabs
from starship_pinelabs.sandbox import Settings, World, sandbox_app

from starship_core import Money
from starship_core.testing.vendors import Line, VendorCase, VendorConformance

SECRET = "FAKE-FAKE-0001"
PASSWORD = "FAKE-FAKE-0002"


@pytest.fixture
def case() -> VendorCase:
    """Of the products of the vendor's own sandbox."""
    (registration,) = starship_pinelabs.register_vendor_fulfillers()
    return VendorCase(
        registration=registration,
        section={
            "client_id": "sandbox-client",
            "client_secret": SECRET,
            "username": "sandbox-user",
            "password": PASSWORD,
            "category": "121",
            "firstname": "Asha",
            "lastname": "Rao",
            "email": "asha@example.com",
            "telephone": "+919800000001",
            "page_size": 4,
            "page_seconds": 0,
        },
        good=Line("CNPIN", Money.of("1000", "INR"), 2),
        rejected=Line("DISABLEDSTS", Money.of("500", "INR")),
        delayed=Line("GOOGLEPLAYGCB2B", Money.of("500", "INR")),
        sandbox=lambda: sandbox_app(World(Settings(client_secret=SECRET, password=PASSWORD))),
        source="a partner's transcription of Woohoo REST v3, and the official signature samples",
        secret_keys=frozenset(
            {
                "activationCode", "activationUrl", "authorizationCode", "cardNumber", "cardPin",
                "clientSecret", "password", "token", "value",
            }
        ),
    )  # fmt: skip


class TestPineLabs(VendorConformance):
    """As recorded."""
