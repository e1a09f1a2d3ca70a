"""`docs/composing-a-server.md`, done as a deployer would: from wheels, block by block."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.e2e.servers import PATIENCE, running
from tests.packages.wheelhouse import ROOT, install, uv

PAGE = (ROOT / "docs" / "composing-a-server.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "two_vendor_server"
CONFIGURATION = (EXAMPLE / "starship.toml").read_text(encoding="utf-8")
PIP = "pip install 'starship-core[standard]' starship-bamboo starship-pinelabs"
SANDBOXES = {"bamboo": 9101, "pinelabs": 9102}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(wheels: Path, tmp_path: Path) -> Path:
    """What the page's one pip line brings, and nothing else."""
    folder = tmp_path / "env"
    uv("venv", "-q", "--no-python-downloads", "--python", sys.executable, str(folder))
    _, _, *wanted = PIP.replace("'", "").split()
    install(folder / "bin" / "python", *wanted, wheels=wheels, pinned="run.txt")
    return folder


class Shell:
    """A deployer's: it knows the environment and nothing of the checkout."""

    def __init__(self, environment: Path) -> None:
        self.program = environment / "bin" / "starship"
        path = f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        self.environ = {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}

    def run(self, folder: Path, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder, env=self.environ, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def export(self, block: str, addresses: Mapping[str, str]) -> str:
        """Take the block's variables over, with the ports that are really listened at; the rest."""
        for shown, real in addresses.items():
            assert shown in block
            block = block.replace(shown, real)
        exports = [line for line in block.splitlines() if line.startswith("export ")]
        for line in exports:
            self.environ |= {
                name: value for name, _, value in (word.partition("=") for word in line.split()[1:])
            }
        return "\n".join(line for line in block.splitlines() if line not in exports)

    @contextmanager
    def sandbox(self, folder: Path, command: str) -> Iterator[str]:
        """The vendor's API at a free port; yields its address."""
        words = re.sub(r"--port \d+", "--port 0", command).split()
        process = subprocess.Popen(
            [self.program, *words[1:], "--json"],
            cwd=folder, env=self.environ, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            said = ""
            while not said.endswith("\n}\n"):  # the end of what is indented
                line = process.stdout.readline()
                assert line, said
                said += line
            yield json.loads(said)["url"]
        finally:
            process.terminate()
            process.wait(PATIENCE)
            process.stdout.close()


def test_the_example_is_one_file_and_one_line() -> None:
    """The page shows that file and that line, and there is nothing else to compose with."""
    files = {path.name for path in EXAMPLE.iterdir()}
    assert files == {"README.md", "starship.toml"}
    assert blocks((EXAMPLE / "README.md").read_text(encoding="utf-8"), "sh") == [PIP + "\n"]
    assert blocks(PAGE, "sh")[0] == PIP + "\n"
    assert blocks(PAGE, "toml") == [CONFIGURATION]


def test_the_page_makes_a_server_with_two_vendors(environment: Path) -> None:
    """From wheels to /ready by the page's blocks alone; both vendors let the server in."""
    _, look, found, *sandboxes, check, up = blocks(PAGE, "sh")
    assert up == "starship up\n"
    shell = Shell(environment)
    # not pytest's own: its path would be too long for a socket
    with tempfile.TemporaryDirectory(prefix="two-", ignore_cleanup_errors=True) as empty:
        folder = Path(empty)
        assert "bamboo  starship-bamboo 0.1.0  not enabled" in shell.run(folder, look)
        shell.run(folder, found)
        shop = folder / "shop"
        (shop / "starship.toml").write_text(CONFIGURATION, encoding="utf-8")
        with ExitStack() as stack:
            addresses = {
                f"http://127.0.0.1:{port}": stack.enter_context(shell.sandbox(folder, command))
                for port, command in zip(SANDBOXES.values(), sandboxes, strict=True)
            }
            checks = shell.export(check, addresses)
            assert re.findall(r"^starship ([a-z ]+?) *(?:--|#|$)", checks, flags=re.MULTILINE) == [
                "check", "db upgrade", "vendor check bamboo", "vendor check pinelabs",
            ]  # fmt: skip
            shell.run(shop, checks)  # each ends with 0
            shown = shell.run(shop, "starship plugins --json")
            assert enabled_vendors(shown) == {"bamboo", "pinelabs"}
            with running(shop, "up", program=shell.program, environment=shell.environ) as process:
                answer = httpx2.get(f"{process.url}/ready", timeout=PATIENCE)
                assert (answer.status_code, answer.json()["status"]) == (200, "ready")
                process.stop()


def enabled_vendors(shown: str) -> set[str]:
    """Names of the enabled plugins that register a vendor, out of `starship plugins --json`."""
    told = json.loads(shown)
    assert told["problems"] == []
    return {
        plugin["name"]
        for plugin in told["plugins"]
        if plugin["enabled"] and "vendor" in {each["kind"] for each in plugin["registrations"]}
    }
