"""The deployment: `starship init` makes it, `starship up` runs it, an operator works it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import redis
from commands import Ended, all_typed, typed
from shop import Customer
from telling import Teller

from starship_core.config import load
from starship_core.config_template import toml
from starship_core.embedded import redis_url
from starship_core.embedded_sandboxes import LIFELINE

STARSHIP = str(Path(sys.executable).with_name("starship"))
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

    def sets(self, section: str, field: str, value: Any) -> None:
        """Change a line of `starship.toml`, where every setting stands with its default."""
        file = self.folder / "starship.toml"
        head, mark, rest = file.read_text().partition(f"\n[{section}]\n")
        line = f"{field} = {toml(value)}"
        changed, found = re.subn(f"(?m)^(# )?{field} =.*$", lambda _: line, rest, count=1)
        if not found:
            raise RuntimeError(f"{file} has no [{section}] {field}")
        file.write_text(head + mark + changed)
        self._teller.does(f"starship.toml: [{section}] {line}")

    def adds(self, section: str, **fields: Any) -> None:
        """A section of a plugin that was not there, and the plugin to those that are enabled."""
        config = load(self.folder / "starship.toml")
        enabled = config.plugins.enabled
        if fields["use"] not in enabled:
            self.sets("plugins", "enabled", [*enabled, fields["use"]])
        lines = [f"{name} = {toml(value)}" for name, value in fields.items()]
        with config.path.open("a") as file:
            file.write("\n".join(("", f"[{section}]", *lines, "")))
        self._teller.does(f"starship.toml: [{section}] {', '.join(lines)}")

    def starship(self, command: str) -> Any:
        """Type `starship …` in the folder; the JSON that it answers with."""
        return self.starships(command)[0]

    def starships(self, *commands: str) -> list[Any]:
        """Several commands at the same time."""
        for command in commands:
            self._teller.does(f"starship {command}")
        words = [[*shlex.split(command), "--json"] for command in commands]
        return [_answer(*each) for each in zip(words, all_typed(words, self.folder), strict=True)]

    def quietly(self, *words: str, ends: int = 0) -> Any:
        """One, without telling; it has to end with this status."""
        typed_words = [*words, "--json"]
        return _answer(typed_words, typed(typed_words, self.folder), ends)

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

    def new_customers(self, money: Mapping[str, tuple[str, str]]) -> list[tuple[Customer, int]]:
        """Clients with a key that must sign, and with a wallet: currency and amount by name."""
        made = self.starships(*(f"client create {name}" for name in money))
        self.starships(*(f"client set {name} --require-signatures" for name in money))
        wallets = self.starships(
            *(
                f"wallet open {one['client_id']} {currency}"
                for one, (currency, _) in zip(made, money.values(), strict=True)
            )
        )
        self.starships(
            *(
                f"wallet credit {wallet['id']} {amount} --reference BANK-{name.upper()}-1"
                for wallet, (name, (_, amount)) in zip(wallets, money.items(), strict=True)
            )
        )
        return [
            (Customer(name, self.url, one["api_key"], one["secret"], one["signing_secret"]),
             wallet["id"])
            for name, one, wallet in zip(money, made, wallets, strict=True)
        ]  # fmt: skip

    def flush_redis(self, *keys: str) -> int:
        """Delete these keys, or with FLUSHALL every one; how many there were."""
        url = redis_url(load(self.folder / "starship.toml"))
        if url is None:
            raise RuntimeError("the embedded Redis is not there")
        with redis.Redis.from_url(url) as server:
            if keys:
                return int(server.delete(*keys))
            there = int(server.dbsize())
            server.flushall()
        return there


def _answer(words: Sequence[str], ended: Ended, ends: int = 0) -> Any:
    if ended.status != ends:
        raise RuntimeError(f"starship {' '.join(words)}:\n{ended.complained or ended.said}")
    return json.loads(ended.said)
