"""What the author of an adapter gives the vendor kit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from starship_core import Money, VendorFulfiller, VendorRegistration
from starship_core.testing.plug_case import fitted, secrets_of
from starship_core.testing.scrub import Envelope

LINES: Final = ("good", "rejected", "partial", "delayed")
NOWHERE: Final = "http://127.0.0.1:1"
"""What a cassette calls the sandbox: an address that nobody has."""


@dataclass(frozen=True)
class Line:
    """A purchase that the vendor can be asked for: `Line("910001", Money.of("50", "AED"), 2)`."""

    product: str
    face: Money
    quantity: int = 1

    @classmethod
    def read(cls, text: str) -> Line:
        """`910001:50.00:AED:2`, as the environment gives it."""
        product, amount, currency, quantity = text.rsplit(":", 3)
        return cls(product, Money.of(amount, currency), int(quantity))

    def __str__(self) -> str:
        return f"{self.product}:{self.face.text}:{self.face.currency}:{self.quantity}"


@dataclass(frozen=True, kw_only=True)
class VendorCase:
    """An adapter, how its section looks, and what can be bought at its sandbox."""

    registers: ClassVar = VendorRegistration
    port: ClassVar = VendorFulfiller

    registration: VendorRegistration[Any]
    section: Mapping[str, Any]
    """As in `starship.toml`, without the address. Its secrets are fakes (`scrub.fake`)."""
    good: Line
    """Of more than one unit, if the vendor sells more than one at a time."""
    rejected: Line
    """One that the vendor refuses by its word."""
    partial: Line | None = None
    """One of which only a part is sold; for `partial=True`."""
    delayed: Line | None = None
    """One that is delivered later; for `delayed_codes=True`, if the good one is not."""
    sandbox: Callable[[], Any]
    """A fresh sandbox: an ASGI application that lets the section in."""
    source: str
    """What the sandbox was written after: it stands in every cassette."""
    secret_keys: frozenset[str]
    """Keys of the vendor's JSON under which a code or a secret stands."""
    envelopes: Sequence[Envelope] = ()
    """How the vendor encrypts, if it does."""
    url: str = "base_url"
    """The field of the section that holds the address."""
    timeout: str = "timeout"
    """The field that holds the seconds without an answer."""
    callback: Callable[[str], tuple[Mapping[str, str], bytes]] | None = None
    """A callback about a reference, as the vendor sends it; for `ReadsCallbacks`."""

    @property
    def name(self) -> str:
        return self.registration.name

    def secrets(self) -> dict[str, str]:
        """Fields of the section that are secrets, with their values."""
        return secrets_of(self.config(NOWHERE), self.section)

    def config(self, url: str, **changed: Any) -> Any:
        """The section in its own type, as the core makes it."""
        return fitted(self.registration, {**self.section, self.url: url, **changed})

    def given(self) -> tuple[str | None, dict[str, Any], dict[str, str]]:
        """From the environment, for a recording: address, other fields, purchases.

        `STARSHIP_VENDOR_BAMBOO_BASE_URL`, `…_CLIENT_SECRET`, `…_GOOD=910001:50.00:AED:2`.
        """
        start = f"STARSHIP_VENDOR_{self.name.upper().replace('-', '_')}_"
        found = {
            name.removeprefix(start).lower(): value
            for name, value in os.environ.items()
            if name.startswith(start)
        }
        lines: dict[str, str] = {name: found.pop(name) for name in list(found) if name in LINES}
        address = found.pop(self.url, None)
        return address, {**found}, lines
