import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import starship_notify_email
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from starship_core import Target
from starship_core.testing.notifiers import Manner, Message, NotifierCase, NotifierConformance

OPERATORS = ("ops@shop.example", "night@shop.example")
LOGIN = LoginPassword(b"starship", b"FAKE-FAKE-0001")


@dataclass
class Mailboxes:
    """A mail server: two mailboxes, TLS, and one login."""

    manner: Manner
    section: Mapping[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    attempts: int = 0
    open: int = 0

    @property
    def targets(self) -> Sequence[Target]:
        return [Target(address=address) for address in OPERATORS]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd asks for it
        if self.manner == "refuses":
            return "451 try again later"
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        text = f"{letter['Subject']}\n{letter['Message-ID']}\n{letter.get_content()}"
        self.messages += [Message(to, text) for to in envelope.rcpt_tos]
        return "250 OK"

    def authenticate(self, *given: Any) -> AuthResult:
        return AuthResult(success=given[4] == LOGIN, handled=False)

    async def keep_silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts += 1
        with suppress(ConnectionError, ssl.SSLError):
            await reader.read()
        writer.close()


class Counted(SMTP):
    """A connection that its mailboxes count."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.event_handler.attempts += 1
        self.event_handler.open += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.open -= 1
        super().connection_lost(error)


def mailboxes(context: ssl.SSLContext) -> Callable[[Manner], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def served(manner: Manner) -> AsyncIterator[Mailboxes]:
        box = Mailboxes(manner)

        def connected() -> asyncio.Protocol:
            if manner == "silent":
                reader = asyncio.StreamReader()
                return asyncio.StreamReaderProtocol(reader, box.keep_silent)
            return Counted(box, authenticator=box.authenticate, auth_require_tls=False)

        loop = asyncio.get_running_loop()
        async with await loop.create_server(connected, "127.0.0.1", 0, ssl=context) as sockets:
            box.section = {"port": sockets.sockets[0].getsockname()[1]}
            yield box
            await asyncio.sleep(0)

    return served


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def case(authority: trustme.CA, tmp_path: Path) -> NotifierCase:
    """Two operators, and a server that wants a password over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (registration,) = starship_notify_email.register_notifiers()
    return NotifierCase(
        registration=registration,
        section={
            "host": "localhost",
            "sender": "starship@shop.example",
            "to": list(OPERATORS),
            "tls": "implicit",
            "ca_file": str(tmp_path / "ca.pem"),
            "username": "starship",
            "password": "FAKE-FAKE-0001",
        },
        inbox=mailboxes(context),
    )


class TestEmail(NotifierConformance):
    """notify-email."""
