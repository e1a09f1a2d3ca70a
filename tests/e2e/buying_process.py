"""A worker's process that buys what is due, for a test that stops it right before its request.

Arguments: the deployment's folder and the vendor's address. When its purchase is SENT and it had
its turn at the vendor's rate limit, it makes a file `sent` and stops itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from starship_core import vendor_guard
from starship_core.buying import proof
from starship_core.config import load
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.ship import Ship
from tests.e2e.counting_vendor import at_counter


async def main(folder: Path, address: str) -> None:
    turn = vendor_guard._turn

    async def stopped(*asked: Any) -> None:
        await turn(*asked)
        (folder / "sent").touch()
        os.kill(os.getpid(), signal.SIGSTOP)

    vendor_guard._turn = stopped  # type: ignore[assignment]  # takes the same
    proof.PATIENCE = proof.MARGIN = proof.SECOND // 2  # type: ignore[misc]  # 45 s are long
    async with Ship.open(load(folder / "starship.toml", {})) as ship:
        await sweep_purchases(replace(ship, vendors=at_counter(address)))
        (folder / "woken").touch()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
