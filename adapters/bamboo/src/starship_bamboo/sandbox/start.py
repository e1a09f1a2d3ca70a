"""What `starship sandbox bamboo` starts."""

from __future__ import annotations

from litestar import Litestar

from starship_bamboo.sandbox.app import sandbox_app
from starship_bamboo.sandbox.goods import GOODS, OUTCOMES
from starship_bamboo.sandbox.world import World


def start(url: str) -> tuple[Litestar, list[str]]:
    """The application, and what is printed at its start."""
    world = World()
    return sandbox_app(world), greeting(world, url)


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
