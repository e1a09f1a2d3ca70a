"""notify-email: tells operators by mail what needs them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from starship_core import Notifier, NotifierRegistration, Secret, Toolbox, hookimpl

_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,255}")


class EmailConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notifiers.NAME] use = "notify-email"`: operators' addresses, and the server that takes
    mail for them.
    """

    host: str
    """The mail server."""
    sender: str
    """Whom the mail is from: `starship@example.com`."""
    to: Annotated[list[str], Meta(min_length=1)]
    """Operators' addresses. Nobody else is ever written to."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """Required, not hoped for: a server that does not offer it is given nothing."""
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Left out: 587 for `starttls`, 465 for `implicit`, 25 for `none`."""
    username: str | None = None
    password: Secret | None = None
    """Together with `username`, and only over TLS."""
    name: str = "starship"
    """In brackets at the start of each subject, to tell deployments apart."""
    ehlo: str | None = None
    """What we call ourselves; left out: this machine's name."""
    ca_file: Path | None = None
    """Further certificate authorities (PEM) that the server's certificate may come from."""
    timeout: Annotated[float, Meta(gt=0, le=120)] = 20.0
    """Seconds until a message must have been taken."""

    def __post_init__(self) -> None:
        for name, address in (("sender", self.sender), *(("to", each) for each in self.to)):
            if not _MAILBOX.fullmatch(address):
                raise ValueError(f"{name}: {address!r} is no address such as ops@example.com")
        for name, host in (("host", self.host), ("ehlo", self.ehlo or "x")):
            if not _HOST.fullmatch(host):
                raise ValueError(f"{name}: {host!r} is no name of a machine")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password: write both, or none")
        if self.password is not None and self.tls == "none":
            raise ValueError("password: is not sent without TLS; set tls")
        if not self.name.isprintable():
            raise ValueError("name: must be one line of text")


@asynccontextmanager
async def open_email(config: EmailConfig, toolbox: Toolbox) -> AsyncIterator[Notifier]:
    """Connects with each message."""
    from starship_notify_email.delivery import Mail  # noqa: PLC0415  # only who opens it pays

    yield Mail(config, toolbox)


@hookimpl
def register_notifiers() -> Iterable[NotifierRegistration[Any]]:
    return [NotifierRegistration(name="notify-email", api=1, config=EmailConfig, open=open_email)]
