"""Rotate the vault's keys: a new one for new rows, and all others re-encrypted while orders go on.

A chunk is one transaction that locks only rows nobody holds, so it may be killed at any moment
and run again: rows that still name an older key are what is left to do. The fingerprint key never
rotates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from starship_core.audit import By, record
from starship_core.database import Tx, json_rows
from starship_core.keyring import add_key, file_of, prepare_key, read_keys, remove_key
from starship_core.lease import leased
from starship_core.ports import Transaction
from starship_core.ship import Ship
from starship_core.store.sealed_secrets import SECRETS, Place
from starship_core.vault import MissingKey, Unsealable, Vault

Progress = Callable[[int], None]

PLACES: Final[tuple[Place, ...]] = ("vouchers", "quarantine", *SECRETS)
REST: Final = timedelta(hours=24)
"""A key is kept this long after its successor came into use here: for quotes that it signed, and
rows that another machine sealed with it meanwhile.
"""
_CHUNK: Final = 500
_PASSES: Final = 5
"""Rows that an order holds are passed over, and looked at again this often."""

_USED: Final = "SELECT key_id, count(*) FROM {place} GROUP BY key_id"
_OLDER: Final = """
SELECT id, sealed FROM {place} WHERE key_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""
_RESEAL: Final = """
UPDATE {place} SET sealed = value->>1, key_id = value->>2
FROM json_each($1) WHERE {place}.id = cast(value->>0 AS bigint)
"""


class KeyUse(Struct, frozen=True, kw_only=True):
    """One key, and how many rows need it."""

    id: str
    state: Literal["current", "old", "prepared", "missing"]
    """`missing`: rows name it, and its file is not there; they cannot be opened."""
    created_at: int | None
    vouchers: int = 0
    quarantine: int = 0
    credentials: int = 0
    webhooks: int = 0
    purchases: int = 0
    """Raw replies of vendors that were unclear."""

    @property
    def rows(self) -> int:
        codes = self.vouchers + self.quarantine
        return codes + self.credentials + self.webhooks + self.purchases


class Rotated(Struct, frozen=True, kw_only=True):
    """What a rotation did."""

    key: str
    """All rows but the damaged and the remaining ones name it now."""
    added: bool
    """False: it finished an earlier rotation, and made no key."""
    resealed: dict[Place, int]
    damaged: list[str]
    """Rows that do not open; they stay as they are."""
    remaining: int
    """Rows that others held all the time, or whose key is missing: run it again."""


class Pruned(Struct, frozen=True):
    """Keys that are gone, and why others are not."""

    removed: list[str]
    kept: dict[str, str]


async def list_keys(ship: Ship) -> list[KeyUse]:
    """Every key that is there or that some row names, oldest first."""
    keyring = read_keys(ship.vault.folder)
    used = {place: await ship.database.read(_used, place) for place in PLACES}
    unknown = {key_id for use in used.values() for key_id in use} - keyring.vault.keys()
    uses = []
    for key_id in (*sorted(unknown), *keyring.vault):
        key = keyring.vault.get(key_id)
        if key is None:
            state: Literal["current", "old", "prepared", "missing"] = "missing"
        elif key.prepared:
            state = "prepared"
        else:
            state = "current" if key_id == keyring.current.id else "old"
        uses.append(
            KeyUse(
                id=key_id,
                state=state,
                created_at=key.created_at if key else None,
                **{place: used[place][key_id] for place in PLACES},
            )
        )
    return uses


async def prepare(ship: Ship, *, by: By) -> Path:
    """The file of the next key, which nothing is sealed with yet."""
    key = prepare_key(ship.vault.folder)
    await _write_down(ship, by, "keys.prepare", key.id)
    return file_of(ship.vault.folder, key)


async def rotate(ship: Ship, *, by: By, progress: Progress = lambda _count: None) -> Rotated:
    """Finish a rotation that was interrupted; if there is none, bring the next key into use.

    Raises WrongState while another rotation runs.
    """
    async with leased("key rotation", ship.database, ship.now):
        run = _Rotation(ship, progress)
        await run.reseal()
        added = not run.resealed.total()
        if added:
            key = add_key(ship.vault.folder)
            await _write_down(ship, by, "keys.add", key.id)
            await run.reseal()
        rotated = Rotated(
            key=ship.vault.current_key,
            added=added,
            resealed=dict(run.resealed),
            damaged=sorted(run.damaged),
            remaining=await run.remaining(),
        )
        after: dict[str, int] = {str(place): count for place, count in run.resealed.items()}
        after |= {"damaged": len(run.damaged), "remaining": rotated.remaining}
        await _write_down(ship, by, "keys.rotate", rotated.key, after=after)
    return rotated


