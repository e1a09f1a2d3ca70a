# ruff: noqa: INP001  # docs is no package
"""The page of commands: usage, help and options of every command, from click's own objects."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click
from generate import table

from starship_core.cli import COMMANDS, main

SHARED = ("config_path", "as_json", "operator", "reason")
"""Options that every command or every change has; the page tells of them once."""


def overview() -> str:
    """The commands in the order of `starship --help`."""
    return table(
        ("command", "what it does"),
        (
            (f"[`starship {name}`](#starship-{name})", entry.line)
            for name, entry in COMMANDS.items()
        ),
    )


def commands() -> str:
    """A heading for every command and every verb of a group."""
    return "\n".join(_described(path, command) for path, command in every_command())


def every_command() -> Iterator[tuple[str, click.Command]]:
    """`starship wallet`, `starship wallet open`, … with click's object."""
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        if command is None:
            raise LookupError(name)
        yield from _with_verbs(f"starship {name}", command)


def _with_verbs(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, verb in command.commands.items():
            yield from _with_verbs(f"{path} {name}", verb)


def _described(path: str, command: click.Command) -> str:
    level = "##" if path.count(" ") == 1 else "###"
    parts = [f"{level} {path}\n", _help(command)]
    if not isinstance(command, click.Group):
        pieces = " ".join(command.collect_usage_pieces(click.Context(command)))
        parts.insert(1, f"```text\n{path} {pieces}\n```\n")
        parts.append(_options(command))
    return "\n".join(part for part in parts if part)


def _help(command: click.Command) -> str:
    """Paragraphs; one that click must not re-wrap is an example."""
    shown = []
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        text = paragraph.strip()
        if text.startswith("\b"):
            title, _, rest = text.lstrip("\b\n").partition("\n")
            lines = "\n".join(line.strip() for line in rest.splitlines())
            shown.append(f"{title}\n\n```sh\n{lines}\n```\n")
        elif text:
            shown.append(f"{text}\n")
    return "\n".join(shown)


def _options(command: click.Command) -> str:
    rows = [
        (f"`{', '.join(o.opts)}{_takes(o)}`", (o.help or "").replace("\\[", "[") + _default(o))
        for o in command.params
        if isinstance(o, click.Option) and o.name not in SHARED
    ]
    return table(("option", "what it does"), rows) if rows else ""


def _takes(option: click.Option) -> str:
    return "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('x')))}"


def _default(option: click.Option) -> str:
    shown = option.show_default and option.default is not None
    return f" Default: `{option.default}`." if shown else ""
