"""`starship check`: every refusal of a start, without starting anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, grid, reading
from starship_core.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from starship_core.instances import Instance


@click.command()
@reading
def check(call: Call) -> None:
    """Refuse what is wrong with the configuration and the plugins.

    Reads the file, imports the enabled plugins and fits the sections into what they registered.
    Opens no connection. Exit 0 when the deployment could start, else 2 with every problem.

    \b
    Examples:
      starship check
      starship check --config /etc/starship/starship.toml --json
    """
    from starship_core.plugins import find

    try:
        config = call.config()
        found = find(config)
    except (ConfigError, PluginError) as error:
        call.answer({"ok": False, "problems": error.problems, "instances": []})
        call.refuse(error)
    rows = [_row(instance) for instance in found.instances]
    document: dict[str, Any] = {
        "ok": True,
        "problems": [],
        "instances": [
            dict(zip(("kind", "instance", "use", "plugin"), row, strict=True)) for row in rows
        ],
    }
    call.answer(document, grid("kind", "instance", "use", "plugin", rows=rows))
    call.note(f"{config.path} is in order.")


def _row(instance: Instance) -> tuple[str, str, str, str]:
    return instance.kind, instance.instance_name, instance.registration.name, instance.plugin
