"""Events sent to receivers on this machine, over real sockets."""

import asyncio
import hashlib
import hmac
import ssl
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import starship_notify_webhook
import trustme
from standardwebhooks import Webhook
from starship_notify_webhook import WebhookConfig
from starship_notify_webhook.addresses import Address
from starship_notify_webhook.delivery import LARGEST_ANSWER, open_webhooks

from starship_core import (
    PLUGIN_API,
    ConfigError,
    Notifier,
    OrderEvent,
    Secret,
    Target,
    Unavailable,
)
from starship_core.config_file import Place
from starship_core.testing.clock import ManualClock
from starship_core.testing.plugs import toolbox

(REGISTRATION,) = starship_notify_webhook.register_notifiers()
OLDER = "whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE="
NEWER = "whsec_YW5vdGhlciBvbmUsIHRoYXQgaXMgMzIgYnl0ZXMgdG9v"
EVENT = OrderEvent(
    event_id="evt_4411_1_order.delivered",
    event_type="order.delivered",
    created_at=datetime(2027, 1, 1, 9, 0, 0, 250_000, tzinfo=UTC),
    client_id=3,
    data={
        "id": 4411, "reference_code": "acme-77", "status": "DELIVERED", "sub_status": "COMPLETED",
        "product_id": 310, "denomination": "20.00", "quantity": 3, "amount": "58.80",
        "delivered_quantity": 3, "pendingItems": 0, "fulfilledFromCache": 3, "revision": 1,
    },
)  # fmt: skip

Answer = bytes | None


