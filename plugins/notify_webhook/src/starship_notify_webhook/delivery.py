"""One POST to one receiver: sent once, and only 2xx counts."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

import httpcore2

from starship_core import ConfigError, Notifier, OrderEvent, Target, Toolbox, Unavailable
from starship_notify_webhook import WebhookConfig
from starship_notify_webhook.addresses import Address, Endpoint, endpoint, is_loopback, is_public
from starship_notify_webhook.addresses import network as network_of
from starship_notify_webhook.guard import Guard, Names, Resolve, resolve
from starship_notify_webhook.signing import body, headers

IDLE_SECONDS: Final = 1.5
"""A connection is kept for less than the servers that close soonest (2 s) keep it, so that no event
is written into one that is being closed.
"""
MOST_IDLE: Final = 200
LARGEST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read, so that its connection can be used again."""
ANSWER_SECONDS: Final = 1.0
"""For those bytes; the status has been told by then."""

POOLS: Final = 16
"""A pool looks at each of its connections before each request, so there are several small ones."""

_Pools = Mapping[str, Sequence[httpcore2.AsyncConnectionPool]]
_FAULTS: Final = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    OSError,
    ValueError,
)


class Webhooks:
    """A `Notifier`. It holds connections and nothing else; an event is sent by whoever calls."""

    def __init__(self, pools: _Pools, *, seconds: float, now: Callable[[], datetime]) -> None:
        self._pools = pools
        self._seconds = seconds
        self._now = now

    async def notify(self, event: OrderEvent, to: Target) -> None:
        """Raises Unavailable for anything but a 2xx in time; its text names no address."""
        receiver, pool = self._receiver(to.address)
        content = body(event)
        signed = headers(event.event_id, content, to.secrets, at=self._now())
        status = 0
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                async with pool.stream(
                    "POST",
                    httpcore2.URL(
                        scheme=receiver.scheme,
                        host=receiver.host,
                        port=receiver.port,
                        target=receiver.target,
                    ),
                    headers=[("Host", receiver.authority), *signed],
                    content=content,
                ) as response:
                    status = response.status
                    deadline.reschedule(None)
                    await _read(response)
        except TimeoutError:
            raise Unavailable(f"the receiver gave no answer in {self._seconds:g} s") from None
        except _FAULTS as error:
            if not status:
                raise Unavailable(f"the receiver gave no answer ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise Unavailable(f"the receiver answered with HTTP {status}")

    def _receiver(self, address: str) -> tuple[Endpoint, httpcore2.AsyncConnectionPool]:
        try:
            receiver = endpoint(address)
        except ValueError as error:
            raise Unavailable(f"the receiver's address is not allowed: it {error}") from None
        pools = self._pools.get(receiver.scheme)
        if pools is None:
            raise Unavailable("the receiver's address is not allowed: it is not https")
        return receiver, pools[zlib.crc32(address.encode()) % POOLS]


async def _read(response: httpcore2.Response) -> None:
    """What is left of an answer, within bounds; whatever happens to it changes nothing."""
    size = 0
    with suppress(TimeoutError, *_FAULTS):
        async with asyncio.timeout(ANSWER_SECONDS):
            async for piece in response.aiter_stream():
                size += len(piece)
                if size > LARGEST_ANSWER:
                    return


@asynccontextmanager
async def open_webhooks(
    config: WebhookConfig, toolbox: Toolbox, lookup: Resolve = resolve
) -> AsyncIterator[Notifier]:
    """Public receivers over TLS; in a test deployment also this machine, and there without."""
    refused = [network_of(text) for text in config.refuse]
    test = toolbox.environment == "test"

    def permits(address: Address) -> bool:
        return is_public(address, refused) or (test and is_loopback(address))

    names = Names(lookup)
    rules = {"https": permits} | ({"http": is_loopback} if test else {})
    context = _context(config.ca_file)
    async with AsyncExitStack() as stack:
        stack.callback(names.close)
        pools = {
            scheme: [
                await stack.enter_async_context(
                    httpcore2.AsyncConnectionPool(
                        ssl_context=context,
                        max_connections=None,  # how many at once is the core's to say
                        max_keepalive_connections=MOST_IDLE // POOLS,
                        keepalive_expiry=IDLE_SECONDS,
                        network_backend=Guard(names, rule),
                    )
                )
                for _ in range(POOLS)
            ]
            for scheme, rule in rules.items()
        }
        yield Webhooks(pools, seconds=config.timeout, now=toolbox.now)


@cache
def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Made once a process: reading the certificates of all authorities takes 30 ms."""
    context = httpcore2.default_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError(f"ca_file {ca_file} cannot be used: {reason}") from None
    return context
