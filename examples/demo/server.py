"""The deployment: `starship init` makes it, `starship up` runs it, an operator works it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import redis
from shop import Customer
from telling import Teller

from starship_core.config import load
from starship_core.embedded import redis_url

STARSHIP = str(Path(sys.executable).with_name("starship"))
OPERATOR = "ana"
_PATIENCE = 60


class Deployment:
    """A folder with a `starship.toml`, and how an operator speaks to it."""

    def __init__(self, folder: Path, teller: Teller) -> None:
        self.folder = folder
        self.url = ""
        self._teller = teller

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
        """The server, its Redis and its pump, in processes of their own until the block ends."""
        with (self.folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                [STARSHIP, "up", "--port", "0", "--json"],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the story, which then stops the server
            )
        try:
            self.url = self._announced(process)
            yield
        finally:
            process.terminate()
            if process.wait(_PATIENCE):
                raise RuntimeError(f"the server ended with {process.returncode}\n{self.log_tail()}")

    def _announced(self, process: subprocess.Popen[str]) -> str:
        stdout: IO[str] | None = process.stdout
        document = ""
        for line in stdout or ():
            document += line
            if line.startswith("}"):
                return str(json.loads(document)["url"])
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
