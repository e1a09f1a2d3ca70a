"""Letters given to mail servers on this machine, over real sockets."""

import asyncio
import ssl
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import starship_notify_email
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from starship_notify_email import EmailConfig

from starship_core import (
    PLUGIN_API,
    ConfigError,
    InvalidInput,
    Notifier,
    OrderEvent,
    Secret,
    Target,
    Unavailable,
)
from starship_core.config_file import Place
from starship_core.testing.clock import ManualClock
from starship_core.testing.plugs import toolbox

(REGISTRATION,) = starship_notify_email.register_notifiers()
ALL = Target(address="")
OPERATORS = ["ops@shop.example", "night@shop.example"]
EVENT = OrderEvent(
    event_id="ntc_12_stock.low",
    event_type="stock.low",
    created_at=datetime(2027, 1, 4, 9, 29, 59, tzinfo=UTC),
    client_id=0,
    data={"summary": "7 units left", "product_id": 310},
)


@dataclass
class Inbox:
    """A mail server's side: what it took, and what it says to whom."""

    refuses: dict[str, str] = field(default_factory=dict)
    after_data: str = "250 OK"
    taken: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[LoginPassword] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd asks for it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return self.after_data

    def authenticate(self, *given: Any) -> AuthResult:
        login = given[4]
        self.logins.append(login)
        return AuthResult(
            success=login == LoginPassword(b"starship", b"its-password"), handled=False
        )


@asynccontextmanager
async def receiving(
    tls: ssl.SSLContext | None = None, *, implicit: bool = False, **inbox: Any
) -> AsyncIterator[Inbox]:
    box = Inbox(**inbox)

    def connected() -> SMTP:
        return SMTP(
            box,
            hostname="mail.shop.example",
            tls_context=None if implicit else tls,
            authenticator=box.authenticate if tls else None,
            auth_require_tls=not implicit,
        )

    loop = asyncio.get_running_loop()
    ssl_now = tls if implicit else None
    async with await loop.create_server(connected, "127.0.0.1", 0, ssl=ssl_now) as sockets:
        box.port = sockets.sockets[0].getsockname()[1]
        yield box
        await asyncio.sleep(0)


@asynccontextmanager
async def mail(
    port: int, clock: ManualClock | None = None, log: Any = None, **settings: Any
) -> AsyncIterator[Notifier]:
    """The notifier, opened as the core opens it."""
    config = EmailConfig(
        **{
            "host": "127.0.0.1", "port": port, "sender": "starship@shop.example",
            "to": OPERATORS, "tls": "none", **settings,
        }
    )  # fmt: skip
    tools = toolbox(Path(), "ops-mail")
    tools = replace(tools, now=clock or tools.now, log=log or tools.log)
    async with REGISTRATION.open(config, tools) as notifier:
        yield notifier


async def test_operators_get_a_letter(clock: ManualClock) -> None:
    """All of the section's addresses, in one go; dated by the clock that we are given."""
    async with receiving() as inbox, mail(inbox.port, clock) as notifier:
        await notifier.notify(EVENT, ALL)
    (envelope,) = inbox.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("starship@shop.example", OPERATORS)
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content)
    assert message["Subject"] == "[starship test] stock.low: 7 units left"
    assert message["To"] == "ops@shop.example, night@shop.example"
    assert message["Date"] == "Fri, 01 Jan 2027 00:00:00 +0000"
    assert "product_id: 310" in str(message.get_payload())


async def test_one_operator_may_be_named() -> None:
    """One of the section's addresses; anybody else is refused before a connection is made."""
    async with receiving() as inbox, mail(inbox.port) as notifier:
        await notifier.notify(EVENT, Target(address="night@shop.example"))
        with pytest.raises(InvalidInput, match="to the addresses of the section, and to no other"):
            await notifier.notify(EVENT, Target(address="client@other.example"))
    assert [envelope.rcpt_tos for envelope in inbox.taken] == [["night@shop.example"]]


async def test_a_recipient_that_the_server_refuses() -> None:
    """The others get it, and the log says how many did not, without their names."""
    logged: list[tuple[str, dict[str, Any]]] = []

    def log(name: str, **ids: Any) -> None:
        logged.append((name, ids))

    async with (
        receiving(refuses={"night@shop.example": "550 no such user"}) as inbox,
        mail(inbox.port, log=log) as notifier,
    ):
        await notifier.notify(EVENT, ALL)
    assert [envelope.rcpt_tos for envelope in inbox.taken] == [["ops@shop.example"]]
    assert logged == [("email.recipients_refused", {"event": "ntc_12_stock.low", "refused": 1})]


