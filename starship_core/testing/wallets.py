"""The kit of wallet backends: what we promise about balances, on both databases.

Its checks need the fixture `database` of `starship_core.testing.fixtures`
(`pytest -p starship_core.testing.fixtures`): real ones, with the tables of what is installed.
"""

from __future__ import annotations

from starship_core.testing.books import Books, WalletCase
from starship_core.testing.plug_facts import PlugChecks
from starship_core.testing.wallet_accounts import AccountChecks, ConcurrencyChecks
from starship_core.testing.wallet_entries import EntryChecks
from starship_core.testing.wallet_reports import ReportChecks

__all__ = ["Books", "WalletCase", "WalletConformance"]


class WalletConformance(PlugChecks, AccountChecks, EntryChecks, ConcurrencyChecks, ReportChecks):
    """Inherit it with an empty body. Needs the fixture `case`."""
