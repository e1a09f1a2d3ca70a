"""The till: who commits together, who waits, who is alone with a fault, and that nobody hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from starship_core import till as module
from starship_core.errors import InsufficientFunds, Unavailable
from starship_core.till import LONGEST, Contended, Settle, Till

SECONDS = 10.0
"""Whoever waits longer than this hangs."""


@dataclass(frozen=True)
class Ask:
    """A request of a client under a key."""

    client_id: int
    key: str


class Desk:
    """Settles what it is given with `answers`, remembers each batch, and can be held up."""

    def __init__(self, answers: dict[str, list[str | Exception]] | None = None) -> None:
        self.batches: list[list[str]] = []
        self.answers = answers or {}
        self.open = asyncio.Event()
        self.open.set()
        self.till: Till[Ask, str] = Till()

    async def settle(self, asked: Sequence[Ask]) -> list[str | Exception]:
        self.batches.append([each.key for each in asked])
        await self.open.wait()
        await asyncio.sleep(0)
        return [self.answer(each) for each in asked]

    def answer(self, asked: Ask) -> str | Exception:
        waiting = self.answers.get(asked.key, [])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0] if waiting else asked.key

    def ask(
        self, key: str, client_id: int = 1, settle: Settle[Ask, str] | None = None
    ) -> asyncio.Task[str]:
        joining = self.till.join(Ask(client_id, key), settle or self.settle)
        return asyncio.create_task(joining)

    async def begun(self, batches: int) -> None:
        """Wait until so many batches were handed over."""
        async with asyncio.timeout(SECONDS):
            while len(self.batches) < batches:  # noqa: ASYNC110  # a step of the loop at a time
                await asyncio.sleep(0)

    async def held(self, first: str = "first") -> asyncio.Task[str]:
        """Hold the committer up with one request, so that what comes next waits together."""
        self.open.clear()
        task = self.ask(first)
        await self.begun(len(self.batches) + 1)
        return task


async def answers(*tasks: asyncio.Task[str]) -> list[str | BaseException]:
    """What each came to; a TimeoutError when one of them hangs."""
    async with asyncio.timeout(SECONDS):
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_one_alone_commits_at_once(desk: Desk) -> None:
    """At rest there is no timer: a single request is a batch of one."""
    assert await desk.ask("a") == "a"
    assert desk.batches == [["a"]]


async def test_who_comes_during_a_commit_shares_the_next(desk: Desk) -> None:
    """Three that come while one commits are one batch, in their order."""
    first = await desk.held()
    others = [desk.ask(key) for key in "abc"]
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers(first, *others) == ["first", "a", "b", "c"]
    assert desk.batches == [["first"], ["a", "b", "c"]]


async def test_a_batch_has_a_longest(desk: Desk) -> None:
    """150 that wait are 64, 64 and 22; nobody is left behind."""
    first = await desk.held()
    keys = [f"k{n}" for n in range(150)]
    others = [desk.ask(key) for key in keys]
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers(first, *others) == ["first", *keys]
    assert [len(batch) for batch in desk.batches] == [1, LONGEST, LONGEST, 22]


async def test_equal_keys_never_share_a_batch(desk: Desk) -> None:
    """One key three times is in three batches; another client's same key may be in the first."""
    first = await desk.held()
    mine = [desk.ask("a"), desk.ask("a"), desk.ask("b"), desk.ask("a")]
    other = desk.ask("a", client_id=2)
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers(first, *mine, other) == ["first", "a", "a", "b", "a", "a"]
    assert desk.batches == [["first"], ["a", "b", "a"], ["a"], ["a"]]


async def test_a_refusal_is_a_value(desk: Desk) -> None:
    """One without money is refused; its neighbours, and the batch, are not touched."""
    desk.answers["poor"] = [InsufficientFunds("no")]
    first = await desk.held()
    others = [desk.ask("a"), desk.ask("poor"), desk.ask("b")]
    await asyncio.sleep(0)
    desk.open.set()
    _, a, poor, b = await answers(first, *others)
    assert (a, type(poor), b) == ("a", InsufficientFunds, "b")
    assert desk.batches == [["first"], ["a", "poor", "b"]]


async def test_poison_is_alone(desk: Desk) -> None:
    """A batch that fails as a whole is settled one by one: only who is at fault has the fault."""

    async def settle(asked: Sequence[Ask]) -> list[str | Exception]:
        if any(each.key == "poison" for each in asked):
            desk.batches.append([each.key for each in asked])
            raise ZeroDivisionError
        return await desk.settle(asked)

    first = await desk.held()
    others = [desk.ask(key, settle=settle) for key in ("a", "poison", "b")]
    await asyncio.sleep(0)
    desk.open.set()
    _, a, poison, b = await answers(first, *others)
    assert (a, type(poison), b) == ("a", ZeroDivisionError, "b")
    assert desk.batches == [["first"], ["a", "poison", "b"], ["a"], ["poison"], ["b"]]


async def test_an_absent_database_is_told_to_all(desk: Desk) -> None:
    """Unavailable is nobody's fault, so nothing is tried again one by one."""

    async def settle(asked: Sequence[Ask]) -> list[str | Exception]:
        desk.batches.append([each.key for each in asked])
        raise Unavailable

    first = await desk.held()
    others = [desk.ask(key, settle=settle) for key in "ab"]
    await asyncio.sleep(0)
    desk.open.set()
    _, a, b = await answers(first, *others)
    assert (type(a), type(b)) == (Unavailable, Unavailable)
    assert desk.batches == [["first"], ["a", "b"]]