@pytest.mark.parametrize(
    ("inbox", "told"),
    [
        (
            {"refuses": dict.fromkeys(OPERATORS, "450 mailbox busy")},
            "the mail server refused every recipient",
        ),
        ({"after_data": "451 try again later"}, "the mail server answered with 451"),
        ({"after_data": "554 spam"}, "the mail server answered with 554"),
    ],
)
async def test_a_server_that_does_not_take_it(inbox: dict[str, Any], told: str) -> None:
    """To be tried again; what the server wrote is not repeated."""
    async with receiving(**inbox) as box, mail(box.port) as notifier:
        with pytest.raises(Unavailable) as caught:
            await notifier.notify(EVENT, ALL)
    assert (str(caught.value), caught.value.retry_after) == (told, 60)


class Raw:
    """A server that says one thing, or nothing, and then listens, or not."""

    def __init__(self, says: bytes | None, *, listens: bool = True) -> None:
        self.says = says
        self.listens = listens
        self.heard = b""
        self.talks: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.create_task(self.talk(reader, writer)))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            if self.says is not None:
                writer.write(self.says)
            if self.listens:
                self.heard = await reader.read()
            writer.close()
            await writer.wait_closed()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self.accept, "127.0.0.1", 0) as sockets:
            yield sockets.sockets[0].getsockname()[1]
        await asyncio.gather(*self.talks)


@pytest.mark.parametrize(
    ("raw", "seconds", "told"),
    [
        (Raw(None), 0.2, "took nothing within 0.2 s"),
        (Raw(b"220 ready\r\n"), 0.2, "took nothing within 0.2 s"),
        (Raw(None, listens=False), 20, "cannot be used (SMTPConnectError)"),
        (Raw(b"421 busy\r\n"), 20, "answered with 421"),
    ],
)
async def test_a_server_that_does_not_answer(raw: Raw, seconds: float, told: str) -> None:
    """One deadline for the whole conversation, and no letter."""
    async with raw.serving() as port, mail(port, timeout=seconds) as notifier:
        with pytest.raises(Unavailable) as caught:
            await notifier.notify(EVENT, ALL)
    assert str(caught.value) == f"the mail server {told}"
    assert b"MAIL FROM" not in raw.heard.upper()


async def test_nobody_listens() -> None:
    """A refused connection is one more way of not being taken."""
    async with receiving() as inbox:
        pass
    async with mail(inbox.port) as notifier:
        with pytest.raises(Unavailable, match=r"cannot be used \(SMTPConnectError\)"):
            await notifier.notify(EVENT, ALL)


async def test_once_it_is_taken_the_goodbye_does_not_matter() -> None:
    """A server that drops the line after its 250 has the letter: it is not sent twice."""

    class Abrupt(Inbox):
        async def handle_QUIT(self, server: SMTP, *_: Any) -> str:  # noqa: N802
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "221 never arrives"

    box = Abrupt()
    loop = asyncio.get_running_loop()
    async with (
        await loop.create_server(lambda: SMTP(box), "127.0.0.1", 0) as sockets,
        mail(sockets.sockets[0].getsockname()[1]) as notifier,
    ):
        await notifier.notify(EVENT, ALL)
    assert len(box.taken) == 1


@dataclass(frozen=True)
class Certified:
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


MODES = pytest.mark.parametrize("tls", ["starttls", "implicit"])


@MODES
async def test_over_tls_with_a_password(
    certified: Callable[[str], Certified], tls: Literal["starttls", "implicit"]
) -> None:
    """Encrypted before anything is said, and the server proves its name."""
    server = certified("localhost")
    settings: dict[str, Any] = {
        "host": "localhost", "tls": tls, "ca_file": server.ca_file,
        "username": "starship", "password": Secret("its-password"),
    }  # fmt: skip
    async with (
        receiving(server.context, implicit=tls == "implicit") as inbox,
        mail(inbox.port, **settings) as notifier,
    ):
        await notifier.notify(EVENT, ALL)
    assert len(inbox.taken) == 1
    assert inbox.encrypted == [tls == "starttls"]  # aiosmtpd counts only its own STARTTLS
    assert inbox.logins == [LoginPassword(b"starship", b"its-password")]


@MODES
@pytest.mark.parametrize(("name", "trusted"), [("other.example", True), ("localhost", False)])
async def test_a_certificate_that_does_not_fit(
    certified: Callable[[str], Certified], tls: str, name: str, trusted: Any
) -> None:
    """For another name, or of an authority that is not known: neither letter nor password."""
    server = certified(name)
    settings: dict[str, Any] = {
        "host": "localhost", "tls": tls, "ca_file": server.ca_file if trusted else None,
        "username": "starship", "password": Secret("its-password"),
    }  # fmt: skip
    async with (
        receiving(server.context, implicit=tls == "implicit") as inbox,
        mail(inbox.port, **settings) as notifier,
    ):
        with pytest.raises(Unavailable, match="the mail server cannot be used"):
            await notifier.notify(EVENT, ALL)
    assert (inbox.taken, inbox.logins) == ([], [])


