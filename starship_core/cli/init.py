"""`starship init`: a new deployment in an empty folder."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from starship_core.cli.console import Call, making, warnings_only
from starship_core.cli.folder import fresh
from starship_core.errors import PluginError

if TYPE_CHECKING:
    from starship_core.cli.demo import Demo
    from starship_core.config import Config
    from starship_core.config_template import Plugged

STANDARD: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "wallet-ledger": ("wallet", {}),
    "fx-fixed": (
        "fx",
        {
            "base": "USD",
            "rates": {
                "AED": "3.6725",
                "AUD": "1.5",
                "EUR": "0.92",
                "GBP": "0.79",
                "INR": "83",
                "JPY": "150",
                "KWD": "0.307",
            },
        },
    ),
    "source-csv": ("sources.vouchers", {"folder": "vouchers"}),
    "notify-webhook": ("notifiers.webhooks", {}),
}
"""The plugins of a new deployment: entry point → section, and what is written there."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--demo", is_flag=True, help="Add products, vouchers, and a client with money.")
@click.option(
    "--with-sandboxes",
    is_flag=True,
    help="Add each installed vendor that has a sandbox, at a free port of this machine.",
)
@making
def init(call: Call, folder: Path, demo: bool, with_sandboxes: bool) -> None:  # noqa: FBT001  # flags of the command line
    """Write a new deployment: configuration, keys, database.

    The folder must not exist yet, or be empty. What --demo adds: a product that always delivers,
    one that never does, one that delivers a part; and a client whose secrets are shown once.
    `starship up --with-sandboxes` runs what --with-sandboxes adds.

    \b
    Examples:
      starship init shop
      starship init shop --demo
      starship init shop --demo --json
      starship init shop --with-sandboxes
    """
    with fresh(folder):
        config = _configured(folder, with_sandboxes=with_sandboxes)
        with call.progress("database and keys"), warnings_only():
            asyncio.run(_founded(config))
            filled = _filled(config) if demo else None
    document = {"folder": folder, "config": config.path, "demo": filled and filled.document()}
    call.answer(document, "\n".join(_next_steps(folder, filled, with_sandboxes=with_sandboxes)))


def _configured(folder: Path, *, with_sandboxes: bool) -> Config:
    """Write the file and read it back, so that what was written is known to be in order."""
    from starship_core.config import load
    from starship_core.config_template import template

    name = folder.resolve().name
    plugged = {**STANDARD, **(_sandboxed() if with_sandboxes else {})}
    values: dict[str, dict[str, Any]] = {
        "deployment": {
            "name": name if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) else "starship",
            "environment": "test",
        },
        "plugins": {"enabled": list(plugged)},
    }
    file = folder / "starship.toml"
    file.write_text(template(values, _plugged(plugged)), encoding="utf-8")
    return load(file)


def _sandboxed() -> dict[str, tuple[str, dict[str, Any]]]:
    """A vendor for each sandbox there is, with what lets it in."""
    from starship_core.sandboxes import installed, start

    names = [one.name for one in installed()]
    with ExitStack() as stack:  # all at once, so that no two get the same port
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        urls = [f"http://127.0.0.1:{port.getsockname()[1]}" for port in ports]
    return {
        name: (f"vendors.{name}", dict(start(name, url).section))
        for name, url in zip(names, urls, strict=True)
    }


def _plugged(wanted: Mapping[str, tuple[str, dict[str, Any]]]) -> list[Plugged]:
    from starship_core.config_template import Plugged
    from starship_core.plugins import take

    survey = take(list(wanted), place="starship init")
    if survey.problems:
        raise PluginError(
            [*survey.problems, "a new deployment needs them: pip install 'starship-core[standard]'"]
        )
    registrations = {one.name: one.registrations for one in survey.installed}
    return [
        Plugged(section, registration.name, registration.config, values)
        for name, (section, values) in wanted.items()
        for registration in registrations[name]
        if registration.name == values.get("use", name)
    ]


async def _founded(config: Config) -> None:
    """Keys first: a database without them could never be opened."""
    from starship_core import schema
    from starship_core.database import opened
    from starship_core.plugins import find
    from starship_core.vault import create_keys

    packages = find(config).migrations()
    (config.folder / "vouchers").mkdir(mode=0o700)  # the codes in it are plain text
    create_keys(config.folder / config.vault.keys)
    async with opened(config.database.url, folder=config.folder, connections=1) as database:
        await schema.upgrade(database, packages)


def _filled(config: Config) -> Demo:
    from starship_core.cli.demo import fill

    return asyncio.run(fill(config))


def _next_steps(folder: Path, demo: Demo | None, *, with_sandboxes: bool) -> list[str]:
    lines = [
        f"{folder}: configuration, keys and database are there.",
        "keys/ decrypts the vouchers: back it up, apart from the database.",
        "",
        "Next:",
        f"  cd {folder}",
        "  starship up --with-sandboxes" if with_sandboxes else "  starship up",
    ]
    return lines if demo is None else [*lines, "", demo.told()]
