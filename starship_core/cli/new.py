"""`starship new`: a plugin's package, to be filled in."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from starship_core.cli.console import Call, making
from starship_core.cli.folder import fresh

_KINDS = ("vendor", "source", "fx", "wallet", "notifier", "policy")


@click.command()
@click.argument("kind", type=click.Choice(_KINDS), metavar="KIND")
@click.argument("name")
@click.option(
    "--into",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to; left out: a folder named as the package, here.",
)
@making
def new(call: Call, kind: str, name: str, folder: Path | None) -> None:
    """Write a new plugin: a package, with tests that say what to fill in.

    KIND is vendor, source, fx, wallet, notifier or policy; NAME whose it is: small letters, digits
    and hyphens. The folder must not exist yet, or be empty. The package can be installed as it
    comes; its tests are the conformance kit of its port, and fail until it is filled in.

    \b
    Examples:
      starship new vendor acme
      starship new fx central-bank --into rates
      starship new policy night-watch --json
    """
    from starship_core.scaffold import named, rendered

    names = named(kind, name)
    target = folder or Path(names.distribution)
    written = []
    with fresh(target):
        for path, text in rendered(names):
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            written.append(path)
    document = {
        "folder": target,
        "plugin": names.plugin,
        "distribution": names.distribution,
        "module": names.module,
        "files": written,
    }
    call.answer(document, "\n".join([*written, "", *_next_steps(target, names.plugin)]))


def _next_steps(folder: Path, plugin: str) -> list[str]:
    return [
        f"{folder}: the package of the plugin {plugin}.",
        "",
        "Next, in a virtual environment:",
        f"  cd {folder}",
        "  pip install -e '.[check]'",
        "  pytest tests/test_filled.py   # what is left to fill in, and where",
        "  pytest                        # what the kit of its port still misses",
    ]