async def prune(ship: Ship, *, by: By) -> Pruned:
    """Remove old keys that no row needs and that have rested long enough."""
    folder = ship.vault.folder
    pruned = Pruned([], {})
    old = [use for use in await list_keys(ship) if use.state == "old"]
    for use in old:
        if use.rows:
            pruned.kept[use.id] = f"{use.rows} rows need it; rotate first"
        elif ship.now() - _in_use_since(folder, use.id) < REST:
            hours = REST.total_seconds() / 3600
            pruned.kept[use.id] = f"its successor came into use less than {hours:g} h ago"
        else:
            await _write_down(ship, by, "keys.prune", use.id)
            remove_key(folder, use.id)
            pruned.removed.append(use.id)
    return pruned


def _in_use_since(folder: Path, key_id: str) -> datetime:
    """When the key after this one came into use on this machine: then its file was made."""
    keys = [key for key in read_keys(folder).vault.values() if not key.prepared]
    successor = next(later for key, later in pairwise(keys) if key.id == key_id)
    return datetime.fromtimestamp(file_of(folder, successor).stat().st_mtime, UTC)


async def _write_down(ship: Ship, by: By, action: str, key_id: str, *, after: Any = None) -> None:
    subject, at = f"key:{key_id}", ship.now()
    await ship.database.run(
        partial(record, by=by, action=action, subject=subject, at=at, after=after)
    )


class _Rotation:
    def __init__(self, ship: Ship, progress: Progress) -> None:
        self.ship = ship
        self.progress = progress
        self.resealed: Counter[Place] = Counter()
        self.damaged: set[str] = set()

    async def reseal(self) -> None:
        """Everything that names an older key and can be opened, to the current one."""
        for _ in range(_PASSES):
            done = self.resealed.total()
            for use in await list_keys(self.ship):
                if use.state == "old" and use.rows:
                    await self._rows(use.id)
            for place in SECRETS:
                await self._secrets(place)
            if self.resealed.total() == done:
                return

    async def remaining(self) -> int:
        uses = await list_keys(self.ship)
        return sum(use.rows for use in uses if use.state in ("old", "missing")) - len(self.damaged)

    async def _rows(self, key_id: str) -> None:
        for place in PLACES[:2]:
            after: int | None = 0
            while after is not None:
                after, done, damaged = await self.ship.database.run(
                    _reseal, self.ship.vault, place, (key_id, after)
                )
                self._count(place, done, damaged)

    async def _secrets(self, place: Place) -> None:
        after: int | None = 0
        while after is not None:
            after, done, damaged = await self.ship.database.run(
                _reseal_secrets, self.ship.vault, place, after
            )
            self._count(place, done, damaged)

    def _count(self, place: Place, done: int, damaged: Iterable[int]) -> None:
        self.resealed[place] += done
        self.damaged |= {f"{place} {row}" for row in damaged}
        self.progress(done)


def _used(tx: Transaction, place: Place) -> Counter[str]:
    if place not in SECRETS:
        return Counter(dict(tx.execute(_USED.format(place=place))))
    used: Counter[str] = Counter()
    after = 0
    while rows := tx.execute(SECRETS[place].select, after, _CHUNK):
        for _, *texts in rows:
            used.update({text.partition(".")[0] for text in texts if text})
        after = rows[-1][0]
    return used


Chunk = tuple[int | None, int, list[int]]
"""The last id (None: that was the end), rows re-encrypted, rows that do not open."""


def _reseal(tx: Tx, vault: Vault, place: Place, at: tuple[str, int]) -> Chunk:
    key_id, after = at
    rows = tx.execute(f"{_OLDER.format(place=place)} {tx.skip_locked}", key_id, after, _CHUNK)
    fresh = []
    damaged = []
    for row_id, sealed in rows:
        try:
            fresh.append((row_id, *vault.seal(row_id, vault.reveal(row_id, sealed, key_id))))
        except Unsealable:
            damaged.append(row_id)
    tx.execute(_RESEAL.format(place=place), json_rows(fresh))
    return (rows[-1][0] if rows else None), len(fresh), damaged


def _reseal_secrets(tx: Tx, vault: Vault, place: Place, after: int) -> Chunk:
    kept = SECRETS[place]
    rows = tx.execute(f"{kept.select} {tx.for_update}", after, _CHUNK)
    done = 0
    damaged = []
    for row_id, *texts in rows:
        try:
            fresh = [_resealed(vault, kept.purpose(row_id), text) for text in texts]
        except (Unsealable, MissingKey):
            damaged.append(row_id)
            continue
        if fresh != texts:
            key = [vault.current_key] if kept.names_key else []
            tx.execute(kept.save, row_id, *fresh, *key)
            done += 1
    return (rows[-1][0] if rows else None), done, damaged


def _resealed(vault: Vault, purpose: str, text: str | None) -> str | None:
    if text is None or text.startswith(f"{vault.current_key}."):
        return text
    return vault.seal_secret(purpose, vault.open_secret(purpose, text).reveal())
