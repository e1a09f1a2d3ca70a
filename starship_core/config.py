"""`starship.toml` + `{env=…}`/`{file=…}` → typed Structs. Every problem is reported, none is guessed away."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from starship_core.model import Environment


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Root of every section of the core: a misspelt field is refused by name."""


class DeploymentSection(Section, frozen=True):
    """`[deployment]`"""

    name: str = "starship"
    environment: Environment = "test"


class DatabaseSection(Section, frozen=True):
    """`[database]`"""

    url: str = "sqlite:///starship.db"
    """`sqlite:///file` (relative to the configuration's folder) or `postgresql://user@host/name`."""
    connections: int = 10
    """At most this many per process (PostgreSQL), or reader threads (SQLite)."""


class RedisSection(Section, frozen=True):
    """`[redis]`"""

    url: str | None = None
    """`redis://…` or `unix://…`; left out: the embedded server that `starship up` brings along."""


class ServerSection(Section, frozen=True):
    """`[server]`"""

    host: str = "127.0.0.1"
    port: int = 8080
    trusted_proxies: list[str] = field(default_factory=list)
    """Addresses or CIDRs whose X-Forwarded-For is believed, from the right."""
    require_signatures: bool | None = None
    """For new credentials; left out: yes in a live deployment, no in a test one."""


class VaultSection(Section, frozen=True):
    """`[vault]`"""

    keys: str = "keys"
    """Folder of key files (mode 0600), apart from the database; relative to the configuration's folder."""


class PluginsSection(Section, frozen=True):
    """`[plugins]`"""

    enabled: list[str] = field(default_factory=list)
    """Entry-point names; installed is not enabled."""


class PricingSection(Section, frozen=True):
    """`[pricing]`: percentages as decimal strings."""

    discount: Decimal = Decimal(0)
    """Used when neither the client nor the product has one."""
    handling_percent: Decimal = Decimal(0)
    convenience_percent: Decimal = Decimal(0)
    conversion_percent: Decimal = Decimal(0)
    """The FX surcharge; only where currencies differ."""
    tax_percent: Decimal = Decimal(0)
    """On the fees."""
    fx_max_age_hours: int = 48
    """Rates older than this are not priced with."""
    quote_seconds: int = 300


class LimitsSection(Section, frozen=True):
    """`[limits]`: calls a minute, per client unless said otherwise."""

    orders: int = 6000
    reads: int = 12000
    failed_authentications: int = 30
    """Per address and key."""


class RetrySection(Section, frozen=True):
    """`[retry]`"""

    auto: bool = False
    """DISABLE_AUTO_ORDER_RETRY=true is the default; the environment variable of that name wins."""


class Config(Struct, frozen=True, kw_only=True):
    """The whole file, resolved. Plugin sections stay raw until their registration's own type reads them."""

    path: Path
    """Of the file; its folder is what relative paths are relative to."""
    deployment: DeploymentSection = DeploymentSection()
    database: DatabaseSection = DatabaseSection()
    redis: RedisSection = RedisSection()
    server: ServerSection = ServerSection()
    vault: VaultSection = VaultSection()
    plugins: PluginsSection = PluginsSection()
    pricing: PricingSection = PricingSection()
    limits: LimitsSection = LimitsSection()
    retry: RetrySection = RetrySection()
    wallet: dict[str, Any] = field(default_factory=dict)
    """`[wallet] use = "wallet-ledger"`"""
    fx: dict[str, Any] = field(default_factory=dict)
    """`[fx] use = "fx-fixed"`"""
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    vendors: dict[str, dict[str, Any]] = field(default_factory=dict)
    notifiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.path.parent
