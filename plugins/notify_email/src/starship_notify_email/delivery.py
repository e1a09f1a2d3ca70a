"""One letter to the mail server: taken, or to be tried again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiosmtplib

from starship_core import ConfigError, InvalidInput, OrderEvent, Target, Toolbox, Unavailable
from starship_notify_email import EmailConfig
from starship_notify_email.letter import Envelope, letter

GOODBYE_SECONDS: Final = 1.0
_AGAIN: Final = 60.0
_FAULTS: Final = (aiosmtplib.SMTPException, OSError, ValueError)


class Mail:
    """A `Notifier` to the operators of the section, and to nobody else."""

    def __init__(self, config: EmailConfig, toolbox: Toolbox) -> None:
        self._config = config
        self._now = toolbox.now
        self._log = toolbox.log
        self._label = config.name + (" test" if toolbox.environment == "test" else "")
        self._tls = _context(config.ca_file)

    async def notify(self, event: OrderEvent, to: Target) -> None:
        """To all of the section's addresses, or to the one that `to` names.

        Raises Unavailable unless the server took the letter for at least one of them.
        """
        recipients = self._recipients(to.address)
        envelope = Envelope(
            label=self._label, sender=self._config.sender, to=recipients, at=self._now()
        )
        refused = await self._sent(recipients, letter(event, envelope))
        if refused:
            self._log("email.recipients_refused", event=event.event_id, refused=refused)

    def _recipients(self, address: str) -> Sequence[str]:
        if not address:
            return self._config.to
        if address not in self._config.to:
            raise InvalidInput("mail goes to the addresses of the section, and to no other")
        return [address]

    async def _sent(self, recipients: Sequence[str], content: bytes) -> int:
        """How many of the recipients the server refused."""
        client = self._client()
        try:
            async with asyncio.timeout(self._config.timeout):
                await client.connect()
                refused, _ = await client.sendmail(self._config.sender, recipients, content)
            await _goodbye(client)
        except TimeoutError:
            raise _unavailable(f"took nothing within {self._config.timeout:g} s") from None
        except aiosmtplib.SMTPRecipientsRefused:
            raise _unavailable("refused every recipient") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _unavailable(f"answered with {error.code}") from None
        except _FAULTS as error:
            raise _unavailable(f"cannot be used ({type(error).__name__})") from None
        finally:
            client.close()
        return len(refused)

    def _client(self) -> aiosmtplib.SMTP:
        config = self._config
        return aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port,
            username=config.username,
            password=None if config.password is None else config.password.reveal(),
            local_hostname=config.ehlo or socket.gethostname(),
            use_tls=config.tls == "implicit",
            start_tls=config.tls == "starttls",
            tls_context=self._tls,
            timeout=config.timeout,
        )


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    """The letter was taken: whatever the server says now changes nothing."""
    with suppress(TimeoutError, *_FAULTS):
        async with asyncio.timeout(GOODBYE_SECONDS):
            await client.quit()


def _unavailable(what: str) -> Unavailable:
    return Unavailable(f"the mail server {what}", retry_after=_AGAIN)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError(f"ca_file {ca_file} cannot be used: {reason}") from None
    return context
