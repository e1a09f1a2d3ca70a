"""`starship plugins`: what is installed, and what can be written about it in the file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, grid, reading
from starship_core.errors import PluginError
from starship_core.registration import Saying, VendorRegistration, VendorTraits

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starship_core.plugins import Installed
    from starship_core.registration import Registration


class Plugins(click.RichGroup):
    """Without a verb it lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        listing = not args or args[0] not in (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if listing else args)


@click.group(cls=Plugins)
def plugins() -> None:
    """List installed plugins, their configuration and facts.

    Opens no connection. Only enabled plugins are imported, and those that are named. Exit 2 when
    one of them cannot be used.

    \b
    Examples:
      starship plugins
      starship plugins bamboo
      starship plugins matrix
    """


@plugins.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@reading
def list_(call: Call, names: tuple[str, ...]) -> None:
    """List them; `list` may be left out.

    One that is not enabled shows no more than its version, unless it is named here.

    \b
    Examples:
      starship plugins list
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


@plugins.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@reading
def matrix(call: Call, names: tuple[str, ...]) -> None:
    """Show what each vendor's plugin can do: of the enabled ones, and of those named here.

    It is what the plugins declare; the conformance kit holds them to it. Of those that are named,
    also what they make of the vendor's words: how an order stands, and what is said instead of one.

    \b
    Examples:
      starship plugins matrix
      starship plugins matrix bamboo pinelabs --json
    """
    from starship_core.plugins import take

    survey = take([*_enabled(call), *names], place="enabled or named here")
    found = [
        (plugin, one)
        for plugin in survey.installed
        for one in plugin.registrations
        if isinstance(one, VendorRegistration)
    ]
    vendors = [
        {"name": one.name, "plugin": plugin.name, "version": plugin.version}
        | capabilities(one.traits)
        for plugin, one in found
    ]
    rows = [tuple(one.values()) for one in vendors]
    told = grid(*vendors[0], rows=rows) if vendors else "no plugin of a vendor is enabled or named"
    sayings = [
        {"statuses": _sayings(one.statuses), "errors": _sayings(one.errors)} for _, one in found
    ]
    documents = [vendor | said for vendor, said in zip(vendors, sayings, strict=True)]
    words = [_words(one) for plugin, one in found if plugin.name in names]
    call.answer({"vendors": documents, "problems": survey.problems}, told, *chain(*words))
    if survey.problems:
        call.refuse(PluginError(survey.problems))


def capabilities(traits: VendorTraits) -> dict[str, str]:
    """What it declares, in words."""
    return {
        "same reference twice": traits.duplicates,
        "looks up": "by our reference" if traits.lookup else "no",
        "codes": "at once, or later" if traits.delayed_codes else "at once",
        "sells in parts": "yes" if traits.partial else "no",
        "units at once": str(traits.max_units),
        "currencies": ", ".join(sorted(traits.currencies)) or "any",
        "answers within": f"{traits.buy_timeout:g} s",
        "rate limits": ", ".join(
            f"{name} {rate.calls} in {rate.seconds:g} s"
            for name, rate in traits.rate_limits.items()
        ) or "none",
        "beyond buying": ", ".join(sorted(traits.abilities)) or "nothing",
    }  # fmt: skip


def _sayings(sayings: Sequence[Saying]) -> list[dict[str, str]]:
    return [saying._asdict() for saying in sayings]


def _words(one: VendorRegistration[Any]) -> list[RenderableType]:
    """What it makes of the vendor's words, for a person."""
    told = (("status", one.statuses), ("error", one.errors))
    return [
        grid(f"{one.name}: {what}", "means", "becomes", "then", rows=list(sayings))
        for what, sayings in told
        if sayings
    ]


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
