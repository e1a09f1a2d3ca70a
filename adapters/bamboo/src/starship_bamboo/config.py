"""The two sections: `[vendors.NAME] use = "bamboo"` and `[fx] use = "bamboo-rates"`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from starship_core import Secret

BAMBOO: Final = "https://api.bamboocardportal.com"
"""One address for both of Bamboo's modes: the credentials say which one it is."""
Seconds = Annotated[float, Meta(gt=0, le=170)]
_SAFE: Final = re.compile(
    r"https://[^/?#@\s]+(/[^?#\s]*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?"
)


class BambooConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[vendors.NAME] use = "bamboo"`"""

    client_id: str
    client_secret: Secret
    account_id: Annotated[int, Meta(ge=1)]
    """The account that pays; it also says whether cards are real or the sandbox's."""
    callback_secret: Secret | None = None
    """The `secretKey` given to Bamboo with the notification address; without it none is believed.
    """
    base_url: str = BAMBOO
    """One address for both of Bamboo's modes: the credentials say which one it is."""
    timeout: Seconds = 160.0
    """Seconds without a byte of an answer. Bamboo can be slow, and a purchase that was given up on
    has to be looked up.
    """
    page_size: Annotated[int, Meta(ge=1, le=1000)] = 100
    page_seconds: Annotated[float, Meta(ge=0, le=60)] = 1.0
    """The pause between two pages of the catalogue: one call a second is what Bamboo allows."""

    def __post_init__(self) -> None:
        _check(self.base_url, self.client_id)


class RatesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[fx] use = "bamboo-rates"`"""

    client_id: str
    client_secret: Secret
    base_url: str = BAMBOO
    timeout: Annotated[float, Meta(gt=0, le=4.5)] = 4.0
    """Seconds without a byte of an answer; the core waits for 5."""

    def __post_init__(self) -> None:
        _check(self.base_url, self.client_id)


def _check(base_url: str, client_id: str) -> None:
    if not _SAFE.fullmatch(base_url):
        raise ValueError("base_url: must be https://… (http only to this machine itself)")
    if ":" in client_id:
        raise ValueError("client_id: a colon cannot be sent in HTTP Basic")
