"""The deployment: `starship init` makes it, `starship up` runs it, an operator works it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import redis
from shop import Customer
from telling import Teller

from starship_core.config import load
from starship_core.embedded import redis_url
from starship_core.embedded_sandboxes import LIFELINE

STARSHIP = str(Path(sys.executable).with_name("starship"))
OPERATOR = "ana"
_PATIENCE = 60


@dataclass(frozen=True)
class Sandbox:
    """A vendor's API on this machine, and the process that it runs in."""

    url: str
    pid: int

    def purchases(self) -> list[dict[str, Any]]:
        """What was bought there, by its own log."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/purchases", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


class Deployment:
    """A folder with a `starship.toml`, and how an operator speaks to it."""

    def __init__(self, folder: Path, teller: Teller) -> None:
        self.folder = folder
        self.url = ""
        self.vendors: dict[str, Sandbox] = {}
        self._teller = teller
        self._ending = ExitStack()

    def sets(self, section: str, field: str, value: float) -> None:
        """Change a line of `starship.toml`, where every setting stands with its default."""
        file = self.folder / "starship.toml"
        head, mark, rest = file.read_text().partition(f"\n[{section}]\n")
        changed, found = re.subn(f"(?m)^# {field} = .*$", f"{field} = {value}", rest, count=1)
        if not found:
            raise RuntimeError(f"{file} has no [{section}] {field}")
        file.write_text(head + mark + changed)
        self._teller.does(f"starship.toml: [{section}] {field} = {value}")

    def starship(self, command: str) -> Any:
        """Type `starship …` in the folder; the JSON that it answers with."""
        self._teller.does(f"starship {command}")
        return self.quietly(*shlex.split(command))

    def quietly(self, *words: str) -> Any:
        """The same, without telling."""
        done = subprocess.run(
            [STARSHIP, *words, "--json"],
            cwd=self.folder,
            env=os.environ | {"STARSHIP_OPERATOR": OPERATOR},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"starship {' '.join(words)}:\n{done.stderr or done.stdout}")
        return json.loads(done.stdout)

    @contextmanager
    def up(self) -> Iterator[None]:
        """The server, its Redis, its worker and the vendors' sandboxes, until the block ends."""
        with (self.folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                [STARSHIP, "up", "--with-sandboxes", "--port", "0", "--json"],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the story, which then stops the server
            )
        try:
            announced = self._announced(process)
            self.url = announced["url"]
            self.vendors = {
                name: Sandbox(**running) for name, running in announced["sandboxes"].items()
            }
            with self._ending:
                yield
        finally:
            process.terminate()
            if process.wait(_PATIENCE):
                raise RuntimeError(f"the server ended with {process.returncode}\n{self.log_tail()}")

    def start_again(self, name: str) -> None:
        """A vendor's sandbox where it was, until the server ends; it has forgotten everything."""
        port = str(urlsplit(self.vendors[name].url).port)
        self._teller.does(f"starship sandbox {name} --port {port}")
        process = subprocess.Popen(
            [STARSHIP, "sandbox", name, "--port", port],
            env=os.environ | {LIFELINE: "1"},
            stdin=subprocess.PIPE,  # it ends with us, however we end
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._ending.enter_context(process)
        self._ending.callback(process.kill)
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError(f"the sandbox of {name} did not start")

    def _announced(self, process: subprocess.Popen[str]) -> Any:
        stdout: IO[str] | None = process.stdout
        document = ""
        for line in stdout or ():
            document += line
            if line.startswith("}"):
                return json.loads(document)
        raise RuntimeError(f"the server did not start\n{self.log_tail()}")

    def log_tail(self) -> str:
        return "\n".join((self.folder / "server.log").read_text().splitlines()[-20:])

    def new_customer(self, name: str, currency: str, money: str) -> tuple[Customer, int]:
        """A client with a key that must sign, and a wallet with money; the wallet's id."""
        made = self.starship(f"client create {name}")
        self.quietly("client", "set", name, "--require-signatures")
        wallet = self.starship(f"wallet open {made['client_id']} {currency}")["id"]
        self.starship(f"wallet credit {wallet} {money} --reference BANK-{name.upper()}-1")
        customer = Customer(name, self.url, made["api_key"], made["secret"], made["signing_secret"])
        return customer, wallet

    def flush_redis(self) -> int:
        """FLUSHALL; how many keys there were."""
        url = redis_url(load(self.folder / "starship.toml"))
        if url is None:
            raise RuntimeError("the embedded Redis is not there")
        with redis.Redis.from_url(url) as server:
            keys = int(server.dbsize())
            server.flushall()
        return keys
