"""Where a webhook may go: what its address may look like, and what a name may resolve to.

The networks are written out, after IANA's registries of special-purpose addresses, because what
`ipaddress` calls private differs between versions of Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST: Final = 2048

_INNER_4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server: public by number only
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_OUTER_6: Final = IPv6Network("2000::/3")
"""Global unicast; all else is local, multicast, or means an IPv4 address."""
_INNER_6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries an IPv4 address
        "3fff::/20",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")

_LABEL: Final = r"(?!-)[A-Za-z0-9_-]{1,63}"
_PATH: Final = r"[A-Za-z0-9\-._~:/@!$&'()*+,;=%]"
_ADDRESS: Final = re.compile(
    r"(?P<scheme>(?i:https?))://"
    rf"(?P<authority>(?:\[(?P<number>[0-9A-Fa-f:.]+)\]|(?P<name>{_LABEL}(?:\.{_LABEL})*\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?)"
    rf"(?P<path>/{_PATH}*)?(?P<query>\?(?:{_PATH}|\?)*)?",
    re.ASCII,
)


class Endpoint(NamedTuple):
    """An address, taken apart once, so that what is checked is what is asked."""

    scheme: str
    host: str
    """A name, or a number without brackets."""
    port: int | None
    authority: str
    """Host and port as they were written: the `Host` header."""
    target: str
    """Path and query."""


def endpoint(address: str) -> Endpoint:
    """Raises ValueError, saying what is wrong, for what is no plain http or https address."""
    if len(address) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"] or 1) if found else 0
    if not found or not 0 < port < 65536 or not (found["name"] or _is_number(found["number"])):
        raise ValueError("is no http or https address in plain ASCII, without user and fragment")
    return Endpoint(
        scheme=found["scheme"].lower(),
        host=found["name"] or found["number"],
        port=port if found["port"] else None,
        authority=found["authority"],
        target=f"{found['path'] or '/'}{found['query'] or ''}",
    )


def is_public(address: Address, refused: Sequence[Network] = ()) -> bool:
    """Whether anyone's packets could reach it; `refused` are further networks that are ours."""
    inside = plain(address)
    if any(inside in network or address in network for network in refused):
        return False
    if isinstance(inside, IPv4Address):
        return not any(inside in network for network in _INNER_4)
    if inside in _NAT64:
        embedded = IPv4Address(int(inside) & 0xFFFFFFFF)
        return is_public(embedded, refused)
    return inside in _OUTER_6 and not any(inside in network for network in _INNER_6)


def is_loopback(address: Address) -> bool:
    """Whether it is this machine, under whatever number."""
    return plain(address).is_loopback


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one of the form `::ffff:10.0.0.1` is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def network(text: str) -> Network:
    """`192.0.2.0/24`. Raises ValueError."""
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no network such as 192.0.2.0/24") from None


def _is_number(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
