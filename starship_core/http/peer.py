"""Where a request comes from: the peer, or what trusted proxies say of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starship_core.access import Address, address
from starship_core.errors import ConfigError


class Peers:
    """`trusted` is `[server] trusted_proxies`: addresses or CIDRs. Raises ConfigError."""

    def __init__(self, trusted: Sequence[str]) -> None:
        try:
            self._trusted = tuple(ipaddress.ip_network(each) for each in trusted)
        except ValueError as error:
            raise ConfigError(f"[server] trusted_proxies: {error}") from None

    def address(self, peer: Sequence[object] | None, forwarded: bytes) -> Address | None:
        """The peer's, or behind trusted proxies the right-most hop that is not one of them.

        None: unknown, for there is no peer (a Unix socket) or a proxy passed on what is no address.
        """
        where = address(str(peer[0])) if peer else None
        if not self._trusted or not forwarded:
            return where
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            if where is None or not any(where in each for each in self._trusted):
                break
            where = address(hop.strip())
        return where


def neighbourhood(where: Address | None) -> str:
    """Who counts as one when failures are counted: an IPv4 address, an IPv6 /64."""
    if isinstance(where, ipaddress.IPv6Address):
        return f"{int(where) >> 64:x}"
    return str(where)
