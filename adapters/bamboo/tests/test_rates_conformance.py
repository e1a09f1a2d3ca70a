from decimal import Decimal

import pytest
import starship_bamboo
from starship_bamboo.sandbox import Settings, World, sandbox_app

from starship_core.testing.rates import FxCase, FxConformance

SECRET = "FAKE-FAKE-0001"


@pytest.fixture
def case() -> FxCase:
    """What the sandbox quotes."""
    (registration,) = starship_bamboo.register_fx_providers()
    return FxCase(
        registration=registration,
        section={"client_id": "sandbox-client", "client_secret": SECRET},
        base="USD",
        rates={"AED": Decimal("3.6725"), "INR": Decimal("83.1")},
        other="AED",
        service=lambda: sandbox_app(World(Settings(client_secret=SECRET, limits=False))),
    )


class TestBambooRates(FxConformance):
    """bamboo-rates."""
