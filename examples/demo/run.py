"""`make demo`: the whole story over real HTTP, told step by step; every claim is checked.

Started by a person it stays up at the end, with the addresses on screen. Without a terminal, or
with EXIT=1 in the environment, it ends by itself. Exit status 1: something claimed was not so.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from time import perf_counter

import buying
import deciding
import outage
import story
from reckoning import reckon
from reconciling import reconciled
from server import Deployment
from story import Scene
from telling import Teller, Untrue


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the server, too
    teller = Teller()
    began = perf_counter()
    # under the system's folder for such things: a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="starship-demo-") as parent:
        server = Deployment(Path(parent) / "shop", teller)
        try:
            tell(Scene(teller, server))
        except (Untrue, RuntimeError, OSError) as fault:
            teller.console.print(f"\n[bold red]The story is not true:[/] {fault}", markup=True)
            return 1
        except KeyboardInterrupt:
            return 130
        seconds = perf_counter() - began
    print(f"\n{teller.checked} claims, all true, in {seconds:.0f} seconds.")
    return 0


CHAPTERS = (
    story.stock_and_clients,
    buying.assortment,
    story.wait_until_seen,
    story.hit_and_replay,
    story.miss_and_retry,
    buying.answered_too_late,
    buying.approved,
    buying.refused,
    deciding.allowed,
    buying.found,
    outage.outage,
    story.bulk,
    story.cancel,
    story.strangers,
    story.one_after_another,
    story.rush,
    buying.counted,
    reconciled,
    reckon,
)
"""In order. The vendor that does not answer comes early: it calls back some seconds later."""


def tell(scene: Scene) -> None:
    """From an empty folder to the last table."""
    teller, server = scene.teller, scene.server
    with teller.chapter(
        "A server out of nothing",
        "Configuration, keys, database; then server, Redis, worker and vendors in one command.",
    ):
        teller.does("starship init shop --with-sandboxes")
        folder, server.folder = server.folder, server.folder.parent
        server.quietly("init", folder.name, "--with-sandboxes")
        server.folder = folder
        (folder / "vouchers").mkdir(exist_ok=True)
        buying.configured(scene)
        deciding.configured(scene)
        server.sets("notices", "low_balance", {"JPY": "8000000"})
        teller.does("starship up --with-sandboxes")
    with server.up():
        teller.sees(f"vendors to try things at: {', '.join(server.vendors)}")
        teller.sees(f"{server.url}, its API described at {server.url}/docs")
        for chapters in CHAPTERS:
            chapters(scene)
        if stays():
            stay(scene)


def stays() -> bool:
    """Whether a person started this and may want to look around."""
    return os.environ.get("EXIT") != "1" and sys.stdin.isatty() and sys.stdout.isatty()


def stay(scene: Scene) -> None:
    """Until Ctrl-C."""
    url, acme = scene.server.url, scene.customers["acme"]
    scene.teller.console.print(
        f"\nStill up. The API, described: {url}/docs\n"
        f"Ready? {url}/ready   Metrics: {url}/metrics\n\n"
        "To order as acme, in another terminal:\n"
        f"  export STARSHIP_URL={url} STARSHIP_API_KEY={acme.key}\n"
        f"  export STARSHIP_API_SECRET={acme.secret}\n"
        f"  export STARSHIP_SIGNING_SECRET={acme.signing_secret}\n"
        "  python examples/client/starship_client.py list coffee\n\n"
        f"To look at it as an operator: cd {scene.server.folder}\n"
        "Ctrl-C ends it, and nothing is left behind.",
        soft_wrap=True,
        markup=False,
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
