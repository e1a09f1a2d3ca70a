"""`python -m starship_voucherkart.sandbox --port 9103`"""

from __future__ import annotations

import argparse
import sys
from typing import get_args

import uvicorn

from starship_voucherkart.sandbox.app import sandbox_app
from starship_voucherkart.sandbox.start import greeting
from starship_voucherkart.sandbox.world import Duplicates, Settings, World


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m starship_voucherkart.sandbox", description=__doc__
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9103)
    parser.add_argument(
        "--duplicates",
        choices=get_args(Duplicates),
        default="rejects",
        help="what the same order id does a second time",
    )
    asked = parser.parse_args()
    world = World(Settings(duplicates=asked.duplicates))
    url = f"http://{asked.host}:{asked.port}"
    lines = [f"A sandbox like VoucherKart at {url}", *greeting(world, url), ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
    uvicorn.run(sandbox_app(world), host=asked.host, port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
