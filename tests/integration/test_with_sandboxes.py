"""`--with-sandboxes`: `init` writes vendors, and `up` runs them in processes that end with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from starship_core.cli import main
from starship_core.config import load
from starship_core.embedded_sandboxes import Place, places, sandboxes_at
from starship_core.errors import ConfigError
from starship_core.plugins import find

STARSHIP = Path(sys.executable).with_name("starship")
VENDORS = ["acme", "bamboo", "pinelabs", "voucherkart"]
LIVE = '[deployment]\nenvironment = "live"\n'
NONE = """
[plugins]
enabled = ["wallet-ledger", "fx-fixed", "acme"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
base = "USD"
rates = {}
"""
AWAY = f"""{NONE}
[vendors.acme]
base_url = "https://api.acme.example"
api_key = "FAKE-FAKE-0001"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A new deployment with a vendor for each sandbox there is."""
    made = CliRunner().invoke(main, ["init", str(tmp_path / "shop"), "--with-sandboxes"])
    assert made.exit_code == 0, made.output
    assert made.stdout.endswith("  starship up --with-sandboxes\n")
    return tmp_path / "shop"


@contextmanager
def up(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and the sandboxes that it announced."""
    command = [str(STARSHIP), "up", "--with-sandboxes", "--port", "0", "--json"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines: list[str] = []
            while not lines or lines[-1] != "}\n":
                lines.append(process.stdout.readline())
                assert lines[-1], "it ended before it said where it is"
            yield process, json.loads("".join(lines))["sandboxes"]
        finally:
            process.kill()


def gone(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    with suppress(ProcessLookupError):
        for _ in range(200):
            os.kill(pid, 0)
            if (stat := Path(f"/proc/{pid}/stat")).exists() and ") Z " in stat.read_text():
                return True  # dead, and not yet buried by whoever inherited it
            time.sleep(0.05)
        return False
    return True


def test_init_writes_a_vendor_for_each_sandbox(shop: Path) -> None:
    """Sections that their plugins accept, each with a port of its own."""
    config = load(shop / "starship.toml")
    wanted = places(config)

    assert [one.instance_name for one in find(config).of_kind("vendor")] == VENDORS
    assert [(one.vendor, one.sandbox, one.host) for one in wanted] == [
        (name, name, "127.0.0.1") for name in VENDORS
    ]
    assert len({one.port for one in wanted}) == len(VENDORS)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_they_let_our_vendors_in_and_end_with_up(shop: Path, how: signal.Signals) -> None:
    """`vendor check` passes against each; however `up` ends, no sandbox outlives it."""
    with up(shop) as (process, running):
        assert list(running) == VENDORS
        config = load(shop / "starship.toml")
        assert [running[name]["url"] for name in VENDORS] == [
            config.vendors[name]["base_url"] for name in VENDORS
        ]
        checked = CliRunner().invoke(
            main, ["vendor", "check", "pinelabs", "--config", str(shop / "starship.toml")]
        )
        process.send_signal(how)
        process.wait(30)
        left = [name for name in VENDORS if not gone(running[name]["pid"])]

    assert checked.exit_code == 0, checked.output
    assert left == []


async def test_a_port_that_is_taken_is_told_with_its_vendor() -> None:
    """And the sandboxes that did start are ended."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports = {"bamboo": taken.getsockname()[1], "acme": free.getsockname()[1]}
        free.close()
        wanted = [
            Place(vendor=f"{name}-eu", sandbox=name, host="127.0.0.1", port=port)
            for name, port in ports.items()
        ]
        with pytest.raises(ConfigError) as refused:
            async with sandboxes_at(wanted):
                raise AssertionError("it did not start")

    told = f"cannot listen at 127.0.0.1:{ports['bamboo']}: Address already in use"
    assert refused.value.problems == [
        f"[vendors.bamboo-eu] its sandbox did not start: {told}; choose another --host or --port"
    ]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports["acme"]), 5)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        (LIVE, "[deployment] environment is live; --with-sandboxes is for test"),
        (NONE, "no [vendors.NAME] has an adapter with a sandbox and a base_url such as"),
        (AWAY, "no [vendors.NAME] has an adapter with a sandbox and a base_url such as"),
    ],
)
def test_where_they_have_no_place_up_refuses(tmp_path: Path, toml: str, told: str) -> None:
    """In live, and when no vendor is on this machine: before anything is started."""
    file = tmp_path / "starship.toml"
    file.write_text(toml)
    result = CliRunner().invoke(main, ["up", "--with-sandboxes", "--config", str(file)])

    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["starship.toml"]


def test_a_second_section_of_an_adapter_has_a_sandbox_of_its_own(shop: Path) -> None:
    """By the plugin that registered what it uses, whatever the section is called."""
    file = shop / "starship.toml"
    url = load(file).vendors["acme"]["base_url"]
    other = f"http://localhost:{(urlsplit(url).port or 0) + 1}"
    file.write_text(
        f'{file.read_text()}\n[vendors.other]\nuse = "acme"\nbase_url = "{other}"\n'
        'api_key = "FAKE-FAKE-0001"\n'
    )

    found = {one.vendor: (one.sandbox, one.host) for one in places(load(file))}
    assert found["other"] == ("acme", "localhost")
    assert found["acme"] == ("acme", "127.0.0.1")