async def test_too_few_outcomes_hang_nobody(desk: Desk) -> None:
    """A settle that forgets one answers nobody wrongly: all are settled again, alone."""

    async def settle(asked: Sequence[Ask]) -> list[str | Exception]:
        return (await desk.settle(asked))[: max(len(asked) - 1, 1)]

    first = await desk.held()
    others = [desk.ask(key, settle=settle) for key in "ab"]
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers(first, *others) == ["first", "a", "b"]


async def test_contended_is_settled_again_alone(desk: Desk) -> None:
    """What another process held is asked for again, without the others, until it is there."""
    desk.answers["x"] = [Contended(), Contended(), "x"]
    first = await desk.held()
    others = [desk.ask(key) for key in "axb"]
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers(first, *others) == ["first", "a", "x", "b"]
    assert desk.batches == [["first"], ["a", "x", "b"], ["x"], ["x"]]


async def test_contended_does_not_stop_the_others(desk: Desk) -> None:
    """While one waits for another process' stock, batches go on between its attempts."""
    desk.answers["x"] = [Contended()]
    contended = desk.ask("x")
    await desk.begun(3)
    assert await answers(*(desk.ask(key) for key in "ab")) == ["a", "b"]
    assert not contended.done()
    desk.answers["x"] = ["x"]
    assert await answers(contended) == ["x"]


async def test_contended_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock that stays locked is Unavailable in the end, never PENDING and never a hang."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    desk.answers["x"] = [Contended()]
    (outcome,) = await answers(desk.ask("x"))
    assert isinstance(outcome, Unavailable)
    assert desk.batches[0] == ["x"]
    assert await answers(desk.ask("a")) == ["a"]


async def test_who_waited_too_long_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the patience nothing is written: the request never reaches a batch."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    first = await desk.held()
    late = desk.ask("late")
    await asyncio.sleep(0.1)
    desk.open.set()
    kept, refused = await answers(first, late)
    assert (kept, type(refused)) == ("first", Unavailable)
    assert desk.batches == [["first"]]


async def test_the_queue_has_an_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its limit a request is refused at once, and the others are served."""
    monkeypatch.setattr(module, "QUEUE_LIMIT", 2)
    first = await desk.held()
    others = [desk.ask(key) for key in "abc"]
    await asyncio.sleep(0)
    desk.open.set()
    _, a, b, c = await answers(first, *others)
    assert (a, b, type(c)) == ("a", "b", Unavailable)


async def test_a_caller_that_leaves_the_queue_is_not_settled(desk: Desk) -> None:
    """Who hung up before the batch was formed has asked for nothing."""
    first = await desk.held()
    gone, stays = desk.ask("gone"), desk.ask("stays")
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    desk.open.set()
    assert await answers(first, stays) == ["first", "stays"]
    assert desk.batches == [["first"], ["stays"]]


async def test_a_caller_that_leaves_during_the_commit_disturbs_nobody(desk: Desk) -> None:
    """The batch commits with it; the others get their answers."""
    first = await desk.held()
    gone, stays = desk.ask("gone"), desk.ask("stays")
    await asyncio.sleep(0)
    desk.open.set()
    await first
    desk.open.clear()
    await desk.begun(2)
    gone.cancel()
    await asyncio.sleep(0)
    desk.open.set()
    outcomes = await answers(gone, stays)
    assert (type(outcomes[0]), outcomes[1]) == (asyncio.CancelledError, "stays")
    assert desk.batches == [["first"], ["gone", "stays"]]


async def cancel_committer() -> None:
    """As a stopping loop does."""
    (committer,) = (task for task in asyncio.all_tasks() if task.get_name() == "till")
    committer.cancel()
    await asyncio.wait([committer])


async def test_a_cancelled_committer_leaves_nobody_waiting(desk: Desk) -> None:
    """Its batch hears Unavailable; the queue behind it is served all the same."""
    first = await desk.held()
    later = desk.ask("later")
    await asyncio.sleep(0)
    await cancel_committer()
    desk.open.set()
    outcome, served = await answers(first, later)
    assert (type(outcome), served) == (Unavailable, "later")


async def test_cancelled_while_it_settles_one_by_one(desk: Desk) -> None:
    """Only the one under way hears Unavailable; who was still to be settled alone is settled."""
    desk.answers = {"a": [Contended(), "a"], "b": [Contended(), "b"]}
    a, b = desk.ask("a"), desk.ask("b")
    await desk.begun(1)
    await asyncio.sleep(0)
    desk.open.clear()
    await desk.begun(2)
    await cancel_committer()
    desk.open.set()
    outcome, served = await answers(a, b)
    assert (type(outcome), served) == (Unavailable, "b")
    assert desk.batches == [["a", "b"], ["a"], ["b"]]


async def test_drain_waits_for_all(desk: Desk) -> None:
    """After `drain` nothing is under way; an idle till is drained already."""
    await desk.till.drain()
    first = await desk.held()
    second = desk.ask("second")
    draining = asyncio.create_task(desk.till.drain())
    await asyncio.sleep(0)
    desk.open.set()
    async with asyncio.timeout(SECONDS):
        await draining
    assert await answers(first, second) == ["first", "second"]
