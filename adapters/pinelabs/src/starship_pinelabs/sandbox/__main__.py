"""`python -m starship_pinelabs.sandbox --port 9102`"""

from __future__ import annotations

import argparse
import sys

import uvicorn

from starship_pinelabs.sandbox.app import sandbox_app
from starship_pinelabs.sandbox.start import greeting
from starship_pinelabs.sandbox.world import World


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m starship_pinelabs.sandbox", description=__doc__
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9102)
    asked = parser.parse_args()
    world = World()
    url = f"http://{asked.host}:{asked.port}"
    sys.stdout.write("\n".join([f"Pine Labs' sandbox at {url}", *greeting(world, url), ""]))
    sys.stdout.flush()
    uvicorn.run(sandbox_app(world), host=asked.host, port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
