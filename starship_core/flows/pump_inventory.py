"""The pump: sources → stock → pool. Every step commits by itself, and running it again is right.

One transaction takes a chunk into the stock and puts it on sale; then Redis is told, then the
source. A crash before the last step only means that the source offers the same units again, and
their origin is known. While a chunk is being inserted, the one before it is told to Redis and to
the source, and the next is read and encrypted. What a target still misses after all sources is
planned to be bought (`buying/filling.py`); nothing is sent to a vendor here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from starship_core.audit import By, record
from starship_core.buying import filling
from starship_core.clock import micros, moment
from starship_core.errors import Unavailable, WrongState
from starship_core.garbage import settled
from starship_core.lease import Lease, leased
from starship_core.model import Sku, Voucher
from starship_core.ports import InventorySource, Transaction
from starship_core.ship import Ship
from starship_core.stock.expiry import take_out_expired
from starship_core.stock.intake import LEFT, Judge, compare
from starship_core.stock.mirror import mirror
from starship_core.stock.pulling import Fault, chunks, confirm, passed_over, recalled
from starship_core.stock.rations import Rations
from starship_core.stock.receiving import (
    Prepared,
    Written,
    look_up,
    prepared,
    rejudged,
    take_back,
    write,
)
from starship_core.stock.rehearsal import Rehearsal
from starship_core.stock.report import OfTarget, Pumped, Tally
from starship_core.stock.table import (
    CHUNK,
    Pooled,
    by_sku,
    draw_ids,
    put_on_sale,
    received,
)
from starship_core.store.targets import Level

T = TypeVar("T")
Progress = Callable[[int], None]
"""Called with the number of units dealt with since the last call: handed over, or to be bought."""

AHEAD: Final = 16 * CHUNK


async def pump(
    ship: Ship,
    *,
    by: By,
    sources: Mapping[str, InventorySource] | None = None,
    progress: Progress = lambda _count: None,
    brought: bool = False,
) -> Pumped:
    """Take what the sources (left out: all of them) have and the targets miss, and load the pool.

    What all sources together did not have is planned to be bought, as far as standing approvals
    allow it. `brought`: by hand, so all of it is taken, whatever the targets say.

    A source that fails is reported, and the others go on. Raises WrongState when another pump keeps
    running, Unavailable when the database is away; what was taken until then stays.
    """
    async with leased("pump", ship.database, ship.now) as lease:
        run = _Pump(ship, by, lease)
        await run.expire()
        await run.resume()
        begun = await filling.look_at_levels(ship)
        run.rations = Rations([] if brought else begun)
        with settled():
            for name, source in (ship.sources if sources is None else sources).items():
                await _drain(ship, (name, source), run, progress)
        targets = [] if brought else await run.fill_up(begun, every_source=sources is None)
        await run.mirror()
        report = run.tally.report(targets)
        progress(report.bought_ahead)
        if report.changed:
            await ship.database.run(_write_down, by, report, micros(ship.now()))
    return report


async def sweep_pump(ship: Ship) -> int:
    """The pump on time: how many units changed their place.

    While another pump is running there is nothing to do. Raises Unavailable when a source failed.
    """
    try:
        report = await pump(ship, by=By(actor="pump"))
    except WrongState:
        return 0
    if report.failed:
        raise Unavailable("a source could not be read to its end", retry_after=60)
    return report.pooled + report.expired + report.recalled + report.bought_ahead


async def rehearse(
    ship: Ship,
    *,
    sources: Mapping[str, InventorySource] | None = None,
    progress: Progress = lambda _count: None,
    brought: bool = False,
) -> Pumped:
    """What `pump` would do with what the sources have now. Writes and confirms nothing."""
    begun = [] if brought else await filling.look_at_levels(ship)
    run = Rehearsal(ship.database, Rations(begun))
    for name, source in (ship.sources if sources is None else sources).items():
        await _drain(ship, (name, source), run, progress)
    if sources is None and not run.tally.faulty:
        return run.tally.report(await filling.foresee(ship, begun, run.rations))
    why = filling.NOT_ALL if sources is not None else filling.FAULTY
    return run.tally.report(filling.passed_by(begun, run.rations, why))


class _Run(Protocol):
    """What is done with a source's units."""

    tally: Tally
    rations: Rations

    async def recall(self, origins: Sequence[str], reason: str) -> None: ...
    async def prepare(self, judge: Judge, chunk: Sequence[Voucher]) -> Prepared: ...
    async def store(self, ready: Prepared) -> Written: ...
    async def tell(self, written: Written) -> None: ...
    async def confirm(self, name: str, source: InventorySource, references: list[str]) -> None: ...


async def _drain(
    ship: Ship, named: tuple[str, InventorySource], run: _Run, progress: Progress
) -> None:
    name, source = named
    run.tally.begin(name)
    catalogue = await ship.catalogue.current()
    judge = Judge(name, catalogue=catalogue, vault=ship.vault, now=ship.now())
    try:
        judge.recalled = frozenset(await recalled(name, source))
        await run.recall([*map(judge.origin, judge.recalled)], f"recalled by {name}")

        async def settle(written: Written | None) -> None:
            if written is None:
                return
            await run.tell(written)
            run.tally.count(name, written.units)
            progress(len(written.units))
            settled = [unit.reference for unit in written.units if unit.outcome not in LEFT]
            await run.confirm(name, source, settled)

        writing: asyncio.Task[Written] | None = None
        try:
            async for chunk in chunks(name, source, run.rations.wants(catalogue), CHUNK):
                ready = await run.prepare(judge, chunk)
                before, writing = writing, None
                written = await before if before else None
                writing = asyncio.create_task(run.store(ready))
                await settle(written)
        finally:  # a source that fails has handed over what came before
            await settle(await writing if writing else None)
        run.tally.passed_over(name, *passed_over(name, source))
    except Fault as fault:
        run.tally.fault(name, str(fault))


