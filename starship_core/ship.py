"""Ship: the assembled deployment, a frozen record that is passed explicitly to whoever needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starship_core.access import Access
from starship_core.catalogue import Catalogue
from starship_core.clock import Clock
from starship_core.config import Config
from starship_core.database import Database
from starship_core.fx import Rates
from starship_core.limits import Limits
if TYPE_CHECKING:
    from starship_core.plugins import Plugins
from starship_core.pool import Pool
from starship_core.ports import InventorySource, WalletBackend
from starship_core.till import Till
from starship_core.vault import Vault


@dataclass(frozen=True, kw_only=True)
class Ship:
    """Everything a flow may reach, typed. No lookups by name, no globals."""

    config: Config
    now: Clock
    database: Database
    vault: Vault
    pool: Pool
    limits: Limits
    catalogue: Catalogue
    access: Access
    fx: Rates
    wallet: WalletBackend
    sources: Mapping[str, InventorySource]
    plugins: Plugins
    till: Till
