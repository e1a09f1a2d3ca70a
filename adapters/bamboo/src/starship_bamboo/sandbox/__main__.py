"""`python -m starship_bamboo.sandbox --port 9101`"""

from __future__ import annotations

import argparse
import sys

import uvicorn

from starship_bamboo.sandbox.app import sandbox_app
from starship_bamboo.sandbox.start import greeting
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
    url = f"http://{asked.host}:{asked.port}"
    sys.stdout.write("\n".join([f"Bamboo's sandbox at {url}", *greeting(world, url), ""]))
    sys.stdout.flush()
    uvicorn.run(sandbox_app(world), host=asked.host, port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
