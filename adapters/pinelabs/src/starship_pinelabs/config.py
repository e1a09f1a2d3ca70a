"""The section `[vendors.NAME] use = "pinelabs"`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from starship_core import Secret

_SAFE: Final = re.compile(r"https://[^/?#@\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


class PineLabsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[vendors.NAME] use = "pinelabs"`"""

    base_url: str
    """Told at onboarding; without a path, because the signature covers the address."""
    client_id: str
    client_secret: Secret
    """Signs every request."""
    username: str
    password: Secret
    category: str
    """The id of the category whose products are the catalogue."""
    firstname: str
    """Who orders: every order must name somebody."""
    lastname: str
    email: str
    telephone: str
    """With its country code: `+919800000001`."""
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "IN"
    sync_units: Annotated[int, Meta(ge=0)] = 4
    """Orders of at most so many units ask for their cards in the same call; larger ones do not."""
    timeout: Annotated[float, Meta(gt=0, le=80)] = 60.0
    """Seconds without a byte of an answer; Pine Labs asks for at least 40."""
    page_size: Annotated[int, Meta(ge=1, le=500)] = 100
    page_seconds: Annotated[float, Meta(ge=0, le=60)] = 1.0
    """The pause between two pages of the catalogue."""

    def __post_init__(self) -> None:
        if not _SAFE.fullmatch(self.base_url.rstrip("/")):
            raise ValueError("base_url: must be https://host (http only to this machine itself)")
