"""The vendor kit: what we promise about vendors, as checks that every adapter inherits.

    @pytest.fixture
    def case() -> VendorCase:
        return VendorCase(registration=…, section={…}, good=Line(…), rejected=Line(…), …)


    class TestAcme(VendorConformance):
        \"\"\"Acme, as recorded.\"\"\"

That is an adapter's whole test of its port. `pytest --record-mode=rewrite` records the cassettes
against the case's sandbox, or against the vendor when `STARSHIP_VENDOR_ACME_BASE_URL` and its
credentials are in the environment; every other run plays them, with the network blocked.
"""

from __future__ import annotations

from starship_core.testing.case import Line, VendorCase
from starship_core.testing.plug_facts import PlugChecks
from starship_core.testing.scrub import Envelope, assert_clean, fake
from starship_core.testing.stage import Stage
from starship_core.testing.vendor_abilities import AbilityChecks
from starship_core.testing.vendor_callbacks import CallbackChecks
from starship_core.testing.vendor_facts import FactChecks
from starship_core.testing.vendor_faults import FaultChecks
from starship_core.testing.vendor_purchases import PurchaseChecks

__all__ = [
    "Envelope",
    "Line",
    "Stage",
    "VendorCase",
    "VendorConformance",
    "assert_clean",
    "fake",
]


class VendorConformance(
    PlugChecks, FactChecks, PurchaseChecks, AbilityChecks, CallbackChecks, FaultChecks
):
    """Inherit it with an empty body. Needs the fixture `case`."""
