"""`starship sandbox`: found by its entry point, served until it is stopped."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result

from starship_core import PluginError
from starship_core.cli import main
from starship_core.sandboxes import installed, start
from starship_core.testing.plugs import Distribution, Offer

STARSHIP = Path(sys.executable).with_name("starship")
OURS = {"acme": 401, "bamboo": 401, "pinelabs": 400, "voucherkart": 404}
"""How each of them answers who shows no credential."""


def sandbox(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sandbox", *arguments])


@contextmanager
def started(name: str) -> Iterator[dict[str, Any]]:
    """What it says of itself, as one document on stdout, while it runs."""
    command = [str(STARSHIP), "sandbox", name, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines: list[str] = []
            while not lines or lines[-1] != "}\n":
                lines.append(process.stdout.readline())
                assert lines[-1], "it ended before it said where it is"
            yield json.loads("".join(lines))
        finally:
            process.terminate()


@pytest.mark.parametrize("name", list(OURS))
def test_a_sandbox_answers_where_it_says(name: str) -> None:
    """It lets nobody in without a credential, and tells how to be let in."""
    with started(name) as told:
        answer = httpx2.get(f"{told['url']}/v1/products", headers={"User-Agent": "test"})

    assert told["name"] == name
    assert "FAKE-FAKE-000" in told["about"][0]
    assert answer.status_code == OURS[name]


def test_what_is_installed_is_listed() -> None:
    """Without a name, and nothing of it is imported."""
    listed = json.loads(sandbox("--json").stdout)

    assert [one["name"] for one in listed] == list(OURS)
    assert listed[1] == {"name": "bamboo", "distribution": "starship-bamboo", "version": "0.1.0"}


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    """Exit 2, a sentence, and with --json a document."""
    result = sandbox("bambo", "--json")

    told = "there is no sandbox bambo; installed are: acme, bamboo, pinelabs, voucherkart"
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == {"type": "PluginError", "problems": [told]}


def test_a_port_that_is_taken_is_told() -> None:
    """Before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = sandbox("bamboo", "--port", port)

    assert result.exit_code == 2
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in result.stderr


def offer(name: str, start: Any, of: str = "starship-ours") -> Offer:
    return Offer(name, start, Distribution(of))


def test_a_sandbox_is_started_with_its_address() -> None:
    """The function of the entry point is given the address, and gives what is served and said."""
    offers = [offer("ours", lambda url: (f"app at {url}", ["let in", 7]))]
    began = start("ours", "http://127.0.0.1:9101", offers)

    assert (began.app, began.about) == ("app at http://127.0.0.1:9101", ["let in", "7"])
    assert [(one.name, one.distribution) for one in installed(offers)] == [
        ("ours", "starship-ours")
    ]


def broken(_url: str) -> Any:
    raise ModuleNotFoundError("No module named 'litestar'")


@pytest.mark.parametrize(
    ("offers", "told"),
    [
        ([], "there is no sandbox ours; installed are: none"),
        (
            [offer("ours", None), offer("ours", None, "starship-theirs")],
            "sandbox ours: starship-ours and starship-theirs both offer it; uninstall one of them",
        ),
        (
            [offer("ours", SystemExit("stop"))],
            "sandbox ours: cannot be started: SystemExit: stop",
        ),
        (
            [offer("ours", lambda _: "only an app")],
            "sandbox ours: cannot be started: ValueError: too many values to unpack (expected 2)",
        ),
        (
            [offer("ours", broken)],
            (
                "sandbox ours: cannot be started: ModuleNotFoundError: No module named 'litestar'; "
                "try pip install 'starship-ours[sandbox]'"
            ),
        ),
    ],
)
def test_what_cannot_be_started_is_told(offers: list[Offer], told: str) -> None:
    """Whatever an adapter's code does, it is a sentence that names the sandbox."""
    with pytest.raises(PluginError) as refused:
        start("ours", "http://127.0.0.1:9101", offers)

    assert refused.value.problems == [told]
