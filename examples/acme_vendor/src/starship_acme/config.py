"""The section `[vendors.NAME] use = "acme"`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct
from starship_core import Secret

_SAFE: Final = re.compile(
    r"https://[^/?#@\s]+(/[^?#\s]*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?"
)


class AcmeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[vendors.NAME] use = "acme"`"""

    base_url: str
    """Told at onboarding."""
    api_key: Secret
    timeout: Annotated[float, Meta(gt=0, le=60)] = 30.0
    """Seconds without a byte of an answer."""

    def __post_init__(self) -> None:
        if not _SAFE.fullmatch(self.base_url):
            raise ValueError("base_url: must be https://… (http only to this machine itself)")
