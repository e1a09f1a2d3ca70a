"""The clients of the story: each signs with the code of examples/client, over real HTTP."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "client"))

from starship_client import ApiError, Client  # a file, not a package

__all__ = ["ApiError", "Client", "Customer", "percentile"]


@dataclass(frozen=True)
class Customer:
    """A company that buys: its name, its credential, and where the server is."""

    name: str
    url: str
    key: str
    secret: str
    signing_secret: str

    def connect(self, *, signing_secret: str | None = None) -> Client:
        """A connection of its own; several threads need several."""
        return Client(self.url, self.key, self.secret, signing_secret or self.signing_secret)


def percentile(seconds: Sequence[float], percent: int) -> float:
    """In milliseconds: the value that `percent` of all are not above."""
    ordered = sorted(seconds)
    return 1000 * ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
