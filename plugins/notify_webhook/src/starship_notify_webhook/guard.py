"""The network as a webhook sees it: every connection goes to an address that was checked.

A name is resolved once for each connection, and the connection is made to the very addresses that
were looked at, so that a name server which answers differently the second time is not asked a
second time. TLS still proves the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final

from httpcore2 import (
    AnyIOBackend,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
)

from starship_core import Unavailable
from starship_notify_webhook.addresses import Address

CONNECT_SECONDS: Final = 4.0
"""For one of several addresses of a name; the next one may answer."""
MOST_ADDRESSES: Final = 4
LOOKUPS: Final = 32
"""Names that are resolved at once. The loop's own threads are few, and a name server that does
not answer would take them all.
"""

Resolve = Callable[[str], Sequence[Address]]


def resolve(host: str) -> Sequence[Address]:
    """All addresses of a name, in the system's order of preference; none: it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    numbers = dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found)
    return tuple(ip_address(number) for number in numbers)


class Names:
    """Resolves names in threads of its own; each name only once at a time."""

    def __init__(self, lookup: Resolve = resolve) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="webhook-names")
        self._asking: dict[str, asyncio.Future[Sequence[Address]]] = {}

    async def addresses(self, host: str) -> Sequence[Address]:
        """Whoever stops waiting leaves the question to the others."""
        asking = self._asking.get(host)
        if asking is None:
            loop = asyncio.get_running_loop()
            asking = loop.run_in_executor(self._threads, self._lookup, host)
            self._asking[host] = asking
            asking.add_done_callback(lambda _: self._asking.pop(host, None))
        return await asyncio.shield(asking)

    def close(self) -> None:
        """A lookup that hangs is left behind, not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Guard(AsyncNetworkBackend):
    """Connects where `permits` says so. One forbidden address among several refuses the name."""

    def __init__(
        self,
        names: Names,
        permits: Callable[[Address], bool],
        network: AsyncNetworkBackend | None = None,
    ) -> None:
        self._names = names
        self._permits = permits
        self._network = network or AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the parent's; `notify` has the deadline
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """Raises Unavailable for a name that must not be reached, ConnectError when none of its
        addresses answers.
        """
        found = await self._names.addresses(host)
        if not found:
            raise Unavailable("the receiver's name does not resolve")
        if not all(self._permits(address) for address in found):
            raise Unavailable("the receiver's address is not allowed: not a public one")
        failed: Exception | None = None
        for address in found[:MOST_ADDRESSES]:
            try:
                return await self._network.connect_tcp(
                    str(address), port, min(timeout or CONNECT_SECONDS, CONNECT_SECONDS),
                    local_address, socket_options,
                )  # fmt: skip
            except (ConnectError, ConnectTimeout) as error:  # the next one may answer
                failed = error
        raise failed or ConnectError
