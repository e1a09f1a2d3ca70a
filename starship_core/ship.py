"""Ship: the assembled deployment, a frozen record that is passed explicitly to whoever needs it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from starship_core.access import Access
from starship_core.catalogue import Catalogue
from starship_core.clock import Clock, micros, utc_now
from starship_core.config import Config
from starship_core.database import Database, Tx, opened
from starship_core.fx import Rates
from starship_core.instances import Instance, open_instance
from starship_core.limits import Limits
from starship_core.operators import Operators
from starship_core.plugins import Plugins, find
from starship_core.pool import Pool
from starship_core.ports import (
    FulfilPolicy,
    InventorySource,
    Notifier,
    VendorFulfiller,
    WalletBackend,
)
from starship_core.registration import (
    PolicyRegistration,
    Toolbox,
    VendorRegistration,
    VendorTraits,
)
from starship_core.store.slots import database_time as database_clock
from starship_core.throttle import Throttle
from starship_core.till import Till
from starship_core.tokens import SharedTokens
from starship_core.vault import Vault


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A vendor instance: how it is called, and what its plugin says of it."""

    name: str
    """The instance's, ours: `bamboo-eu`."""
    plugin: str
    port: VendorFulfiller
    traits: VendorTraits


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy instance: who is asked whether a vendor may be bought from without an operator."""

    name: str
    """The instance's, ours: `products`."""
    plugin: str
    port: FulfilPolicy
    names_products: bool
    """Only then may it say Allow."""
    stuck: list[threading.Thread] = field(default_factory=list)
    """Threads in which it was given up on; those that ended since are taken off."""


@dataclass(frozen=True, kw_only=True)
class Ship:
    """Everything a flow may reach, typed. No lookups by name, no globals."""

    config: Config
    now: Clock
    database_time: Callable[[Tx], int]
    """Microseconds by the clock that all processes share; the injected one where there is one."""
    database: Database
    vault: Vault
    pool: Pool
    limits: Limits
    throttle: Throttle
    catalogue: Catalogue
    access: Access
    operators: Operators
    fx: Rates
    wallet: WalletBackend
    sources: Mapping[str, InventorySource]
    notifiers: Mapping[str, Notifier]
    vendors: Mapping[str, Vendor]
    policies: Mapping[str, Policy]
    plugins: Plugins
    till: Till[Any, Any] = field(default_factory=Till)
    short: set[str] = field(default_factory=set)
    """Accounts whose last order was refused for money: asked before the next one takes a lock."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        config: Config,
        *,
        now: Clock = utc_now,
        redis_url: str | None = None,
        database_time: Callable[[Tx], int] | None = None,
    ) -> AsyncIterator[Ship]:
        """Assemble what it names, connecting to no vendor. Raises ConfigError, PluginError.

        `redis_url` wins over the file's, `database_time` over an injected `now` as SQL's clock.
        """
        plugins = find(config)
        vault = Vault.open(config.folder / config.vault.keys)
        pool = Pool(redis_url or config.redis.url, prefix=config.deployment.name)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(pool.close)
            database = await stack.enter_async_context(_database(config))
            toolbox = partial(toolbox_for, config=config, database=database, now=now, vault=vault)
            ports = await _opened(plugins.instances, stack, toolbox)
            yield cls(
                config=config,
                now=now,
                database_time=database_time or _shared_clock(now),
                database=database,
                vault=vault,
                pool=pool,
                limits=Limits(pool.attempt, prefix=config.deployment.name),
                throttle=Throttle(pool.attempt, prefix=config.deployment.name),
                catalogue=Catalogue(database, now),
                access=Access(database, vault, now, environment=config.deployment.environment),
                operators=Operators(database, environment=config.deployment.environment),
                fx=Rates(ports["fx", "fx"], database, now, max_age=_max_age(config)),
                wallet=ports["wallet", "wallet"],
                sources=_of_kind("source", ports),
                notifiers=_of_kind("notifier", ports),
                vendors=_vendors(plugins, ports),
                policies=_policies(plugins, ports),
                plugins=plugins,
            )


def _vendors(plugins: Plugins, ports: Mapping[tuple[str, str], Any]) -> dict[str, Vendor]:
    return {
        one.instance_name: Vendor(
            name=one.instance_name,
            plugin=one.plugin,
            port=ports["vendor", one.instance_name],
            traits=one.registration.traits,
        )
        for one in plugins.instances
        if isinstance(one.registration, VendorRegistration)
    }


def _policies(plugins: Plugins, ports: Mapping[tuple[str, str], Any]) -> dict[str, Policy]:
    return {
        one.instance_name: Policy(
            name=one.instance_name,
            plugin=one.plugin,
            port=ports["policy", one.instance_name],
            names_products=one.registration.names_products,
        )
        for one in plugins.instances
        if isinstance(one.registration, PolicyRegistration)
    }


def _database(config: Config) -> AbstractAsyncContextManager[Database]:
    section = config.database
    return opened(section.url, folder=config.folder, connections=section.connections)


def _max_age(config: Config) -> timedelta:
    return timedelta(hours=config.pricing.fx_max_age_hours)


def _shared_clock(now: Clock) -> Callable[[Tx], int]:
    return database_clock if now is utc_now else lambda _tx: micros(now())


async def _opened(
    instances: Iterable[Instance], stack: AsyncExitStack, toolbox: Callable[[str], Toolbox]
) -> dict[tuple[str, str], Any]:
    """The port of every instance by its kind and name, open until the stack is unwound."""
    return {
        (instance.kind, instance.instance_name): await stack.enter_async_context(
            open_instance(instance, toolbox(instance.instance_name))
        )
        for instance in instances
    }


def _of_kind(kind: str, ports: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    return {name: port for (each, name), port in ports.items() if each == kind}


def toolbox_for(
    instance: str, config: Config, *, database: Database, now: Clock, vault: Vault
) -> Toolbox:
    """What a plugin is opened with as this instance."""
    log = structlog.get_logger("starship.plugin").bind(instance=instance)
    return Toolbox(
        instance=instance,
        environment=config.deployment.environment,
        now=now,
        log=log.info,
        database=database,
        data_dir=config.folder / "data" / instance,
        folder=config.folder,
        tokens=SharedTokens(instance, database=database, vault=vault, now=now),
    )
