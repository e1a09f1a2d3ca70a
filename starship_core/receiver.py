"""What a webhook's address may look like. Where its name leads is checked when it is sent to."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from starship_core.errors import InvalidInput
from starship_core.model import Environment

LONGEST: Final = 2048
_LABEL: Final = r"(?!-)[A-Za-z0-9_-]{1,63}"
_PATH: Final = r"[A-Za-z0-9\-._~:/@!$&'()*+,;=%]"
_URL: Final = re.compile(
    rf"(?P<scheme>(?i:https?))://(?:\[(?P<number>[0-9A-Fa-f:.]+)\]|(?P<name>{_LABEL}(?:\.{_LABEL})*"
    rf"\.?))(?::(?P<port>[0-9]{{1,5}}))?(?:/{_PATH}*)?(?:\?(?:{_PATH}|\?)*)?",
    re.ASCII,
)


def require_receiver(url: str, environment: Environment) -> None:
    """Raises InvalidInput unless it is https, or in a test deployment http to this machine."""
    found = _URL.fullmatch(url) if len(url) <= LONGEST else None
    if not found or not 0 < int(found["port"] or 443) < 65536:
        raise _refused("is no https address in plain ASCII, without user and fragment")
    host = (found["number"] or found["name"]).rstrip(".").lower()
    address = _address(host)
    if found["number"] and address is None:
        raise _refused("has a number for its host that is no address")
    at_home = host == "localhost" or (address is not None and address.is_loopback)
    if at_home and environment == "test":
        return
    if found["scheme"].lower() != "https":
        raise _refused("must be https; in a test deployment it may be http to this machine")
    if at_home or (address is not None and not address.is_global):
        raise _refused("does not lead to a public address")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refused(what: str) -> InvalidInput:
    return InvalidInput(f"url: it {what}", field="url")
