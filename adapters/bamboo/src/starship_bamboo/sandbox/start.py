"""What `starship sandbox bamboo` starts."""

from __future__ import annotations

from typing import Any

from litestar import Litestar

from starship_bamboo.sandbox.app import sandbox_app
from starship_bamboo.sandbox.goods import GOODS, OUTCOMES
from starship_bamboo.sandbox.world import World


def start(url: str) -> tuple[Litestar, list[str], dict[str, Any]]:
    """The application, what is printed at its start, and the section that is let in."""
    world = World()
    return sandbox_app(world), greeting(world, url), section(world, url)


def section(world: World, url: str) -> dict[str, Any]:
    """The section `[vendors.NAME]` that is let in."""
    settings = world.settings
    return {
        "base_url": url,
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "account_id": next(iter(world.accounts)),
    }


def greeting(world: World, url: str) -> list[str]:
    """How to be let in, and what each product does."""
    accounts = ", ".join(
        f"{one.id} ({one.balance} {one.currency})" for one in world.accounts.values() if one.active
    )
    return [
        f"client_id {world.settings.client_id}, client_secret {world.settings.client_secret}",
        f"accounts {accounts}",
        f"purchases are counted at {url}/_sandbox/purchases",
        *(f"  {one.id}  {one.name}: {OUTCOMES[one.outcome].about}" for one in GOODS),
    ]