class _Pump:
    """One run under its lease."""

    def __init__(self, ship: Ship, by: By, lease: Lease) -> None:
        self.ship = ship
        self.by = by
        self.lease = lease
        self.tally = Tally()
        self.rations = Rations()
        self._redis = True
        self._drawn: Sequence[int] = ()
        self._ahead = 0

    async def expire(self) -> None:
        """What has expired leaves the stock and the pool."""
        at = micros(self.ship.now())
        self.tally.expired += await take_out_expired(self.ship.database, self.ship.pool, at)

    async def resume(self) -> None:
        """Put on sale what a pump that was killed left behind, and what was unblocked since."""
        after = 0
        while ids := await self.ship.database.read(received, after):
            await self._put_on_sale(ids)
            after = ids[-1]

    async def recall(self, origins: Sequence[str], reason: str) -> None:
        for chunk in _in_chunks(origins):
            at = micros(self.ship.now())
            gone = await self.ship.database.run(take_back, chunk, reason, (self.by, at))
            self.tally.recalled += len(gone)
            await self._unload(gone)

    async def prepare(self, judge: Judge, chunk: Sequence[Voucher]) -> Prepared:
        """Draw ids, judge, encrypt to them: a crash loses ids and nothing else."""
        ids = await self._ids(len(chunk))
        return await asyncio.to_thread(prepared, judge, chunk, self.ship.vault, ids)

    async def store(self, ready: Prepared) -> Written:
        """Insert on sale, in one transaction, what is not too much."""
        self.lease.check()
        database, units = self.ship.database, ready.units
        if self.rations.exceeded(units):  # what is here already is no surplus
            units = self.rations.cut(compare(units, await database.read(look_up, units)))
            ready = rejudged(ready, units)
        written = Written(units)
        if ready.kept:
            written = await database.run(write, ready, (self.by, micros(self.ship.now())))
        self.tally.blocked_as_duplicates += len(written.blocked)
        self.rations.count(written.units)
        return written

    async def tell(self, written: Written) -> None:
        """Redis: what is on sale now, and what no longer is."""
        await self._unload(written.blocked)
        await self._load(written.pooled)

    async def fill_up(self, begun: Sequence[Level], *, every_source: bool) -> list[OfTarget]:
        """Plan what is to be bought ahead: nothing, as long as a source may still have it."""
        if every_source and not self.tally.faulty:
            return await filling.fill_up(self.ship, self.by, begun, self.rations, self.lease.check)
        why = filling.FAULTY if every_source else filling.NOT_ALL
        return filling.passed_by(begun, self.rations, why)

    async def _ids(self, count: int) -> Sequence[int]:
        """Drawn ahead, the more the longer this pump runs; those not used leave a hole."""
        if len(self._drawn) < count:
            self._ahead = min(2 * self._ahead, AHEAD) or count
            drawn = await self.ship.database.run(draw_ids, max(count, self._ahead))
            self._drawn = [*self._drawn, *drawn]
        ids, self._drawn = self._drawn[:count], self._drawn[count:]
        return ids

    async def confirm(self, name: str, source: InventorySource, references: list[str]) -> None:
        if references:
            await confirm(name, source, references)

    async def mirror(self) -> None:
        """Compare Redis with the table and repair it; while it is away, SQL serves alone."""
        pool = self.ship.pool
        try:
            repaired = await mirror(self.ship.database, pool) if await pool.ping() else None
        except Unavailable:
            if await pool.ping():
                raise  # then it was the database
            repaired = None
        self.tally.mirrored(repaired)

    async def _put_on_sale(self, ids: Sequence[int]) -> None:
        at = micros(self.ship.now())
        await self._load(await self.ship.database.run(put_on_sale, ids, at))

    async def _load(self, pooled: Sequence[Pooled]) -> None:
        self.tally.pooled += len(pooled)
        load = self.ship.pool.load_all
        await self._tell(
            load, {s: [(v.id, v.expires_at) for v in some] for s, some in by_sku(pooled).items()}
        )

    async def _unload(self, gone: Iterable[Pooled]) -> None:
        drop = self.ship.pool.drop_all
        await self._tell(drop, {s: [v.id for v in some] for s, some in by_sku(gone).items()})

    async def _tell(
        self, change: Callable[[Mapping[Sku, list[T]]], Awaitable[None]], what: dict[Sku, list[T]]
    ) -> None:
        """Redis only until its first failure: `mirror` makes good what it missed."""
        if not self._redis or not what:
            return
        try:
            await change(what)
        except Unavailable:
            self._redis = False


def _write_down(tx: Transaction, by: By, report: Pumped, at: int) -> None:
    after = {
        "sources": {source.source: source.counts for source in report.sources},
        "pooled": report.pooled,
        "expired": report.expired,
        "recalled": report.recalled,
        "blocked_as_duplicates": report.blocked_as_duplicates,
        "bought_ahead": report.bought_ahead,
    }
    record(tx, by, "stock.pump", "stock", at=moment(at), after=after)


def _in_chunks(entries: Sequence[T]) -> Iterator[Sequence[T]]:
    return (entries[at : at + CHUNK] for at in range(0, len(entries), CHUNK))
