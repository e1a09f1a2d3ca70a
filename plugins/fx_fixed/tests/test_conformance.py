from decimal import Decimal

import pytest
import starship_fx_fixed

from starship_core.testing.rates import FxCase, FxConformance


@pytest.fixture
def case() -> FxCase:
    """Rates as a deployer writes them."""
    (registration,) = starship_fx_fixed.register_fx_providers()
    return FxCase(
        registration=registration,
        section={"rates": {"EUR": "0.920", "JPY": "151.37"}},
        base="USD",
        rates={"EUR": Decimal("0.920"), "JPY": Decimal("151.37")},
        other="EUR",
    )


class TestFixed(FxConformance):
    """fx-fixed."""
