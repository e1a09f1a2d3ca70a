"""Notifiers that are wrong in one thing each, made from notify-webhook, which is right."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import starship_notify_webhook

from starship_core import Notifier, OrderEvent, Secret, Target, Toolbox, Unavailable
from starship_core.testing.notifiers import NotifierCase, http_inbox

SECRET = Secret("whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE=")
LEFT_OPEN = AsyncExitStack()
(GOOD,) = starship_notify_webhook.register_notifiers()
CASE = NotifierCase(
    registration=GOOD, inbox=lambda manner: http_inbox(manner, SECRET), redirects=True
)


class Around:
    """notify-webhook; a bad one replaces the method."""

    def __init__(self, inner: Notifier, toolbox: Toolbox) -> None:
        self.inner = inner
        self.toolbox = toolbox

    async def notify(self, event: OrderEvent, to: Target) -> None:
        await self.inner.notify(event, to)


def acting(cls: type[Around]) -> NotifierCase:
    """The case with a notifier of this class."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
        async with GOOD.open(config, toolbox) as inner:
            yield cls(inner, toolbox)

    return replace(CASE, registration=replace(GOOD, open=opened))


def data(event: OrderEvent, changed: dict[str, Any]) -> OrderEvent:
    return msgspec.structs.replace(event, data=changed)


def elsewhere(to: Target) -> Target:
    start = to.address.rpartition("/")[0]
    return msgspec.structs.replace(to, address=f"{start}/elsewhere")


def sorting(word: str, into: Callable[[Exception], Exception]) -> NotifierCase:
    """A notifier that raises something else where the text has this word."""

    class Sorts(Around):
        async def notify(self, event: OrderEvent, to: Target) -> None:
            try:
                await super().notify(event, to)
            except Unavailable as error:
                if word not in str(error):
                    raise
                other = into(error)
            else:
                return
            raise other

    return acting(Sorts)


def broken(error: Exception) -> Exception:
    return RuntimeError(str(error))


class Short(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        kept = {name: value for name, value in event.data.items() if name != "amount"}
        await super().notify(data(event, kept), to)


class Twice(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        for _ in range(2):
            await super().notify(event, to)


class Faithful(Around):
    """Sends an event where it sent it first."""

    def __init__(self, inner: Notifier, toolbox: Toolbox) -> None:
        super().__init__(inner, toolbox)
        self.sent: dict[str, Target] = {}

    async def notify(self, event: OrderEvent, to: Target) -> None:
        await super().notify(event, self.sent.setdefault(event.event_id, to))


class Dated(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        now = {"sent_at": self.toolbox.now().isoformat()}
        await super().notify(data(event, event.data | now), to)


class Shared(Around):
    """Keeps a delivery on itself."""

    event: OrderEvent

    async def notify(self, event: OrderEvent, to: Target) -> None:
        self.event = event
        await asyncio.sleep(0)
        await super().notify(self.event, to)


class Gullible(Around):
    """Takes a line of text for a header."""

    async def notify(self, event: OrderEvent, to: Target) -> None:
        injected = any("\r\n" in str(value) for value in event.data.values())
        await super().notify(event, elsewhere(to) if injected else to)


class Revealing(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        plain = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in event.data.items()
        }
        await super().notify(data(event, plain), to)


class Talkative(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        await super().notify(event, to)
        logging.getLogger("bad").debug("signed with %s", to.secrets[0].reveal())


class Retries(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        try:
            await super().notify(event, to)
        except Unavailable as error:
            if "HTTP 503" not in str(error):
                raise
            await super().notify(event, to)


class Follows(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        try:
            await super().notify(event, to)
        except Unavailable as error:
            if "HTTP 307" not in str(error):
                raise
            await super().notify(event, elsewhere(to))


class Deaf(Around):
    async def notify(self, event: OrderEvent, to: Target) -> None:
        try:
            await super().notify(event, to)
        except asyncio.CancelledError:
            raise Unavailable("cancelled") from None


def leaking() -> NotifierCase:
    """Never closes what it opened."""

    @asynccontextmanager
    async def opened(config: Any, toolbox: Toolbox) -> AsyncIterator[Any]:
        yield await LEFT_OPEN.enter_async_context(GOOD.open(config, toolbox))

    return replace(CASE, registration=replace(GOOD, open=opened))


BAD: dict[str, NotifierCase] = {
    "the_event_arrives": acting(Short),
    "it_arrives_once": acting(Twice),
    "it_arrives_at_the_target": acting(Faithful),
    "each_attempt_says_the_same": acting(Dated),
    "many_at_once_do_not_mix": acting(Shared),
    "text_changes_no_recipient": acting(Gullible),
    "a_code_is_never_sent": acting(Revealing),
    "a_delivery_tells_no_secret": acting(Talkative),
    "a_target_that_is_gone_is_unavailable": sorting("ConnectError", broken),
    "a_refusal_is_unavailable": sorting("HTTP 503", broken),
    "no_answer_is_unavailable": sorting("no answer in", broken),
    "a_refusal_is_not_asked_again": acting(Retries),
    "a_redirect_is_not_followed": acting(Follows),
    "errors_tell_no_secret": sorting(
        "HTTP 503", lambda error: Unavailable(f"{error} {SECRET.reveal()}")
    ),
    "a_cancelled_delivery_stops": acting(Deaf),
    "closing_leaves_nothing_open": leaking(),
}
"""The check's name → the notifier that only this check fails."""
