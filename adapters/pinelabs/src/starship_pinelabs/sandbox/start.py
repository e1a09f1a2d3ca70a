"""What `starship sandbox pinelabs` starts."""

from __future__ import annotations

from typing import Any

from litestar import Litestar

from starship_pinelabs.sandbox.app import sandbox_app
from starship_pinelabs.sandbox.world import GOODS, OUTCOMES, World


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
        "username": settings.username,
        "password": settings.password,
        "category": "121",
        "firstname": "Asha",
        "lastname": "Rao",
        "email": "orders@example.com",
        "telephone": "+919800000001",
    }


def greeting(world: World, url: str) -> list[str]:
    """How to be let in, and what each product does."""
    settings = world.settings
    return [
        f"client_id {settings.client_id}, client_secret {settings.client_secret}",
        f"username {settings.username}, password {settings.password}, category 121",
        f"purchases are counted at {url}/_sandbox/purchases",
        *(f"  {one.sku}: {OUTCOMES[one.outcome].about}" for one in GOODS),
    ]
