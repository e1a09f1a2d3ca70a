"""The sections of `starship.toml`, and `load`: every problem is reported, none is guessed away."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field, structs

from starship_core.config_file import Place, Reader, suggestion
from starship_core.config_section import Count, Section
from starship_core.config_telling import (
    EventsSection,
    NoticesSection,
    ReconcileSection,
    WebhooksSection,
)
from starship_core.errors import ConfigError
from starship_core.model import Environment

Port = Annotated[int, Meta(ge=0, le=65535)]
Preference = Literal["priority", "cheapest", "health"]


class DeploymentSection(Section, frozen=True):
    """`[deployment]`"""

    name: str = "starship"
    """Tells deployments apart that share a Redis."""
    environment: Environment = "test"
    """`live` or `test`: keys of the other kind are refused, and a test one is less strict."""


class DatabaseSection(Section, frozen=True):
    """`[database]`"""

    url: str = "sqlite:///starship.db"
    """`sqlite:///file` (relative to the configuration's folder) or `postgresql://user@host/name`."""
    connections: Count = 10
    """At most this many per process (PostgreSQL), or reader threads (SQLite)."""


class RedisSection(Section, frozen=True):
    """`[redis]`"""

    url: str | None = None
    """`redis://…` or `unix://…`; left out: the embedded server that `starship up` brings along."""


class ServerSection(Section, frozen=True):
    """`[server]`"""

    host: str = "127.0.0.1"
    port: Port = 8080
    """0: any free one; it is printed at the start."""
    trusted_proxies: list[str] = field(default_factory=list)
    """Addresses or CIDRs whose X-Forwarded-For is believed, from the right."""
    require_signatures: bool | None = None
    """For new credentials; left out: yes in a live deployment, no in a test one."""
    notice_seconds: Annotated[int, Meta(ge=0, le=300)] = 0
    """After the order to stop, orders are still taken for so long while `/ready` says 503
    `draining`: a load balancer sends elsewhere before the port closes.
    """

    def __post_init__(self) -> None:
        for text in self.trusted_proxies:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError(
                    f"trusted_proxies: {text} is neither an address nor a network (10.0.0.0/8)"
                ) from None


class VaultSection(Section, frozen=True):
    """`[vault]`"""

    keys: str = "keys"
    """Folder of key files (mode 0600), apart from the database; relative to the file."""


class PluginsSection(Section, frozen=True):
    """`[plugins]`"""

    enabled: list[str] = field(default_factory=list)
    """Entry-point names; installed is not enabled."""


class PricingSection(Section, frozen=True):
    """`[pricing]`: percentages as decimal strings."""

    discount: Decimal = Decimal(0)
    """Used when neither the client nor the product has one."""
    handling_percent: Decimal = Decimal(0)
    """A fee on what remains after the discount, as is the next one."""
    convenience_percent: Decimal = Decimal(0)
    conversion_percent: Decimal = Decimal(0)
    """The FX surcharge; only where currencies differ."""
    tax_percent: Decimal = Decimal(0)
    """On the fees."""
    fx_max_age_hours: Count = 48
    """Rates older than this are not priced with."""
    quote_seconds: Count = 300
    """How long a quoted price holds."""

    def __post_init__(self) -> None:
        for info in structs.fields(self):
            value = getattr(self, info.name)
            if isinstance(value, Decimal) and not 0 <= value <= 100:
                raise ValueError(f"{info.name}: {value} is not a percentage between 0 and 100")


class LimitsSection(Section, frozen=True):
    """`[limits]`: calls a minute, per client unless said otherwise."""

    orders: Count = 6000
    """POST /orders."""
    reads: Count = 12000
    """Everything else."""
    failed_authentications: Count = 30
    """Per address and key; of operators' tokens, per address."""
    operators: Count = 600
    """Calls of the operators' API, per token."""
    callbacks: Count = 600
    """POST /vendors/NAME/callback, per address."""


class RetrySection(Section, frozen=True):
    """`[retry]`"""

    auto: bool = False
    """Waiting orders look in the pool again by themselves, never at a vendor. The default is
    DISABLE_AUTO_ORDER_RETRY=true; the environment variable of that name wins.
    """


class BuyingSection(Section, frozen=True):
    """`[buying]`: from vendors, once that was approved."""

    prefer: Preference = "priority"
    """Which vendor of a product comes first: `priority` (the lowest number of `starship vendor
    map`), `cheapest` (by the cost last seen), `health` (the fewest failures of late). What is equal
    by it is ordered by the others. Whoever is switched off is left out; whose breaker is open comes
    last.
    """
    prefer_by_product: dict[str, Preference] = field(default_factory=dict)
    """The same for single products, by their code."""
    breaker_failures: Annotated[int, Meta(ge=1, le=1000)] = 5
    """So many calls of one vendor and operation that fail (no answer, or an unclear one; a refusal
    is none) within `breaker_window_seconds` open its breaker: no further call is made.
    """
    breaker_window_seconds: Count = 60
    """In which those failures are counted."""
    breaker_rest_seconds: Count = 120
    """So long after it opened, one call at a time is let through; one that succeeds closes it."""
    limit_patience_seconds: Annotated[float, Meta(ge=0, le=25)] = 5.0
    """A call over the vendor's rate limit waits so long for its turn, else it is tried later. A
    purchase's lease leaves 30 seconds for it.
    """


class Config(Struct, frozen=True, kw_only=True):
    """The whole file, resolved. Plugin sections stay raw until their registration reads them."""

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
    events: EventsSection = EventsSection()
    webhooks: WebhooksSection = WebhooksSection()
    notices: NoticesSection = NoticesSection()
    buying: BuyingSection = BuyingSection()
    reconcile: ReconcileSection = ReconcileSection()
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

    @property
    def webhook_notifier(self) -> str | None:
        """The notifier that sends webhooks; None: there is none, and events only are in feeds."""
        return self.events.webhooks or ("webhooks" if "webhooks" in self.notifiers else None)

    @property
    def operator_notifiers(self) -> list[str]:
        """Those that tell operators."""
        default = [each for each in self.notifiers if each == "operators"]
        return default if self.events.operators is None else self.events.operators

    @property
    def live(self) -> bool:
        return self.deployment.environment == "live"


NAMED: Final = ("sources", "vendors", "notifiers", "policies")
"""Sections of sections: `[vendors.bamboo-eu]`."""
SINGLE: Final = ("wallet", "fx")
"""Plugin sections of which there is one."""
AUTO_RETRY_OFF: Final = "DISABLE_AUTO_ORDER_RETRY"
_TRUTH: Final = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read, resolve and check the file. Raises ConfigError with everything that is wrong in it."""
    reader = Reader(path=path, environ=os.environ if environ is None else environ)
    document = reader.document(named=NAMED)
    known = {info.name: info.type for info in structs.fields(Config) if info.name != "path"}
    read: dict[str, Any] = {}
    problems = reader.problems
    for name, table in document.items():
        if name not in known:
            text = f"there is no such section{suggestion(name, known)}"
            problems.append(f"{path}: [{name}]: {text}")
        elif not isinstance(table, dict):
            problems.append(f"{path}: [{name}]: must be a section, with fields below it")
        elif name in NAMED + SINGLE:
            read[name] = table
            problems += _not_tables(path, name, table)
        else:
            read[name], wrong = Place(file=path, section=name).fit(table, known[name])
            problems += wrong
    auto, wrong = _auto_retry(reader.environ)
    problems += wrong
    if problems:
        raise ConfigError(problems)
    if auto is not None:
        read["retry"] = structs.replace(read.get("retry", RetrySection()), auto=auto)
    config = Config(path=path.absolute(), **read)
    if problems := _unknown_notifiers(config):
        raise ConfigError(problems)
    return config


def _unknown_notifiers(config: Config) -> list[str]:
    """What `[events]` names and is not there, or cannot be both."""
    transport, place = config.webhook_notifier, f"{config.path}: [events]"
    named = [("webhooks", transport)] if transport else []
    named += [("operators", each) for each in config.operator_notifiers]
    problems = [
        f"{place} {field}: there is no [notifiers.{name}]{suggestion(name, config.notifiers)}"
        for field, name in named
        if name not in config.notifiers
    ]
    if transport in config.operator_notifiers:
        problems.append(f"{place} operators: {transport} sends webhooks; name another notifier")
    return problems


def _not_tables(path: Path, name: str, table: dict[str, Any]) -> list[str]:
    return [
        f"{path}: [{name}] {key}: must be a section of its own, [{name}.{key}]"
        for key, value in table.items()
        if name in NAMED and not isinstance(value, dict)
    ]


def _auto_retry(environ: Mapping[str, str]) -> tuple[bool | None, list[str]]:
    """What the environment says of `[retry] auto`; None: nothing."""
    text = environ.get(AUTO_RETRY_OFF, "")
    if not text:
        return None, []
    off = _TRUTH.get(text.lower())
    if off is None:
        return None, [f"environment: {AUTO_RETRY_OFF}: {text} is neither true nor false"]
    return not off, []
