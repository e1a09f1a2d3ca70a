"""The till forms the batches that commit together: whatever waits when the committer is free, no
timer.

It holds the queue, is given the function that settles a batch, and knows nothing of SQL or money.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from starship_core.errors import Unavailable


class Keyed(Protocol):
    """Two requests with one key never share a batch: the second waits and is then a replay."""

    @property
    def client_id(self) -> int: ...
    @property
    def key(self) -> str: ...


RequestT = TypeVar("RequestT", bound=Keyed)
OutcomeT = TypeVar("OutcomeT")
Settle = Callable[[Sequence[RequestT]], Awaitable[Sequence[OutcomeT | Exception]]]

LONGEST: Final = 64
PATIENCE_SECONDS: Final = 5.0
ALONE_SECONDS: Final = 0.5
"""How long those who must be settled alone may hold up the next batch."""
QUEUE_LIMIT: Final = 20_000


class Contended(Exception):
    """An outcome: what this request needed was held by another process; settle it again, alone."""


@dataclass(slots=True)
class _Waiting(Generic[RequestT, OutcomeT]):
    request: RequestT
    settle: Settle[RequestT, OutcomeT]
    answer: asyncio.Future[OutcomeT]
    since: float = field(default_factory=time.monotonic)


class Till(Generic[RequestT, OutcomeT]):
    """One committer per process; batches of at most 64."""

    def __init__(self) -> None:
        self._queue: deque[_Waiting[RequestT, OutcomeT]] = deque()
        self._alone: deque[_Waiting[RequestT, OutcomeT]] = deque()
        self._committer: asyncio.Task[None] | None = None

    async def join(self, request: RequestT, settle: Settle[RequestT, OutcomeT]) -> OutcomeT:
        """Wait for the batch that this request commits with; raises what its own outcome is.

        `settle` commits a batch and answers with one outcome a request, in their order; a refusal
        is a value, not an exception. Nothing is answered before the commit. Raises Unavailable when
        the queue is too long, or when the wait passes five seconds before its batch is formed:
        nothing was written then.
        """
        if len(self._queue) + len(self._alone) >= QUEUE_LIMIT:
            raise Unavailable("too many orders are waiting", retry_after=2)
        answer: asyncio.Future[OutcomeT] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(request, settle, answer))
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_all(), name="till")
        return await answer

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        while self._committer is not None:
            await asyncio.wait([self._committer])

    async def _commit_all(self) -> None:
        try:
            while self._queue or self._alone:
                if batch := self._form_batch():
                    await self._commit(batch)
                await self._commit_alone()
        finally:
            self._committer = None
            if self._queue or self._alone:  # this task was cancelled; nobody may be left waiting
                self._committer = asyncio.create_task(self._commit_all(), name="till")

    async def _commit_alone(self) -> None:
        """One by one, in turn with the batches: who waits for another process stops nobody else."""
        until = time.monotonic() + ALONE_SECONDS
        for _ in range(len(self._alone)):
            waiting = self._alone.popleft()
            if time.monotonic() - waiting.since > PATIENCE_SECONDS:
                _answer_all([waiting], Unavailable("the stock is busy", retry_after=1))
            else:
                await self._commit([waiting])
            if time.monotonic() > until:
                return

    def _form_batch(self) -> list[_Waiting[RequestT, OutcomeT]]:
        batch: list[_Waiting[RequestT, OutcomeT]] = []
        keys: set[tuple[int, str]] = set()
        later: list[_Waiting[RequestT, OutcomeT]] = []
        too_old = time.monotonic() - PATIENCE_SECONDS
        while self._queue and len(batch) < LONGEST:
            waiting = self._queue.popleft()
            key = (waiting.request.client_id, waiting.request.key)
            if waiting.answer.done():  # its caller went away before anything happened
                continue
            if waiting.since < too_old:
                waiting.answer.set_exception(Unavailable("the queue is too slow", retry_after=2))
            elif key in keys:
                later.append(waiting)
            else:
                keys.add(key)
                batch.append(waiting)
        self._queue.extendleft(reversed(later))
        return batch

    async def _commit(self, batch: list[_Waiting[RequestT, OutcomeT]]) -> None:
        """Settle what still has a caller; who is poisoned or contended is settled again, alone."""
        present = [waiting for waiting in batch if not waiting.answer.done()]
        if not present:
            return
        try:
            outcomes = await present[0].settle([waiting.request for waiting in present])
            pairs = list(zip(present, outcomes, strict=True))
        except Unavailable as away:
            _answer_all(present, away)
        except Exception as fault:  # noqa: BLE001  # one poisoned request must not take its neighbours down
            if len(present) > 1:
                self._alone.extend(present)
            else:
                _answer_all(present, fault)
        except BaseException:
            _answer_all(present, Unavailable("the server is stopping", retry_after=2))
            raise
        else:
            self._alone.extend(_give_out(pairs))


def _give_out(
    outcomes: Sequence[tuple[_Waiting[RequestT, OutcomeT], OutcomeT | Exception]],
) -> list[_Waiting[RequestT, OutcomeT]]:
    """Each its own; returns the contended ones."""
    again = []
    for waiting, outcome in outcomes:
        if isinstance(outcome, Contended):
            again.append(waiting)
        elif isinstance(outcome, Exception):
            _answer_all([waiting], outcome)
        elif not waiting.answer.done():
            waiting.answer.set_result(outcome)
    return again


def _answer_all(batch: Sequence[_Waiting[Any, Any]], fault: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(fault)
