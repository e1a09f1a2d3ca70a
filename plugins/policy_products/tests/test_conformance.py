import pytest
import starship_policy_products

from starship_core.testing.policies import PolicyCase, PolicyConformance


@pytest.fixture
def case() -> PolicyCase:
    """Two products are named."""
    (registration,) = starship_policy_products.register_fulfil_policies()
    return PolicyCase(
        registration=registration,
        section={"allow_auto_vendor_fulfill": [310, 311]},
        named=(310, 311),
    )


class TestProducts(PolicyConformance):
    """policy-products."""
