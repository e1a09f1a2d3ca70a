"""The kit of notifiers: what we promise about who tells of an event."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import msgspec
import pytest

from starship_core import (
    Notifier,
    NotifierRegistration,
    OrderEvent,
    Secret,
    Unavailable,
)
from starship_core.testing.hearing import heard
from starship_core.testing.inbox import HttpInbox, Inbox, Manner, Message, http_inbox
from starship_core.testing.kit import Conformance
from starship_core.testing.plug_case import ENOUGH, PlugCase, PlugStage, called, raised
from starship_core.testing.plug_facts import PlugChecks

__all__ = ["HttpInbox", "Inbox", "Manner", "Message", "NotifierCase", "NotifierConformance",
           "http_inbox"]  # fmt: skip

EVENT: Final = OrderEvent(
    event_id="evt_4411_1_order.delivered",
    event_type="order.delivered",
    created_at=datetime(2027, 1, 1, 9, 0, 0, 250_000, tzinfo=UTC),
    client_id=3,
    data={"reference_code": "acme-77", "product": "Käse ☕", "quantity": 3, "amount": "58.80"},
)
PLANTED: Final = "PLANTED-CODE-7F3A-11C0"
HOSTILE: Final = "x\r\nBcc: thief@other.example\r\nHost: other.example\r\n.\r\nRCPT TO:<thief>\r\n"


@dataclass(frozen=True, kw_only=True)
class NotifierCase(PlugCase):
    """A notifier, and a server on this machine that it delivers to."""

    registers: ClassVar = NotifierRegistration
    port: ClassVar = Notifier

    registration: NotifierRegistration[Any]
    inbox: Callable[[Manner], AbstractAsyncContextManager[Inbox]]
    """A fresh one, which does with deliveries what it is told to."""
    redirects: bool = False
    """Whether the transport knows redirects, as HTTP does."""
    timeout: str = "timeout"
    """The field of the section that holds the seconds until it gives up."""


NotifierStage = PlugStage[NotifierCase]


class DeliveryChecks(Conformance):
    """An event arrives where it should, once a call, as it is."""

    pytestmark = pytest.mark.asyncio

    async def test_the_event_arrives(self, stage: NotifierStage) -> None:
        """Its id, by which whoever gets it twice knows it, its type, and all of its data.

        If this fails: encode the whole event; a receiver asks for nothing more.
        """
        async with _delivering(stage, "takes") as (notifier, inbox):
            await called(notifier.notify(EVENT, inbox.targets[0]))
        told = [EVENT.event_id, EVENT.event_type, *map(str, EVENT.data.values())]
        assert [part for part in told if part not in inbox.messages[0].body] == []

    async def test_it_arrives_once(self, stage: NotifierStage) -> None:
        """One call is one delivery: repetitions are the core's.

        If this fails: write no loop, and switch the client's retries off.
        """
        async with _delivering(stage, "takes") as (notifier, inbox):
            await called(notifier.notify(EVENT, inbox.targets[0]))
        assert (inbox.attempts, len(inbox.messages)) == (1, 1)

    async def test_it_arrives_at_the_target(self, stage: NotifierStage) -> None:
        """At the one that is named, and nowhere else.

        If this fails: take the address from the target, each time.
        """
        async with _delivering(stage, "takes") as (notifier, inbox):
            for target in inbox.targets:
                await called(notifier.notify(EVENT, target))
        there = [one.address for one in inbox.targets]
        assert len(set(there)) == 2, "the inbox has two targets"
        assert list(dict.fromkeys(one.to for one in inbox.messages)) == there

    async def test_each_attempt_says_the_same(self, stage: NotifierStage) -> None:
        """Byte by byte, also from another process an hour later.

        If this fails: nothing of the moment goes into what tells of the event.
        """
        bodies = []
        for _ in range(2):
            async with _delivering(stage, "takes") as (notifier, inbox):
                await called(notifier.notify(EVENT, inbox.targets[1]))
            bodies += [one.body for one in inbox.messages]
            stage.clock.advance(hours=1)
        assert bodies[0] == bodies[-1]

    async def test_many_at_once_do_not_mix(self, stage: NotifierStage) -> None:
        """Each event arrives at its own target.

        If this fails: keep nothing of a delivery on the notifier.
        """
        events = {f"evt_{number}_order.delivered": number % 2 for number in range(8)}
        async with _delivering(stage, "takes") as (notifier, inbox):
            targets = inbox.targets
            await asyncio.gather(*(
                called(notifier.notify(_event(event_id=name), targets[place]))
                for name, place in events.items()
            ))  # fmt: skip
        found = {
            (name, one.to) for one in inbox.messages for name in events if name in one.body
        }  # fmt: skip
        assert found == {(name, targets[place].address) for name, place in events.items()}

    async def test_text_changes_no_recipient(self, stage: NotifierStage) -> None:
        """Whatever a client wrote into its order, line breaks included, it is text.

        If this fails: encode what goes into headers and commands, or refuse line breaks there.
        """
        hostile = _event(data={"summary": HOSTILE, "note": HOSTILE})
        async with _delivering(stage, "takes") as (notifier, inbox):
            await called(notifier.notify(hostile, inbox.targets[0]))
        assert {one.to for one in inbox.messages} == {inbox.targets[0].address}

    async def test_a_code_is_never_sent(self, stage: NotifierStage) -> None:
        """An event that holds a `Secret` is a fault of the program: nothing of it leaves.

        If this fails: encode with msgspec, which refuses a `Secret`, and reveal nothing.
        """
        event = _event(data={"code": Secret(PLANTED)})
        async with _delivering(stage, "takes") as (notifier, inbox):
            error = await raised(notifier.notify(event, inbox.targets[0]))
        assert error is not None
        assert inbox.messages == []
        assert PLANTED not in "".join(traceback.format_exception(error))

    async def test_a_delivery_tells_no_secret(self, stage: NotifierStage) -> None:
        """Not the target's, nor the section's: not in what arrives, nor in a log at any level.

        If this fails: sign with a secret, and send and log none.
        """
        with heard() as log:
            async with _delivering(stage, "takes") as (notifier, inbox):
                await called(notifier.notify(EVENT, inbox.targets[0]))
                log += [repr(notifier), str(inbox.messages), *stage.logged]
        assert [one for one in _hidden(stage, inbox) if one in str(log)] == []


class RefusalChecks(Conformance):
    """What did not arrive is asked again by the core: Unavailable says that it may."""

    pytestmark = pytest.mark.asyncio

    async def test_a_target_that_is_gone_is_unavailable(self, stage: NotifierStage) -> None:
        """And the time to wait is told.

        If this fails: map the client's errors to `Unavailable`.
        """
        async with stage.case.inbox("takes") as gone:
            pass
        async with stage.opened(**gone.section) as notifier:
            error = await raised(notifier.notify(EVENT, gone.targets[0]))
        assert isinstance(error, Unavailable)
        assert error.retry_after > 0

    async def test_a_refusal_is_unavailable(self, stage: NotifierStage) -> None:
        """Whoever did not take it may take it later.

        If this fails: only the receiver's yes is a delivery; raise `Unavailable` for all else.
        """
        error, _ = await _not_delivered(stage, "refuses")
        assert isinstance(error, Unavailable)
        assert error.retry_after > 0

    async def test_no_answer_is_unavailable(self, stage: NotifierStage) -> None:
        """After the section's time-out, for the whole delivery.

        If this fails: `async with asyncio.timeout(…)` around it.
        """
        error, _ = await _not_delivered(stage, "silent")
        assert isinstance(error, Unavailable)

    async def test_a_refusal_is_not_asked_again(self, stage: NotifierStage) -> None:
        """When to try again is the core's to say, in one place.

        If this fails: write no loop, and switch the client's retries off.
        """
        _, inbox = await _not_delivered(stage, "refuses")
        assert inbox.attempts == 1

    async def test_a_redirect_is_not_followed(self, stage: NotifierStage) -> None:
        """It would lead past the checks of the address, and show the event to somebody else.

        If this fails: switch redirects off in the client; 3xx is `Unavailable`.
        """
        if not stage.case.redirects:
            return
        error, inbox = await _not_delivered(stage, "redirects")
        assert isinstance(error, Unavailable)
        assert inbox.attempts == 1

    async def test_errors_tell_no_secret(self, stage: NotifierStage) -> None:
        """Not the target's, nor the section's: not in the text, not in what is logged.

        If this fails: write the message yourself, and `raise … from None`.
        """
        for manner in ("refuses", "silent"):
            with heard() as log:
                error, inbox = await _not_delivered(stage, manner)
            told = "".join(traceback.format_exception(error)) + str(log) + str(stage.logged)
            assert [one for one in _hidden(stage, inbox) if one in told] == []

    async def test_a_cancelled_delivery_stops(self, stage: NotifierStage) -> None:
        """The core's deadline ends a call; whoever swallows it holds up all that comes behind.

        If this fails: never catch `BaseException` or `CancelledError` without raising it again.
        """
        async with _delivering(stage, "silent") as (notifier, inbox):
            task = asyncio.ensure_future(notifier.notify(EVENT, inbox.targets[0]))
            await _until(lambda: inbox.attempts > 0 or task.done())
            task.cancel()
            await asyncio.wait({task}, timeout=ENOUGH)
        assert task.done()
        assert task.cancelled(), task.exception()

    async def test_closing_leaves_nothing_open(self, stage: NotifierStage) -> None:
        """Connections are closed with the notifier.

        If this fails: `async with` the client around the `yield` of `open`.
        """
        async with stage.case.inbox("takes") as inbox:
            async with stage.opened(**inbox.section) as notifier:
                await called(notifier.notify(EVENT, inbox.targets[0]))
            await _until(lambda: inbox.open == 0)


class NotifierConformance(PlugChecks, DeliveryChecks, RefusalChecks):
    """Inherit it with an empty body. Needs the fixture `case`."""


async def _until(holds: Callable[[], bool]) -> None:
    """Fails where it does not hold in a while."""
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to that")


def _event(**changed: Any) -> OrderEvent:
    return msgspec.structs.replace(EVENT, **changed)


@asynccontextmanager
async def _delivering(
    stage: NotifierStage, manner: Manner, **changed: Any
) -> AsyncIterator[tuple[Notifier, Inbox]]:
    async with (
        stage.case.inbox(manner) as inbox,
        stage.opened(**{**inbox.section, **changed}) as notifier,
    ):
        yield notifier, inbox


async def _not_delivered(
    stage: NotifierStage, manner: Manner
) -> tuple[BaseException | None, Inbox]:
    """What is raised by a delivery to one that does not take it, and what it saw."""
    impatient = {stage.case.timeout: 0.2} if manner == "silent" else {}
    async with _delivering(stage, manner, **impatient) as (notifier, inbox):
        return await raised(notifier.notify(EVENT, inbox.targets[0])), inbox


def _hidden(stage: NotifierStage, inbox: Inbox) -> list[str]:
    secrets = [secret.reveal() for target in inbox.targets for secret in target.secrets]
    return [*secrets, *stage.case.secrets().values()]