@pytest.mark.parametrize(
    "login", [{}, {"username": "starship", "password": Secret("its-password")}]
)
async def test_a_server_without_tls_is_given_nothing(login: dict[str, Any]) -> None:
    """Whoever strips STARTTLS on the way gets neither letter nor password."""
    async with receiving() as inbox, mail(inbox.port, tls="starttls", **login) as notifier:
        with pytest.raises(Unavailable, match=r"cannot be used \(SMTPException\)"):
            await notifier.notify(EVENT, ALL)
    assert inbox.taken == []


async def test_a_wrong_password(certified: Callable[[str], Certified]) -> None:
    """Told by its number; it stands in no message."""
    server = certified("localhost")
    settings: dict[str, Any] = {
        "host": "localhost", "tls": "starttls", "ca_file": server.ca_file,
        "username": "starship", "password": Secret("another"),
    }  # fmt: skip
    async with receiving(server.context) as inbox, mail(inbox.port, **settings) as notifier:
        with pytest.raises(Unavailable) as caught:
            await notifier.notify(EVENT, ALL)
    assert str(caught.value) == "the mail server answered with 535"
    assert inbox.taken == []


async def test_a_code_is_stopped_before_a_connection_is_made() -> None:
    """By its type."""
    event = msgspec.structs.replace(EVENT, data={"code": Secret("GIFT-1234")})
    async with receiving() as inbox, mail(inbox.port) as notifier:
        with pytest.raises(TypeError) as caught:
            await notifier.notify(event, ALL)
    assert "GIFT" not in str(caught.value)
    assert inbox.taken == []


def read(section: str) -> tuple[EmailConfig | None, list[str]]:
    """As the core does, from TOML into the registration's own type."""
    place = Place(file=Path("starship.toml"), section="notifiers.operators")
    return place.fit(tomllib.loads(section), REGISTRATION.config)


WHO = 'host = "mail.shop.example"\nsender = "s@shop.example"\n'


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        (WHO, " to: is missing"),
        (f"{WHO}to = []", " to: expected `array` of length >= 1"),
        (f'{WHO}to = ["ops"]', " to: 'ops' is no address such as ops@example.com"),
        (f'{WHO}to = ["Ops <o@x.example>"]', " to: 'Ops <o@x.example>' is no address"),
        (f'{WHO}to = ["o@x.example, p@x.example"]', " to: 'o@x.example, p@x.example' is no"),
        (f'{WHO}to = ["o@x.example\\r\\nBcc: a@b"]', " to: 'o@x.example\\r\\nBcc: a@b' is no"),
        (
            'host = "a b"\nsender = "s@shop.example"\nto = ["o@x.example"]',
            " host: 'a b' is no name of a machine",
        ),
        (f'{WHO}to = ["o@x.example"]\nusername = "u"', " username and password: write both"),
        (
            f'{WHO}to = ["o@x.example"]\nusername = "u"\npassword = "p"\ntls = "none"',
            " password: is not sent without TLS",
        ),
        (f'{WHO}to = ["o@x.example"]\ntls = "maybe"', " tls: invalid enum value 'maybe'"),
        (f'{WHO}to = ["o@x.example"]\nname = "a\\nb"', " name: must be one line of text"),
        (f'{WHO}to = ["o@x.example"]\ncc = "x"', " cc: there is no such field"),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section: str, complaint: str) -> None:
    """Before anything has started."""
    settings, problems = read(section)
    assert settings is None
    assert len(problems) == 1
    assert problems[0].startswith(f"starship.toml: [notifiers.operators]{complaint}")


def test_the_section_of_the_readme_is_accepted() -> None:
    """As the core reads it, with the password that it took from the environment."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    section = readme.partition('use = "notify-email"\n')[2].partition("```")[0]
    settings, problems = read(section.replace('{ env = "MAIL_PASSWORD" }', '"its-password"'))
    assert problems == []
    assert settings == EmailConfig(
        host="smtp.example.com",
        sender="starship@example.com",
        to=["ops@example.com", "night-shift@example.com"],
        username="starship@example.com",
        password=Secret("its-password"),
    )


async def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    """Told when it is opened, not with the first letter."""
    (tmp_path / "empty.pem").touch()
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=f"{name} cannot be used"):
            async with mail(25, ca_file=tmp_path / name):
                pass


def test_the_registration_is_light() -> None:
    """One of this plugin API; to list it no mail client is loaded."""
    assert (REGISTRATION.name, REGISTRATION.kind) == ("notify-email", "notifier")
    assert REGISTRATION.api == PLUGIN_API
    script = "import sys, starship_notify_email; sys.exit('aiosmtplib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
