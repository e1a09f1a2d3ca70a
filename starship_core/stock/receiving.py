"""One chunk of judged units into the stock: the new ones in, the duplicates aside, in one go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starship_core.audit import By, record
from starship_core.clock import moment
from starship_core.faults import RaceLost
from starship_core.model import Voucher
from starship_core.ports import Transaction
from starship_core.stock.intake import LEFT, Judge, Judged, Stocked, Unit, met
from starship_core.stock.table import (
    Pooled,
    Row,
    block,
    insert,
    known_fingerprints,
    known_origins,
    quarantine,
    undelivered,
)
from starship_core.vault import Vault


class Prepared(NamedTuple):
    """A chunk, judged; what of it can be kept at all, encrypted."""

    units: list[Judged]
    kept: Sequence[Unit] = ()
    rows: Sequence[Row] = ()


class Written(NamedTuple):
    """A chunk as it came out of its transaction: what is on sale now, and what no longer is."""

    units: list[Judged]
    pooled: Sequence[Pooled] = ()
    blocked: Sequence[Pooled] = ()


class Stored(NamedTuple):
    outcomes: dict[int, Judged]
    """By the row's id: the unit as it came out, when another process was quicker."""
    pooled: list[Pooled]
    blocked: list[Pooled]


def prepared(judge: Judge, chunk: Sequence[Voucher], vault: Vault, ids: Sequence[int]) -> Prepared:
    """Everything that needs no transaction, for one id a unit. Blocks: meant for a thread."""
    units = judge.all(chunk)
    kept = [unit for unit in units if isinstance(unit, Unit)]
    return Prepared(units, kept, sealed(vault, kept, ids[: len(kept)]))


def rejudged(ready: Prepared, units: list[Judged]) -> Prepared:
    """The same chunk, unit by unit judged anew: what is to stay with its source is not written."""
    rows = iter(ready.rows)
    pairs = [
        (unit, next(rows))
        for before, unit in zip(ready.units, units, strict=True)
        if isinstance(before, Unit)
    ]
    kept = [
        (unit, row) for unit, row in pairs if isinstance(unit, Unit) and unit.outcome not in LEFT
    ]
    return Prepared(units, [unit for unit, _ in kept], [row for _, row in kept])


def write(tx: Transaction, ready: Prepared, context: tuple[By, int]) -> Written:
    """As `store`, of a whole chunk."""
    units, kept, rows = ready
    stored = store(tx, rows, kept, context)
    final = {id(unit): stored.outcomes[row.id] for unit, row in zip(kept, rows, strict=True)}
    units = [final.get(id(unit), unit) for unit in units]
    return Written(units, stored.pooled, stored.blocked)


def sealed(vault: Vault, units: Sequence[Unit], ids: Sequence[int]) -> list[Row]:
    texts = vault.seal_all(zip(ids, (unit.code for unit in units), strict=True))
    return [
        Row(id_, unit.sku, unit.state, unit.reason, text, key_id, unit.fingerprint, unit.origin,
            unit.number, unit.expires_at)
        for unit, id_, (text, key_id) in zip(units, ids, texts, strict=True)
    ]  # fmt: skip


def store(
    tx: Transaction, rows: Sequence[Row], units: Sequence[Unit], context: tuple[By, int]
) -> Stored:
    """Insert what is new; whose code another unit holds, goes to quarantine and blocks that one."""
    by, at = context
    outcomes: dict[int, Judged] = {row.id: unit for row, unit in zip(rows, units, strict=True)}
    new = [row for row in rows if outcomes[row.id].outcome != "duplicate"]
    inserted = insert(tx, new, at)
    rest = [(row, unit) for row, unit in zip(rows, units, strict=True) if row.id not in inserted]
    stocked = look_up(tx, [unit for _, unit in rest])
    duplicates = []
    for row, unit in rest:
        older = stocked.prints.get(unit.fingerprint)
        outcome = outcomes[row.id] = met(unit, stocked.origins.get(unit.origin), older)
        if outcome.outcome == "duplicate" and older:
            duplicates.append((row, older))
        elif outcome is unit:
            raise RaceLost  # what it met is gone again
    quarantine(tx, duplicates, at)
    reasons = {older.voucher_id: f"duplicate of {row.origin}" for row, older in duplicates}
    blocked = block(tx, reasons, at)
    _audit(tx, by, blocked, reasons, at)
    pooled = [
        Pooled(row.id, row.sku, row.expires_at)
        for row in new
        if row.id in inserted and row.state == "pooled"
    ]
    gone = {one.id for one in blocked}
    return Stored(outcomes, [one for one in pooled if one.id not in gone], blocked)


def look_up(tx: Transaction, units: Sequence[Judged]) -> Stocked:
    """What the stock has of these."""
    kept = [unit for unit in units if isinstance(unit, Unit)]
    return Stocked(
        known_origins(tx, (unit.origin for unit in kept)),
        known_fingerprints(tx, (unit.fingerprint for unit in kept)),
    )


def take_back(
    tx: Transaction, origins: Sequence[str], reason: str, context: tuple[By, int]
) -> list[Pooled]:
    by, at = context
    reasons = dict.fromkeys(undelivered(tx, origins), reason)
    gone = block(tx, reasons, at)
    _audit(tx, by, gone, reasons, at)
    return gone


def _audit(
    tx: Transaction, by: By, blocked: Iterable[Pooled], reasons: Mapping[int, str], at: int
) -> None:
    for one in blocked:
        after = {"state": "blocked", "reason": reasons[one.id]}
        record(tx, by, "stock.block", f"voucher:{one.id}", at=moment(at), after=after)