def http(status: int, body: bytes = b"", *extra: str) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *extra]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass
class Received:
    """One request, as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers each request, on connections that it keeps; None: it never does."""

    respond: Callable[[], Answer] = lambda: http(204)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    talks: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.talks.append(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                line, *fields = head.split("\r\n")[:-2]
                headers = dict(field.split(": ", 1) for field in fields)
                body = await reader.readexactly(int(headers["Content-Length"]))
                self.received.append(Received(line, headers, body))
                answer = self.respond()
                if answer is None:
                    await reader.read()
                    break
                writer.write(answer)
                await writer.drain()
                if not answer or b"Connection: close" in answer:
                    break
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    def target(self, path: str = "/hooks", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def receiving(
    respond: Callable[[], Answer] = lambda: http(204), tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    receiver = Receiver(respond)
    async with await asyncio.start_server(receiver.accept, "127.0.0.1", 0, ssl=tls) as sockets:
        receiver.port = sockets.sockets[0].getsockname()[1]
        yield receiver
    await asyncio.gather(*receiver.talks)


@asynccontextmanager
async def webhooks(
    clock: ManualClock | None = None,
    environment: Literal["live", "test"] = "test",
    **settings: Any,
) -> AsyncIterator[Notifier]:
    """The notifier, opened as the core opens it."""
    tools = replace(
        toolbox(Path(), "hooks"),
        environment=environment,
        now=clock or (lambda: datetime.now(UTC)),
    )
    async with REGISTRATION.open(WebhookConfig(**settings), tools) as notifier:
        yield notifier


def to(address: str, *secrets: str) -> Target:
    return Target(address=address, secrets=tuple(map(Secret, secrets or (OLDER,))))


async def test_what_a_receiver_gets_verifies_with_the_stock_library() -> None:
    """A client that knows Standard Webhooks needs nothing of ours."""
    async with receiving() as receiver, webhooks() as notifier:
        await notifier.notify(EVENT, to(receiver.target("/hooks?shop=7")))
    (got,) = receiver.received
    assert got.line == "POST /hooks?shop=7 HTTP/1.1"
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["Content-Type"] == "application/json"
    assert Webhook(OLDER).verify(got.body, got.headers) == {
        "event_id": "evt_4411_1_order.delivered",
        "event_type": "order.delivered",
        "created_at": "2027-01-01T09:00:00.250000Z",
        "data": EVENT.data,
    }


async def test_what_a_receiver_gets_verifies_the_documented_way() -> None:
    """`X-Signature` of `timestamp.body`, keyed by the whole secret, computed here by itself."""
    async with receiving() as receiver, webhooks() as notifier:
        await notifier.notify(EVENT, to(receiver.target()))
    (got,) = receiver.received
    text = f"{got.headers['X-Timestamp']}.{got.body.decode()}".encode()
    expected = hmac.new(OLDER.encode(), text, hashlib.sha256).hexdigest()
    assert got.headers["X-Signature"] == expected


async def test_while_secrets_are_rotated_a_receiver_may_have_either() -> None:
    """The Standard header satisfies both; the legacy one stays with the older."""
    async with receiving() as receiver, webhooks() as notifier:
        await notifier.notify(EVENT, to(receiver.target(), OLDER, NEWER))
    (got,) = receiver.received
    for secret in (OLDER, NEWER):
        assert Webhook(secret).verify(got.body, got.headers)["data"] == EVENT.data
    text = f"{got.headers['X-Timestamp']}.".encode() + got.body
    assert got.headers["X-Signature"] == hmac.digest(OLDER.encode(), text, "sha256").hex()


async def test_every_attempt_has_the_same_body_and_a_fresh_timestamp(clock: ManualClock) -> None:
    """Also when the data came back from the database in another order."""
    answers = iter((http(500), http(200)))
    async with receiving(lambda: next(answers)) as receiver, webhooks(clock) as notifier:
        with pytest.raises(Unavailable, match="the receiver answered with HTTP 500"):
            await notifier.notify(EVENT, to(receiver.target()))
        clock.advance(seconds=30)
        again = msgspec.structs.replace(EVENT, data=dict(reversed(EVENT.data.items())))
        await notifier.notify(again, to(receiver.target()))
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == EVENT.event_id
    stamps = [int(got.headers["webhook-timestamp"]) for got in receiver.received]
    assert stamps == [int(clock().timestamp()) - 30, int(clock().timestamp())]
    assert first.headers["X-Signature"] != second.headers["X-Signature"]


async def test_connections_are_kept_for_the_next_event() -> None:
    """Ten events to one receiver are one connection, whatever it writes into its answers."""
    bodies = iter([b"", b"ok", b"x" * LARGEST_ANSWER] * 4)
    async with receiving(lambda: http(200, next(bodies))) as receiver, webhooks() as notifier:
        for _ in range(10):
            await notifier.notify(EVENT, to(receiver.target()))
    assert (len(receiver.received), receiver.connections) == (10, 1)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_a_delivery(status: int) -> None:
    """Whatever comes along with it."""
    async with receiving(lambda: http(status)) as receiver, webhooks() as notifier:
        await notifier.notify(EVENT, to(receiver.target()))
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (http(301, b"", "Location: /elsewhere"), "the receiver answered with HTTP 301"),
        (http(308, b"", "Location: /elsewhere"), "the receiver answered with HTTP 308"),
        (http(304), "the receiver answered with HTTP 304"),
        (http(400), "the receiver answered with HTTP 400"),
        (http(410), "the receiver answered with HTTP 410"),
        (http(429, b"", "Retry-After: 60"), "the receiver answered with HTTP 429"),
        (http(503), "the receiver answered with HTTP 503"),
        (b"", "the receiver gave no answer (RemoteProtocolError)"),
        (b"hello\r\n\r\n", "the receiver gave no answer (RemoteProtocolError)"),
    ],
)
async def test_anything_else_is_to_be_tried_again(answer: bytes, told: str) -> None:
    """Sent once, redirects not followed, and the message names no address."""
    async with receiving(lambda: answer) as receiver, webhooks() as notifier:
        with pytest.raises(Unavailable) as caught:
            await notifier.notify(EVENT, to(receiver.target("/hooks?token=s3cret")))
    assert str(caught.value) == told
    assert [got.line for got in receiver.received] == ["POST /hooks?token=s3cret HTTP/1.1"]


async def test_no_answer_within_the_deadline() -> None:
    """15 seconds unless the section says otherwise, and then it is over."""
    assert WebhookConfig().timeout == 15
    async with receiving(lambda: None) as receiver, webhooks(timeout=0.2) as notifier:
        with pytest.raises(Unavailable, match=r"the receiver gave no answer in 0\.2 s"):
            await notifier.notify(EVENT, to(receiver.target()))


async def test_nobody_listens() -> None:
    """A refused connection is no answer."""
    async with receiving() as receiver:
        pass
    async with webhooks() as notifier:
        with pytest.raises(Unavailable, match=r"the receiver gave no answer \(ConnectError\)"):
            await notifier.notify(EVENT, to(receiver.target()))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nnonsense\r\n",
        http(200, b"x" * (LARGEST_ANSWER * 20)),
    ],
)
async def test_once_the_status_is_there_the_rest_does_not_matter(answer: bytes) -> None:
    """An answer that never ends, breaks off, or is huge: it was delivered, and is read no more.

    The deadline is shorter than the time for reading: once there is a status, it is over.
    """
    async with receiving(lambda: answer) as receiver, webhooks(timeout=0.8) as notifier:
        await notifier.notify(EVENT, to(receiver.target()))
        await notifier.notify(EVENT, to(receiver.target()))
    assert (len(receiver.received), receiver.connections) == (2, 2)


