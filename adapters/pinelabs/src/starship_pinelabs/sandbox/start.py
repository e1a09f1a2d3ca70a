"""What `starship sandbox pinelabs` starts."""

from __future__ import annotations

from litestar import Litestar

from starship_pinelabs.sandbox.app import sandbox_app
from starship_pinelabs.sandbox.world import GOODS, OUTCOMES, World


def start(url: str) -> tuple[Litestar, list[str]]:
    """The application, and what is printed at its start."""
    world = World()
    return sandbox_app(world), greeting(world, url)


def greeting(world: World, url: str) -> list[str]:
    """How to be let in, and what each product does."""
    settings = world.settings
    return [
        f"client_id {settings.client_id}, client_secret {settings.client_secret}",
        f"username {settings.username}, password {settings.password}, category 121",
        f"purchases are counted at {url}/_sandbox/purchases",
        *(f"  {one.sku}: {OUTCOMES[one.outcome].about}" for one in GOODS),
    ]
