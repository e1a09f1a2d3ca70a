import pytest
import starship_policy_limits

from starship_core.testing.policies import PolicyCase, PolicyConformance


@pytest.fixture(params=["AskOperator", "Refuse"])
def case(request: pytest.FixtureRequest) -> PolicyCase:
    """With every limit that there is."""
    (registration,) = starship_policy_limits.register_fulfil_policies()
    return PolicyCase(
        registration=registration,
        section={
            "face_per_order": {"GBP": "60.00", "JPY": "9000"},
            "face_per_client_day": {"GBP": "100"},
            "margin_floor_percent": "5",
            "hours": ["mon-fri 08:00-18:00", "sat 22:00-02:00"],
            "beyond": request.param,
        },
    )


class TestLimits(PolicyConformance):
    """policy-limits."""
