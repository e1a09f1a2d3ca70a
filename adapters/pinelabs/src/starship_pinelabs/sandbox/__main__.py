"""`python -m starship_pinelabs.sandbox --port 9102`"""

from __future__ import annotations

import argparse
import sys

import uvicorn

from starship_pinelabs.sandbox.app import sandbox_app
from starship_pinelabs.sandbox.world import GOODS, OUTCOMES, World


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m starship_pinelabs.sandbox", description=__doc__
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9102)
    asked = parser.parse_args()
    world = World()
    sys.stdout.write(_greeting(world, f"http://{asked.host}:{asked.port}"))
    sys.stdout.flush()
    uvicorn.run(sandbox_app(world), host=asked.host, port=asked.port, log_level="warning")


def _greeting(world: World, url: str) -> str:
    settings = world.settings
    lines = [
        f"Pine Labs' sandbox at {url}",
        f"client_id {settings.client_id}, client_secret {settings.client_secret}",
        f"username {settings.username}, password {settings.password}, category 121",
        f"purchases are counted at {url}/_sandbox/purchases",
        *(f"  {one.sku}: {OUTCOMES[one.outcome].about}" for one in GOODS),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
