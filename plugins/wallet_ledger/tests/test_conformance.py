import pytest
import starship_wallet_ledger

from starship_core.testing.wallets import WalletCase, WalletConformance


@pytest.fixture
def case() -> WalletCase:
    """There is nothing to set."""
    (registration,) = starship_wallet_ledger.register_wallet_backends()
    return WalletCase(registration=registration)


class TestLedger(WalletConformance):
    """wallet-ledger, on both databases."""
