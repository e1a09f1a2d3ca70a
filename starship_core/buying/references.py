"""Our reference for a purchase: derived from its id, in the form that the vendor takes.

The same id gives the same reference in every process and after every crash. Deployments differ,
because the bytes come from a key of the deployment that never rotates.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from starship_core.errors import ConfigError
from starship_core.registration import ReferenceRule

Derive = Callable[[str], bytes]
"""`vault.derive`: 32 bytes of ours for a name."""

_TAG: Final = 8
"""Characters of the deployment's own in front of the number, where there is room for them."""
_ROOM: Final = 12
"""Characters that the number may need: 10¹² purchases in digits alone."""


def reference_of(purchase_id: int, rule: ReferenceRule, derive: Derive) -> str:
    """Raises ConfigError when the rule leaves no room: a reference is never truncated."""
    if rule.form != "text":
        digest = derive(f"purchase:{purchase_id}")
        return str(uuid.UUID(bytes=digest[:16], version=4))
    alphabet = "".join(dict.fromkeys(rule.alphabet))
    if len(alphabet) < 2:
        raise ConfigError("a vendor's references need an alphabet of at least two characters")
    number = _digits(purchase_id, alphabet)
    tag = min(_TAG, max(rule.longest - _ROOM, 0))
    text = _tag(derive("purchase"), alphabet, tag) + number
    if len(text) > rule.longest:
        raise ConfigError(f"purchase {purchase_id} has no reference of {rule.longest} characters")
    return text


def _digits(number: int, alphabet: str) -> str:
    text = ""
    while number:
        number, digit = divmod(number, len(alphabet))
        text = alphabet[digit] + text
    return text or alphabet[0]


def _tag(digest: bytes, alphabet: str, length: int) -> str:
    """Of one length for all purchases of a deployment, so that numbers never run together."""
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:length])
