"""`starship init`: a new deployment in an empty folder."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
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
@making
def init(call: Call, folder: Path, demo: bool) -> None:  # noqa: FBT001  # a flag of the command line
    """Write a new deployment: configuration, keys, database.

    The folder must not exist yet, or be empty. What --demo adds: a product that always delivers,
    one that never does, one that delivers a part; and a client whose secrets are shown once.

    \b
    Examples:
      starship init shop
      starship init shop --demo
      starship init shop --demo --json
    """
    with fresh(folder):
        config = _configured(folder)
        with call.progress("database and keys"), warnings_only():
            asyncio.run(_founded(config))
            filled = _filled(config) if demo else None
    document = {"folder": folder, "config": config.path, "demo": filled and filled.document()}
    call.answer(document, "\n".join(_next_steps(folder, filled)))


def _configured(folder: Path) -> Config:
    """Write the file and read it back, so that what was written is known to be in order."""
    from starship_core.config import load
    from starship_core.config_template import template

    name = folder.resolve().name
    values: dict[str, dict[str, Any]] = {
        "deployment": {
            "name": name if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) else "starship",
            "environment": "test",
        },
        "plugins": {"enabled": list(STANDARD)},
    }
    file = folder / "starship.toml"
    file.write_text(template(values, _plugged()), encoding="utf-8")
    return load(file)


def _plugged() -> list[Plugged]:
    from starship_core.config_template import Plugged
    from starship_core.plugins import take

    survey = take(list(STANDARD), place="starship init")
    if survey.problems:
        raise PluginError(
            [*survey.problems, "a new deployment needs them: pip install 'starship-core[standard]'"]
        )
    registrations = {one.name: one.registrations for one in survey.installed}
    return [
        Plugged(section, registration.name, registration.config, values)
        for name, (section, values) in STANDARD.items()
        for registration in registrations[name]
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


def _next_steps(folder: Path, demo: Demo | None) -> list[str]:
    lines = [
        f"{folder}: configuration, keys and database are there.",
        "keys/ decrypts the vouchers: back it up, apart from the database.",
        "",
        "Next:",
        f"  cd {folder}",
        "  starship up",
    ]
    return lines if demo is None else [*lines, "", demo.told()]