async def test_a_slow_receiver_delays_no_other() -> None:
    """A hundred events wait for one; fifty for another go through meanwhile."""
    async with (
        receiving(lambda: None) as slow,
        receiving() as quick,
        webhooks(timeout=2) as notifier,
    ):
        waiting = [
            asyncio.ensure_future(notifier.notify(EVENT, to(slow.target()))) for _ in range(100)
        ]
        await asyncio.gather(*(notifier.notify(EVENT, to(quick.target())) for _ in range(50)))
        assert (len(quick.received), sum(task.done() for task in waiting)) == (50, 0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


INWARD = [
    "127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", INWARD)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_in_a_live_deployment_this_machine_is_out_of_reach(scheme: str, host: str) -> None:
    """Under whatever name or number: not one connection is made."""
    async with receiving() as receiver, webhooks(environment="live") as notifier:
        with pytest.raises(Unavailable, match="the receiver's address is not allowed"):
            await notifier.notify(EVENT, to(receiver.target(scheme=scheme, host=host)))
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        "https://10.0.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data",
        "https://[fd00::1]/", "https://[::ffff:10.0.0.1]/", "https://100.100.100.200/",
        "http://10.0.0.1/", "http://8.8.8.8/", "ftp://127.0.0.1/", "http://127.0.0.1@8.8.8.8/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("environment", ["live", "test"])
async def test_what_is_out_of_reach_everywhere(
    address: str, environment: Literal["live", "test"]
) -> None:
    """Private networks, metadata services, and the world without TLS."""
    async with webhooks(environment=environment, timeout=2) as notifier:
        with pytest.raises(Unavailable, match="the receiver's address is not allowed"):
            await notifier.notify(EVENT, to(address))


async def test_networks_that_the_deployer_refuses() -> None:
    """Their own public addresses, for one, which lead back inside."""
    async with webhooks(refuse=["8.8.8.0/24"], timeout=2) as notifier:
        with pytest.raises(Unavailable, match="the receiver's address is not allowed"):
            await notifier.notify(EVENT, to("https://8.8.8.8/"))


class Names:
    """A name server that answers once, and then differently."""

    def __init__(self, *answers: str) -> None:
        self.answers = iter(answers)

    def __call__(self, host: str) -> Sequence[Address]:
        return [ip_address(next(self.answers))]


async def test_a_name_that_turns_inwards_is_not_followed() -> None:
    """DNS rebinding, with sockets: the first answer is connected to, the second one is refused."""
    names = Names("127.0.0.1", "10.0.0.1")
    async with (
        receiving(lambda: http(200, b"", "Connection: close")) as receiver,
        open_webhooks(WebhookConfig(timeout=2), toolbox(Path()), names) as notifier,
    ):
        address = receiver.target(host="rebinding.example")
        await notifier.notify(EVENT, to(address))
        with pytest.raises(Unavailable, match="the receiver's address is not allowed"):
            await notifier.notify(EVENT, to(address))
    assert [got.headers["Host"] for got in receiver.received] == [
        f"rebinding.example:{receiver.port}"
    ]


@dataclass(frozen=True)
class Certified:
    """A receiver's side of TLS, and the file that a deployer would name."""

    context: ssl.SSLContext
    ca_file: Path


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certified(authority: trustme.CA, tmp_path: Path) -> Callable[[str], Certified]:
    """Certificates for a name, of an authority that nobody trusts by itself."""

    def certify(name: str) -> Certified:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        return Certified(context, tmp_path / "ca.pem")

    return certify


async def test_over_tls_the_name_is_proved(certified: Callable[[str], Certified]) -> None:
    """Connected to a number, certified for the name; twice on one connection."""
    shop = certified("shop.example")
    config = WebhookConfig(ca_file=shop.ca_file)
    async with (
        receiving(tls=shop.context) as receiver,
        open_webhooks(config, toolbox(Path()), Names("127.0.0.1")) as notifier,
    ):
        address = receiver.target(scheme="https", host="shop.example")
        await notifier.notify(EVENT, to(address))
        await notifier.notify(EVENT, to(address))
    assert receiver.connections == 1
    assert [got.headers["Host"] for got in receiver.received] == [
        f"shop.example:{receiver.port}"
    ] * 2


async def test_a_certificate_that_does_not_fit(certified: Callable[[str], Certified]) -> None:
    """For another name, or of an authority that is not known: nothing is sent."""
    shop = certified("other.example")
    for config in (WebhookConfig(ca_file=shop.ca_file), WebhookConfig()):
        async with (
            receiving(tls=shop.context) as receiver,
            open_webhooks(config, toolbox(Path()), Names("127.0.0.1")) as notifier,
        ):
            address = receiver.target(scheme="https", host="shop.example")
            with pytest.raises(Unavailable, match=r"gave no answer \(ConnectError\)"):
                await notifier.notify(EVENT, to(address))
        assert receiver.received == []


def read(section: str) -> tuple[WebhookConfig | None, list[str]]:
    """As the core does, from TOML into the registration's own type."""
    place = Place(file=Path("starship.toml"), section="notifiers.webhooks")
    return place.fit(tomllib.loads(section), REGISTRATION.config)


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("timeout = 0", " timeout: expected `float` > 0.0"),
        ("timeout = 61", " timeout: expected `float` <= 60.0"),
        ('refuse = ["8.8.8.8/24"]', " '8.8.8.8/24' is no network such as 192.0.2.0/24"),
        ("retries = 3", " retries: there is no such field"),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section: str, complaint: str) -> None:
    """Before anything has started."""
    settings, problems = read(section)
    assert settings is None
    assert len(problems) == 1
    assert problems[0].startswith(f"starship.toml: [notifiers.webhooks]{complaint}")


def test_the_section_of_the_readme_is_accepted() -> None:
    """As the core reads it, paths relative to the file."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    section = readme.partition('use = "notify-webhook"\n')[2].partition("```")[0]
    assert read(section) == (
        WebhookConfig(timeout=10, refuse=["198.51.100.0/24"], ca_file=Path("private-ca.pem")),
        [],
    )


async def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    """Told when it is opened, not with the first event."""
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=f"{name} cannot be used"):
            async with webhooks(ca_file=tmp_path / name):
                pass


def test_the_registration_is_light() -> None:
    """One of this plugin API; to list it no HTTP client is loaded."""
    assert (REGISTRATION.name, REGISTRATION.kind) == ("notify-webhook", "notifier")
    assert REGISTRATION.api == PLUGIN_API
    script = "import sys, starship_notify_webhook; sys.exit('httpcore2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
