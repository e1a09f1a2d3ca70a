"""Calls to an inventory source, each under a deadline; what goes wrong is a `Fault`, told by class.

A plugin's own exception may quote a code, so its text is never passed on; a StarshipError's is fit
to be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar

import structlog

from starship_core.errors import StarshipError
from starship_core.model import Voucher, Want
from starship_core.ports import InventorySource

T = TypeVar("T")

PORT_SECONDS: Final = 60.0
"""For one answer of a source: the next unit, a confirmation, a list of recalls."""
GATHER_SECONDS: Final = 5.0
"""A slow source's units are stored this often, without waiting for a full chunk."""
_PUT_OFF_SECONDS: Final = 0.1
_log = structlog.get_logger("starship.pump")


class Fault(Exception):
    """A source failed; what it had handed over before stands. The text is fit to be read."""


async def chunks(
    instance: str, source: InventorySource, wants: Sequence[Want], size: int
) -> AsyncIterator[list[Voucher]]:
    """All that the source has, up to `size` units together. Raises Fault after what came before."""
    units = await _answer(instance, "pull", _called(source, wants))
    async with aclosing(_closable(units)):
        fault: Fault | None = None
        ended = False
        while not ended:
            chunk: list[Voucher] = []
            try:
                ended = await _gather(units, chunk, size)
            except Exception as error:  # noqa: BLE001  # a plugin may raise anything
                fault, ended = _fault(instance, "pull", error), True
            if chunk:
                yield chunk
    if fault:
        raise fault


async def _gather(units: AsyncIterator[Voucher], chunk: list[Voucher], size: int) -> bool:
    """Fill the chunk; True at the end. One deadline, put off while units come."""
    loop = asyncio.get_running_loop()
    began = put_off = loop.time()
    async with asyncio.timeout(PORT_SECONDS) as deadline:
        async for unit in units:
            chunk.append(unit)
            now = loop.time()
            if len(chunk) >= size or now - began > GATHER_SECONDS:
                return False
            if now - put_off > _PUT_OFF_SECONDS:
                put_off = now
                deadline.reschedule(now + PORT_SECONDS)
    return True


async def confirm(instance: str, source: InventorySource, references: Sequence[str]) -> None:
    """Tell the source what is in the stock. Raises Fault; the units are then offered once more."""
    await _answer(instance, "confirm", source.confirm(references))


async def recalled(instance: str, source: InventorySource) -> list[str]:
    """What the source takes back; nothing when it has no such ability. Raises Fault."""
    ask = getattr(source, "recalled", None)
    return [] if ask is None else list(await _answer(instance, "recalled", ask()))


def passed_over(instance: str, source: InventorySource) -> tuple[int, int, list[str]]:
    """What a `ReportingSource` says of its last pull; nothing when it has no such ability."""
    ask = getattr(source, "passed_over", None)
    if ask is None:
        return 0, 0, []
    try:
        known, unreadable, told = ask()
        return int(known), int(unreadable), [str(line) for line in told]
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        raise _fault(instance, "passed_over", error) from None


async def _answer(instance: str, call: str, asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(PORT_SECONDS):
            return await asked
    except StopAsyncIteration:
        raise
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        raise _fault(instance, call, error) from None


async def _called(source: InventorySource, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
    return aiter(source.pull(wants))


def _closable(units: Any) -> Any:
    """An iterator written by hand need not be closable."""
    return units if hasattr(units, "aclose") else _Nothing()


class _Nothing:
    async def aclose(self) -> None:
        """There is nothing to close."""


def _fault(instance: str, call: str, error: Exception) -> Fault:
    name = type(error).__name__
    _log.warning("source.failed", source=instance, call=call, error=name)
    told = f": {error}" if isinstance(error, StarshipError) else ""
    if isinstance(error, TimeoutError):
        told = f" (no answer in {PORT_SECONDS:g} s)"
    return Fault(f"{call}: {name}{told}")
