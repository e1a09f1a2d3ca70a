"""The section `[vendors.NAME] use = "voucherkart"`."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from starship_core import Secret
from starship_voucherkart.codes import OK
from starship_voucherkart.dialect import NAMES, PATHS, PLAIN_ANSWERS, PLAIN_REQUESTS, unknown

_SAFE: Final = re.compile(
    r"https://[^?#@\s]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?"
)


class VoucherKartConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[vendors.NAME] use = "voucherkart"`, `"voucherkart-rejects"` or `"voucherkart-replays"`"""

    base_url: str
    """Told by VoucherKart: `https://host`."""
    username: str
    password: Secret
    aes_key: Secret
    """32 characters: seals requests and opens answers."""
    aes_iv: Secret
    """16 characters."""
    timeout: Annotated[float, Meta(gt=0, le=80)] = 60.0
    """Seconds without a byte of an answer."""
    login_minutes: Annotated[float, Meta(gt=0)] = 25.0
    """How long a token is used before a new one is asked for."""
    paths: dict[str, str] = {}
    """Calls that have another path: `pull = "API/v2/order"`."""
    names: dict[str, str] = {}
    """Fields and headers that have another name: `ExternalOrderId = "ClientRef"`."""
    plain_requests: tuple[str, ...] = PLAIN_REQUESTS
    """Calls whose request is not sealed."""
    plain_answers: tuple[str, ...] = PLAIN_ANSWERS
    """Calls whose answer is not sealed."""
    refusals: dict[str, str] = {}
    """Codes that say that nothing was bought, each with words that must stand in its text."""

    def __post_init__(self) -> None:
        if not _SAFE.fullmatch(self.base_url):
            raise ValueError(
                "base_url: must be https://host/path (http only to this machine itself)"
            )
        for field, given, known in (
            ("paths", self.paths, PATHS),
            ("plain_requests", self.plain_requests, PATHS),
            ("plain_answers", self.plain_answers, PATHS),
            ("names", self.names, NAMES),
        ):
            if told := unknown(given, known):
                raise ValueError(f"{field}: {told}")
        if len({self.names.get(name, name) for name in NAMES}) != len(NAMES):
            raise ValueError("names: two fields have the same name")
        if OK in self.refusals or not all(word.strip() for word in self.refusals.values()):
            raise ValueError(f'refusals: a code other than {OK} with words: ER047 = "sold out"')
