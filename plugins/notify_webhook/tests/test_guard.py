"""Names and connections, with a network that only writes down where it was asked to connect."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from httpcore2 import AsyncMockStream, AsyncNetworkBackend, ConnectError, ConnectTimeout
from starship_notify_webhook.addresses import Address, is_public
from starship_notify_webhook.guard import LOOKUPS, MOST_ADDRESSES, Guard, Names, resolve

from starship_core import Unavailable


class Network(AsyncNetworkBackend):
    """Connects to every address but the dead ones."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.asked: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *_others: Any) -> AsyncMockStream:
        self.asked.append((host, port))
        if host in self.dead:
            raise ConnectTimeout
        return AsyncMockStream([])


class Answers:
    """A name server that gives one answer after the other."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = iter(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        return [ip_address(number) for number in next(self.answers)]


@pytest.fixture
def guarded() -> Iterator[Callable[..., Guard]]:
    """A guard over a lookup and a network."""
    made: list[Names] = []

    def make(lookup: Callable[[str], Sequence[Address]], network: Network) -> Guard:
        made.append(Names(lookup))
        return Guard(made[-1], is_public, network)

    yield make
    for names in made:
        names.close()


async def test_the_connection_goes_to_the_address_that_was_checked(
    guarded: Callable[..., Guard],
) -> None:
    """A name that turns inwards right after the look was looked up once, and is not again."""
    network, lookup = Network(), Answers(["8.8.8.8"], ["127.0.0.1"])
    guard = guarded(lookup, network)
    await guard.connect_tcp("rebinding.example", 443)
    assert lookup.asked == ["rebinding.example"]
    assert network.asked == [("8.8.8.8", 443)]
    with pytest.raises(Unavailable, match="not a public one"):
        await guard.connect_tcp("rebinding.example", 443)
    assert network.asked == [("8.8.8.8", 443)]


@pytest.mark.parametrize(
    "found",
    [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1", "::ffff:169.254.169.254"], ["::"]],
)
async def test_one_forbidden_address_refuses_the_name(
    guarded: Callable[..., Guard], found: list[str]
) -> None:
    """Nobody is connected to, and the message does not tell what the name resolved to."""
    network = Network()
    with pytest.raises(Unavailable) as caught:
        await guarded(Answers(found), network).connect_tcp("inner.example", 443)
    assert str(caught.value) == "the receiver's address is not allowed: not a public one"
    assert network.asked == []


async def test_the_next_address_is_tried(guarded: Callable[..., Guard]) -> None:
    """In the order of the answer, a few of them, and no longer than one that works."""
    network = Network("2606:4700::1", "8.8.8.8")
    lookup = Answers(["2606:4700::1", "8.8.8.8", "8.8.4.4", "1.1.1.1"])
    await guarded(lookup, network).connect_tcp("shop.example", 8443)
    assert network.asked == [("2606:4700::1", 8443), ("8.8.8.8", 8443), ("8.8.4.4", 8443)]


async def test_where_no_address_answers(guarded: Callable[..., Guard]) -> None:
    """The last one's fault is told, after so many."""
    many = [f"8.8.8.{number}" for number in range(9)]
    network = Network(*many)
    with pytest.raises(ConnectTimeout):
        await guarded(Answers(many), network).connect_tcp("shop.example", 443)
    assert [host for host, _ in network.asked] == many[:MOST_ADDRESSES]


async def test_a_name_that_does_not_resolve(guarded: Callable[..., Guard]) -> None:
    """Told as that."""
    with pytest.raises(Unavailable, match="the receiver's name does not resolve"):
        await guarded(Answers([]), Network()).connect_tcp("nowhere.example", 443)


def test_numbers_in_disguise_are_numbers() -> None:
    """The system's resolver reads them like this, so what is checked is what they mean."""
    here = (IPv4Address("127.0.0.1"),)
    for host in ("127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433"):
        assert resolve(host) == here
    assert resolve("::ffff:7f00:1") == (ip_address("::ffff:127.0.0.1"),)
    assert ip_address("127.0.0.1") in resolve("localhost")


def test_a_name_that_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No such name, or a label that is too long for any: it has no address."""

    def none(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    assert resolve("nowhere.example") == ()
    monkeypatch.undo()
    assert resolve(f"{'x' * 64}.example") == ()


async def test_a_name_server_that_hangs_holds_one_thread() -> None:
    """Of a hundred events for one dead name one asks; another name is resolved at once."""
    ends, asked = threading.Event(), []

    def lookup(host: str) -> Sequence[Address]:
        asked.append(host)
        if host == "dead.example":
            ends.wait(30)
        return (IPv4Address("8.8.8.8"),)

    names = Names(lookup)
    try:
        waiting = [asyncio.ensure_future(names.addresses("dead.example")) for _ in range(100)]
        assert await names.addresses("shop.example") == (IPv4Address("8.8.8.8"),)
        waiting[0].cancel()
        ends.set()
        assert await waiting[1] == (IPv4Address("8.8.8.8"),)
        assert (await asyncio.gather(*waiting, return_exceptions=True))[2:] == [
            (IPv4Address("8.8.8.8"),)
        ] * 98
    finally:
        ends.set()
        names.close()
    assert sorted(asked) == ["dead.example", "shop.example"]
    assert LOOKUPS > 1


async def test_a_name_is_asked_for_anew_each_time() -> None:
    """An answer is used for the connection that it was asked for, and not kept."""
    lookup = Answers(["8.8.8.8"], ["8.8.4.4"])
    names = Names(lookup)
    try:
        assert await names.addresses("shop.example") == [IPv4Address("8.8.8.8")]
        assert await names.addresses("shop.example") == [IPv4Address("8.8.4.4")]
    finally:
        names.close()


async def test_the_error_without_a_reason(guarded: Callable[..., Guard]) -> None:
    """A refused connection stays what it is."""

    class Refusing(Network):
        async def connect_tcp(self, host: str, port: int, *_others: Any) -> AsyncMockStream:
            self.asked.append((host, port))
            raise ConnectError

    with pytest.raises(ConnectError):
        await guarded(Answers(["8.8.8.8"]), Refusing()).connect_tcp("shop.example", 443)
