"""What `starship sandbox voucherkart` starts."""

from __future__ import annotations

from litestar import Litestar

from starship_voucherkart.sandbox.app import sandbox_app
from starship_voucherkart.sandbox.goods import GOODS, OUTCOMES
from starship_voucherkart.sandbox.world import World


def start(url: str) -> tuple[Litestar, list[str]]:
    """The application, and what is printed at its start."""
    world = World()
    return sandbox_app(world), greeting(world, url)


def greeting(world: World, url: str) -> list[str]:
    """How to be let in, and what each product does."""
    settings = world.settings
    return [
        f"username {settings.username}, password {settings.password}",
        f"aes_key {settings.aes_key}, aes_iv {settings.aes_iv}",
        f"the same order id again: {settings.duplicates}",
        f"purchases are counted at {url}/_sandbox/purchases",
        *(f"  {one.code}: {OUTCOMES[one.outcome].about}" for one in GOODS),
    ]
