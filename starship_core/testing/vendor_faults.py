"""What the vendor kit checks on a vendor that goes wrong: the recorded purchase, with a fault."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from starship_core import Ambiguous, StarshipError, Unavailable
from starship_core.testing.hearing import heard
from starship_core.testing.kit import Conformance
from starship_core.testing.player import (
    CUT,
    EDGE,
    GARBAGE,
    PLANTED,
    SERVER_ERRORS,
    SILENCE,
    STRANGE,
    TOO_MANY,
    UNKNOWN_TO_IT,
    Fault,
    Player,
    playing,
)
from starship_core.testing.stage import Stage

SHORTEST = 6
"""Characters of a code to look for: a PIN of four is found in any number."""
UNCLEAR = (*CUT, SILENCE, *SERVER_ERRORS, *GARBAGE, *STRANGE)
each = pytest.mark.parametrize


class FaultChecks(Conformance):
    """Each fault meets the requests that carry the reference; all others are answered."""

    pytestmark = pytest.mark.asyncio

    async def test_a_refused_connection_is_unavailable(self, stage: Stage) -> None:
        """No byte was sent: the same purchase may be sent again.

        If this fails: map the HTTP client's connect errors, and only those, to `Unavailable`.
        """
        tape = stage.tape
        async with playing(tape.file) as gone:
            pass
        assert isinstance(await _bought(tape, gone), Unavailable)

    async def test_too_many_requests_is_unavailable(self, stage: Stage) -> None:
        """429 is given before anything is processed; the time to wait is told.

        If this fails: raise `Unavailable(retry_after=…)` for 429.
        """
        _, raised = await _buying(stage.tape, TOO_MANY)
        assert isinstance(raised, Unavailable)
        assert raised.retry_after > 0

    async def test_unauthorised_is_unavailable(self, stage: Stage) -> None:
        """401 is given before anything is processed; one refresh of a token, no more.

        If this fails: raise `Unavailable` after at most one refresh and one re-send.
        """
        player, raised = await _buying(stage.tape, UNKNOWN_TO_IT)
        assert isinstance(raised, Unavailable)
        assert player.hit <= 2

    async def test_no_answer_is_ambiguous(self, stage: Stage) -> None:
        """Silence may hide a purchase.

        If this fails: a read time-out is `Ambiguous`; nothing but a connect error is not.
        """
        _, raised = await _buying(stage.tape, SILENCE)
        assert isinstance(raised, Ambiguous)

    @each("fault", CUT, ids=lambda fault: fault.name)
    async def test_a_cut_connection_is_ambiguous(self, stage: Stage, fault: Fault) -> None:
        """The request may have arrived.

        If this fails: protocol and read errors of the HTTP client are `Ambiguous`.
        """
        _, raised = await _buying(stage.tape, fault)
        assert isinstance(raised, Ambiguous)

    @each("fault", SERVER_ERRORS, ids=lambda fault: fault.name)
    async def test_a_server_error_is_ambiguous(self, stage: Stage, fault: Fault) -> None:
        """Every 5xx, 503 included: it may come from a gateway behind which it was bought.

        If this fails: never map a 5xx of `buy` to `Unavailable` or `Refused`.
        """
        _, raised = await _buying(stage.tape, fault)
        assert isinstance(raised, Ambiguous)

    @each("fault", GARBAGE, ids=lambda fault: fault.name)
    async def test_an_unreadable_200_is_ambiguous(self, stage: Stage, fault: Fault) -> None:
        """It says that something succeeded.

        If this fails: decode into a Struct, and raise `Ambiguous` where that fails.
        """
        _, raised = await _buying(stage.tape, fault)
        assert isinstance(raised, Ambiguous)

    @each("fault", STRANGE, ids=lambda fault: fault.name)
    async def test_an_unlisted_answer_is_ambiguous(self, stage: Stage, fault: Fault) -> None:
        """A refusal is known by status *and* body; everything else is not.

        If this fails: list what refuses; let all the rest be `Ambiguous`.
        """
        _, raised = await _buying(stage.tape, fault)
        assert isinstance(raised, Ambiguous)

    @each("fault", UNCLEAR, ids=lambda fault: fault.name)
    async def test_a_purchase_is_sent_once(self, stage: Stage, fault: Fault) -> None:
        """Adapters never retry: that is the core's, in one place.

        If this fails: switch the HTTP client's retries off, and write no loop.
        """
        player, _ = await _buying(stage.tape, fault)
        assert player.hit == 1

    @each("fault", [one for one in UNCLEAR if one.body and PLANTED.encode() in one.body],
          ids=lambda fault: fault.name)  # fmt: skip
    async def test_what_is_unclear_is_kept(self, stage: Stage, fault: Fault) -> None:
        """The answer is in `raw`, for an operator.

        If this fails: `raise Ambiguous("…", Secret(text))`.
        """
        _, raised = await _buying(stage.tape, fault)
        assert PLANTED in (getattr(raised, "raw", None) or _NOTHING).reveal()

    @each("fault", (*UNCLEAR, TOO_MANY, EDGE), ids=lambda fault: fault.name)
    async def test_a_lookup_that_fails_proves_nothing(self, stage: Stage, fault: Fault) -> None:
        """Neither None, which would say *not bought*, nor Refused, nor Bought.

        If this fails: None is the vendor's own word for an unknown order, by status and body.
        """
        if not stage.case.registration.traits.lookup:
            return
        tape = stage.tape
        purchase = tape.purchase()
        async with _meeting(tape, fault) as player:
            impatient = {stage.case.timeout: 0.3}
            async with tape.against(player, **impatient) as vendor:
                with pytest.raises(StarshipError):
                    await stage.call(vendor.find(purchase))

    @each("fault", (SILENCE, *GARBAGE, *SERVER_ERRORS, *STRANGE), ids=lambda fault: fault.name)
    async def test_errors_tell_no_secret(self, stage: Stage, fault: Fault) -> None:
        """Not what was answered, not a credential: not in the text, not in what is logged.

        If this fails: write the message yourself, and `raise … from None`.
        """
        tape = stage.tape
        with heard() as log:
            _, raised = await _buying(tape, fault)
        told = "".join(traceback.format_exception(raised)) + str(log) + str(tape.logged)
        assert [secret for secret in _hidden(stage) if secret in told] == []

    async def test_a_purchase_tells_no_secret(self, stage: Stage) -> None:
        """Codes and credentials are not in logs, at any level, nor in a reply's repr.

        If this fails: keep codes in `Secret`, and log ids.
        """
        tape = stage.tape
        with heard() as log:
            async with playing(tape.file) as player, tape.against(player) as vendor:
                reply = await tape.bought(vendor, tape.purchase())
        told = repr(reply) + str(log) + str(tape.logged)
        codes = [code for code in tape.codes if len(code) >= SHORTEST]
        assert [secret for secret in (*_hidden(stage), *codes) if secret in told] == []

    async def test_a_cancelled_purchase_stops(self, stage: Stage) -> None:
        """The core's deadline ends a call; whoever swallows it holds up a worker.

        If this fails: never catch `BaseException` or `CancelledError` without raising it again.
        """
        tape = stage.tape
        purchase = tape.purchase()
        async with (
            _meeting(tape, SILENCE) as player,
            tape.against(player) as vendor,
        ):
            buying = asyncio.create_task(vendor.buy(purchase))
            await asyncio.wait_for(player.arrived.wait(), 5)
            buying.cancel()
            await asyncio.wait({buying}, timeout=2)
            assert buying.cancelled()

    async def test_closing_leaves_nothing_open(self, stage: Stage) -> None:
        """Connections are closed with the adapter.

        If this fails: `async with` the HTTP client around the `yield` of `open`.
        """
        tape = stage.tape
        async with playing(tape.file) as player:
            async with tape.against(player) as vendor:
                await tape.bought(vendor, tape.purchase())
                assert player.open > 0, "the check needs a connection that is kept"
            for _ in range(100):
                if not player.open:
                    break
                await asyncio.sleep(0.01)
            assert player.open == 0


class _Nothing:
    @staticmethod
    def reveal() -> str:
        return ""


_NOTHING = _Nothing()


def _hidden(stage: Stage) -> list[str]:
    return [PLANTED, *stage.case.secrets().values()]


def _meeting(tape: Stage, fault: Fault) -> AbstractAsyncContextManager[Player]:
    """A player that goes wrong when the good purchase's reference comes, sealed or not."""
    reference, envelopes = tape.purchase().reference, tape.case.envelopes
    return playing(tape.file, fault, carries=reference, envelopes=envelopes)


async def _buying(tape: Stage, fault: Fault) -> tuple[Player, BaseException | None]:
    """One `buy` that meets a fault: whom it met, and what it raised."""
    async with _meeting(tape, fault) as player:
        return player, await _bought(tape, player)


async def _bought(tape: Stage, player: Player) -> BaseException | None:
    impatient: dict[str, Any] = {tape.case.timeout: 0.3}
    async with tape.against(player, **impatient) as vendor:
        try:
            await tape.call(vendor.buy(tape.purchase()))
        except Exception as error:  # noqa: BLE001  # whatever it is, a check looks at it
            return error
    return None
