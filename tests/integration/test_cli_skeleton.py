"""What every command shares: it is loaded when called, answers in one way, and fails in one way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from inspect import cleandoc
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
from click.testing import CliRunner, Result

from starship_core import ConfigError, PluginError, Secret, StarshipError, WrongState
from starship_core.cli import COMMANDS, main
from starship_core.cli.console import Call, changing, grid, making, reading


def run(command: click.Command, *arguments: str, **environment: str | None) -> Result:
    unset: dict[str, str | None] = {"STARSHIP_OPERATOR": None, "STARSHIP_CONFIG": None}
    return CliRunner().invoke(command, arguments, env=unset | environment)


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.RichGroup):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path), command


def loaded(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_loads_and_helps(name: str) -> None:
    """The line that `starship --help` shows is the command's own; every verb has examples."""
    command = loaded(name)

    assert command.name == name
    assert (command.help or "").split("\n")[0] == COMMANDS[name].line
    for path, leaf in leaves(command, (name,)):
        options = {option for parameter in leaf.params for option in parameter.opts}
        assert "--json" in options, path
        examples = cleandoc(leaf.help or "").partition("\n\n\b\nExamples:\n")[2]
        assert f"starship {path}" in examples, path


def test_help_imports_nothing_heavy() -> None:
    """`starship --help` is typed often; the server's libraries take the better part of a second."""
    script = """
import sys
from starship_core.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
heavy = {"litestar", "sqlalchemy", "alembic", "arq", "redis", "structlog", "jinja2", "cryptography"}
print("heavy:", sorted(heavy & set(sys.modules)))
print("ours:", sorted(name for name in sys.modules if name.startswith("starship_core.cli")))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-2:] == ["heavy: []", "ours: ['starship_core.cli']"]
    for name, entry in COMMANDS.items():
        assert f"│ {name} " in done.stdout
        assert entry.line in done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    """Exit 2 and the name that was not understood."""
    result = run(main, "chek")

    assert result.exit_code == 2
    assert "No such command 'chek'." in result.stderr


def test_the_version_is_the_package_s() -> None:
    """What `pip list` shows."""
    result = run(main, "--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("starship, version 0.")


@dataclass
class Thing:
    amount: Decimal
    at: datetime
    folder: Path


@click.command()
@reading
def answering(call: Call) -> None:
    call.note("by the way")
    call.answer(
        Thing(Decimal("1.50"), datetime(2027, 1, 1, tzinfo=UTC), Path("/srv")),
        "[not markup]",
        grid("a", "b", rows=[(None, "[x]")]),
    )


@click.command()
@reading
async def leaking(call: Call) -> None:
    call.answer({"code": Secret("1234")})


@click.command()
@changing
async def acting(call: Call) -> None:
    call.answer(call.by)


@click.command()
@click.argument("number", type=int)
@making
def plain(call: Call, number: int) -> None:
    call.answer({"number": number, "config": str(call.config_path)})


def test_an_answer_is_for_a_person_or_for_a_machine() -> None:
    """Text as it is and tables; or one JSON document on stdout and nothing beside it."""
    human = run(answering)
    machine = run(answering, "--json")

    assert (human.exit_code, machine.exit_code) == (0, 0)
    assert [line.split() for line in human.stdout.splitlines()] == [
        ["[not", "markup]"], ["a", "b"], ["–", "[x]"],
    ]  # fmt: skip
    assert human.stderr == "by the way\n"
    assert json.loads(machine.stdout) == {
        "amount": "1.50",
        "at": "2027-01-01T00:00:00Z",
        "folder": "/srv",
    }
    assert machine.stderr == ""


def test_a_secret_in_an_answer_is_a_fault_not_an_output() -> None:
    """Only a deliberate `reveal()` shows one."""
    result = run(leaking, "--json")

    assert (result.exit_code, "1234" in result.output) == (2, False)
    problem = json.loads(result.stdout)["error"]["problems"][0]
    assert problem.startswith("this should not happen: TypeError. Please report it")


def test_a_fault_is_told_without_a_traceback() -> None:
    """Its class and its places, so that it can be reported; its text may quote anything."""

    @click.command()
    @making
    async def faulty(_call: Call) -> None:
        raise RuntimeError("CODE-1234")

    result = run(faulty)
    assert (result.exit_code, result.stdout) == (2, "")
    told = result.stderr.splitlines()
    assert told[0] == (
        "Error: this should not happen: RuntimeError. Please report it with these lines:"
    )
    assert told[-1].endswith(" faulty")
    assert "CODE-1234" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_change_says_whose_hand_it_is() -> None:
    """By the option or the environment; the request id ties log lines and audit rows together."""
    by = json.loads(run(acting, "--as", "ana", "--reason", "drill", "--json").stdout)
    again = json.loads(run(acting, "--json", STARSHIP_OPERATOR="ben").stdout)

    assert (by["actor"], by["reason"]) == ("operator:ana", "drill")
    assert (again["actor"], again["reason"]) == ("operator:ben", "")
    assert by["request_id"].startswith("cli-")
    assert by["request_id"] != again["request_id"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "add --as NAME, or set STARSHIP_OPERATOR"),
        (("--as", ""), "add --as NAME, or set STARSHIP_OPERATOR"),
        (("--as", "two words"), "a name of at most 64 characters without blanks"),
        (("--as", "x" * 65), "a name of at most 64 characters without blanks"),
        (("--as", "a\x07"), "a name of at most 64 characters without blanks"),
    ],
)
def test_a_change_without_a_name_is_refused(arguments: tuple[str, ...], text: str) -> None:
    """Exit 2 with a sentence, before anything is opened."""
    result = run(acting, *arguments)

    assert result.exit_code == 2
    assert text in " ".join(result.stderr.replace("│", " ").split())


def test_the_configuration_is_chosen() -> None:
    """--config, else STARSHIP_CONFIG, else ./starship.toml."""

    @click.command()
    @reading
    def where(call: Call) -> None:
        call.answer(str(call.config_path))

    assert json.loads(run(where, "--json").stdout) == "starship.toml"
    assert json.loads(run(where, "--json", STARSHIP_CONFIG="/a.toml").stdout) == "/a.toml"
    assert (
        json.loads(run(where, "--json", "--config", "b.toml", STARSHIP_CONFIG="/a").stdout)
        == "b.toml"
    )
    assert json.loads(run(plain, "7", "--json").stdout) == {"number": 7, "config": "starship.toml"}


@pytest.mark.parametrize(
    ("error", "code", "problems"),
    [
        (ConfigError(["one [x]", "two"]), 2, ["one [x]", "two"]),
        (PluginError("three"), 2, ["three"]),
        (WrongState("it is DELIVERED", found="DELIVERED"), 1, ["it is DELIVERED"]),
    ],
)
def test_a_refusal_is_text_and_never_a_traceback(
    error: StarshipError, code: int, problems: list[str]
) -> None:
    """Every problem on stderr, and as one document with --json; the exit code says who acts."""

    @click.command()
    @reading
    async def refusing(call: Call) -> None:
        raise error

    human = run(refusing)
    machine = run(refusing, "--json")

    assert human.exit_code == machine.exit_code == code
    assert human.stdout == ""
    assert human.stderr.splitlines() == [f"Error: {problem}" for problem in problems]
    assert machine.stderr == human.stderr
    assert json.loads(machine.stdout) == {
        "error": {"type": type(error).__name__, "problems": problems}
    }


def test_progress_is_shown_to_nobody_but_a_person() -> None:
    """Without a terminal neither stdout nor stderr has a bar in it."""

    @click.command()
    @reading
    def working(call: Call) -> None:
        with call.progress("counting", total=3) as advance:
            for _ in range(3):
                advance(1)
        call.answer({"done": True}, "done")

    assert (run(working).stdout, run(working).stderr) == ("done\n", "")


def test_progress_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, so that the answer can still be piped."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    call = Call(config_path=Path(), json=False, request_id="cli-1")
    counted: list[Any] = []

    with call.progress("counting", total=3) as advance:
        for n in range(3):
            advance(1)
            counted.append(n)

    assert counted == [0, 1, 2]


def test_a_reading_command_has_no_hand() -> None:
    """A flow that audits cannot be reached by a command that does not ask who it is."""

    @click.command()
    @reading
    def forgetful(call: Call) -> None:
        call.answer(call.by)

    assert "this should not happen: AssertionError" in run(forgetful).stderr
