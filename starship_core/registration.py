"""What a hook hands over: a name, the plugin API it was written for, a config type, and how to open
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from starship_core.model import Environment, Secret, Token
from starship_core.ports import (
    Database,
    FulfilPolicy,
    FxProvider,
    InventorySource,
    Notifier,
    Tokens,
    VendorFulfiller,
    WalletBackend,
)

PLUGIN_API = 1
"""The plugin API this core speaks.

A registration names it as a literal, so that it cannot agree by accident.
"""

ConfigT = TypeVar("ConfigT")
PortT = TypeVar("PortT")


class OwnTokens:
    """`Tokens` of one process alone, forgotten with it: where no deployment shares them."""

    def __init__(self) -> None:
        self._held: dict[str, Secret] = {}
        self._fetching = asyncio.Lock()

    async def get(
        self, name: str, fetch: Callable[[], Awaitable[Token]], *, stale: Secret | None = None
    ) -> Secret:
        async with self._fetching:
            if name not in self._held or self._held[name] == stale:
                self._held.pop(name, None)
                self._held[name] = (await fetch()).value
            return self._held[name]


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """All that a plugin gets from the core when opened; it may gain fields, never lose them."""

    instance: str
    """The section's name in `starship.toml`, ours: `bamboo-eu`."""
    environment: Environment
    now: Callable[[], datetime]
    """The clock: aware UTC. A plugin asks no other."""
    log: Callable[..., None]
    """`log("stock.rejected", row=7)`: an event with ids; never a payload, never a code."""
    database: Database
    data_dir: Path
    """A folder of the deployment's own for files a plugin must keep."""
    folder: Path = Path()
    """The configuration's: what relative paths in a section are relative to."""
    tokens: Tokens = field(default_factory=OwnTokens)
    """A vendor's tokens, one for all processes of the deployment, encrypted at rest."""


@dataclass(frozen=True, kw_only=True)
class Registration(Generic[ConfigT, PortT]):
    """One plug of one kind. Declaring it imports nothing heavy and opens nothing."""

    kind: ClassVar[str]
    name: str
    """What a deployer writes after `use =`."""
    api: int
    """The plugin API it was written for, as a literal: `api=1`."""
    config: type[ConfigT]
    """A msgspec Struct (`frozen=True, forbid_unknown_fields=True`): the section, typed."""
    open: Callable[[ConfigT, Toolbox], AbstractAsyncContextManager[PortT]]
    """Never touches the network; heavy imports happen here, not at the top of the module."""

    def facts(self) -> Mapping[str, Any]:
        """What it says of itself beyond name and config, for `starship plugins`."""
        return {}


class SourceRegistration(Registration[ConfigT, InventorySource]):
    """An inventory source."""

    kind = "source"


class Rate(NamedTuple):
    """At most `calls` in any `seconds`."""

    calls: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ReferenceRule:
    """What a vendor accepts as our reference; it is derived from our ids and never truncated."""

    form: Literal["guid", "uuid4", "text"] = "text"
    longest: int = 32
    alphabet: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"


Ability = Literal["balance", "callbacks", "orders", "reversal"]
ABILITIES: Mapping[Ability, str] = {
    "balance": "balance",
    "callbacks": "reference",
    "orders": "orders",
    "reversal": "reverse",
}
"""The method of each: of `BalanceReporting`, `ReadsCallbacks`, `ListsOrders`, `Reversing`."""


@dataclass(frozen=True, kw_only=True)
class VendorTraits:
    """A vendor's facts; every default is the cautious one, and the conformance kit proves each
    claim.
    """

    duplicates: Literal["unsafe", "rejects", "replays"] = "unsafe"
    """What the same reference twice does."""
    lookup: bool = False
    """`find` exists and finds by our reference."""
    settle_seconds: float = 60.0
    buy_timeout: float = 60.0
    delayed_codes: bool = False
    partial: bool = False
    max_units: int = 1
    reference: ReferenceRule = field(default_factory=ReferenceRule)
    currencies: frozenset[str] = frozenset()
    rate_limits: Mapping[str, Rate] = field(default_factory=dict)
    abilities: frozenset[Ability] = frozenset()
    """What it can do beyond the port: tell our balance, read callbacks, list orders, reverse."""


class Saying(NamedTuple):
    """A word of the vendor's, a status or an error, and what the adapter makes of it."""

    word: str
    """As it stands in answers; several are separated by commas."""
    meaning: str
    becomes: Literal["Bought", "Accepted", "Refused", "None", "Unavailable", "Ambiguous"]
    """What `buy` or `find` answers or raises."""
    then: str = ""
    """When the same purchase may succeed, or what has to be done."""


@dataclass(frozen=True, kw_only=True)
class VendorRegistration(Registration[ConfigT, VendorFulfiller]):
    """A vendor fulfiller, its traits, and for who runs a server, how it reads the vendor."""

    kind = "vendor"
    traits: VendorTraits = field(default_factory=VendorTraits)
    statuses: Sequence[Saying] = ()
    """How an order stands, in the vendor's words."""
    errors: Sequence[Saying] = ()
    """What the vendor says instead of an order."""

    def facts(self) -> Mapping[str, Any]:
        return {"traits": self.traits}


class FxRegistration(Registration[ConfigT, FxProvider]):
    """An exchange-rate provider."""

    kind = "fx"


@dataclass(frozen=True, kw_only=True)
class WalletRegistration(Registration[ConfigT, WalletBackend]):
    """A wallet backend; `migrations` is the package of its Alembic scripts
    (`starship_x:migrations`).
    """

    kind = "wallet"
    migrations: str | None = None

    def facts(self) -> Mapping[str, Any]:
        return {"migrations": self.migrations}


class NotifierRegistration(Registration[ConfigT, Notifier]):
    """A notifier."""

    kind = "notifier"


@dataclass(frozen=True, kw_only=True)
class PolicyRegistration(Registration[ConfigT, FulfilPolicy]):
    """A fulfilment policy; `names_products`: its config lists the products it may allow."""

    kind = "policy"
    names_products: bool = False

    def facts(self) -> Mapping[str, Any]:
        return {"names_products": self.names_products}
