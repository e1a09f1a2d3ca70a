"""`python -m starship_bamboo.sandbox --port 9101`"""

from __future__ import annotations

import argparse
import sys

import uvicorn

from starship_bamboo.sandbox.app import sandbox_app
from starship_bamboo.sandbox.goods import GOODS, OUTCOMES
from starship_bamboo.sandbox.world import Settings, World


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m starship_bamboo.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--client-id", default=Settings.client_id)
    parser.add_argument("--client-secret", default=Settings.client_secret)
    parser.add_argument("--no-limits", action="store_true", help="answer as often as asked")
    asked = parser.parse_args()
    settings = Settings(
        client_id=asked.client_id, client_secret=asked.client_secret, limits=not asked.no_limits
    )
    world = World(settings)
    sys.stdout.write(_greeting(world, f"http://{asked.host}:{asked.port}"))
    sys.stdout.flush()
    uvicorn.run(sandbox_app(world), host=asked.host, port=asked.port, log_level="warning")


def _greeting(world: World, url: str) -> str:
    accounts = ", ".join(
        f"{one.id} ({one.balance} {one.currency})" for one in world.accounts.values() if one.active
    )
    lines = [
        f"Bamboo's sandbox at {url}",
        f"client_id {world.settings.client_id}, client_secret {world.settings.client_secret}",
        f"accounts {accounts}",
        f"purchases are counted at {url}/_sandbox/purchases",
        *(f"  {one.id}  {one.name}: {OUTCOMES[one.outcome].about}" for one in GOODS),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
