"""Calls to an inventory source, each under a deadline; what goes wrong is a `Fault`, told by class.

A plugin's own exception may quote a code, so its text is never passed on; a StarshipError's is fit
to be read.
"""

from __future__ import annotations

import asyncio
import time
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
_log = structlog.get_logger("starship.pump")


class Fault(Exception):
    """A source failed; what it had handed over before stands. The text is fit to be read."""


async def chunks(
    instance: str, source: InventorySource, wants: Sequence[Want], size: int
) -> AsyncIterator[list[Voucher]]:
    """All that the source has, up to `size` units together. Raises Fault after what came before."""
    chunk: list[Voucher] = []
    fault: Fault | None = None
    units = await _answer(instance, "pull", _called(source, wants))
    async with aclosing(_closable(units)):
        began = time.monotonic()
        while True:
            try:
                chunk.append(await _answer(instance, "pull", anext(units)))
            except StopAsyncIteration:
                break
            except Fault as error:
                fault = error
                break
            if len(chunk) >= size or time.monotonic() - began > GATHER_SECONDS:
                yield chunk
                chunk, began = [], time.monotonic()
    if chunk:
        yield chunk
    if fault:
        raise fault


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
