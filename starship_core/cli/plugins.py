"""`starship plugins`: what is installed, and what can be written about it in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, grid, reading
from starship_core.errors import PluginError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starship_core.plugins import Installed
    from starship_core.registration import Registration


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@reading
def plugins(call: Call, names: tuple[str, ...]) -> None:
    """List installed plugins, their configuration and facts.

    Opens no connection. Only enabled plugins are imported; one that is not enabled shows no more
    than its version, unless it is named here. Exit 2 when one of them cannot be used.

    \b
    Examples:
      starship plugins
      starship plugins bamboo
      starship plugins --json
    """
    from starship_core.plugins import take

    enabled = _enabled(call)
    survey = take([*enabled, *names], place="enabled or named here")
    found = [one for one in survey.installed if not names or one.name in names]
    documents = [_document(one, enabled=one.name in enabled) for one in found]
    call.answer({"plugins": documents, "problems": survey.problems}, *_told(documents))
    if survey.problems:
        call.refuse(PluginError(survey.problems))


def _enabled(call: Call) -> Sequence[str]:
    """The allow-list; nothing where there is no file, since listing needs none."""
    if not call.config_path.exists():
        call.note(f"{call.config_path}: there is no such file, so no plugin is enabled.")
        return ()
    return call.config().plugins.enabled


def _document(one: Installed, *, enabled: bool) -> dict[str, Any]:
    return {
        "name": one.name,
        "distribution": one.distribution,
        "version": one.version,
        "enabled": enabled,
        "registrations": [_registration(registration) for registration in one.registrations],
    }


def _registration(registration: Registration[Any, Any]) -> dict[str, Any]:
    import msgspec

    from starship_core.describe import fields

    return {
        "kind": registration.kind,
        "name": registration.name,
        "api": registration.api,
        "config": [msgspec.to_builtins(field) for field in fields(registration.config)],
        "facts": msgspec.to_builtins(registration.facts(), enc_hook=repr),
    }


def _told(found: list[dict[str, Any]]) -> list[RenderableType]:
    """The same for a person: a line for each plugin, a table for what each registration takes."""
    lines: list[RenderableType] = []
    for one in found:
        state = "enabled" if one["enabled"] else "not enabled"
        lines.append(f"{one['name']}  {one['distribution']} {one['version']}  {state}")
        for registration in one["registrations"]:
            lines.append(f"  {registration['kind']} {registration['name']}")
            facts = registration["facts"]
            lines += [f"    {name}: {value}" for name, value in facts.items()]
            rows = [
                ("   ", each["name"], each["type"], _default(each), each["doc"])
                for each in registration["config"]
            ]
            if rows:
                lines.append(grid("   ", "field", "type", "default", "", rows=rows))
    return lines


def _default(field: dict[str, Any]) -> str:
    return "required" if field["required"] else repr(field["default"])
