"""Cron slots: a moment at which a kind of sweep is due is one row, claimed once, by the database's
clock.

A claim is a lease under a token. Who was killed or stopped keeps it until it ends; then another
takes the same slot over under a new token, and every late write of the first one meets no row.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from starship_core.database import Tx
from starship_core.ports import Transaction

SECOND: Final = 1_000_000
HELD: Final = 60 * SECOND
"""How long a claim lasts when it is not renewed."""
AHEAD: Final = 60 * SECOND
"""A slot further ahead of the database's clock is not claimed, whatever a worker's clock says."""
CLAIMS: Final = 5
"""A slot whose sweep failed is tried again a minute later, this often in all."""
_KEPT: Final = 2 * 24 * 60 * 60 * SECOND

_TIME: Final = {
    "postgresql": "SELECT cast(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
    "sqlite": "SELECT cast((julianday('now') - 2440587.5) * 86400000 AS bigint) * 1000",
}
"""The one statement of two texts: what the database's own clock says."""
_CLAIM: Final = """
INSERT INTO cron_slots (kind, slot, token, worker, claimed_at, held_until)
SELECT cast($1 AS text), cast($2 AS bigint), cast($3 AS text), cast($4 AS text),
  cast($5 AS bigint), cast($6 AS bigint)
WHERE NOT EXISTS (
  SELECT 1 FROM cron_slots
  WHERE kind = cast($1 AS text) AND ended_at IS NULL AND held_until > cast($5 AS bigint)
)
ON CONFLICT (kind, slot) DO UPDATE
SET token = excluded.token, worker = excluded.worker, claims = cron_slots.claims + 1,
  claimed_at = excluded.claimed_at, held_until = excluded.held_until
WHERE cron_slots.ended_at IS NULL AND cron_slots.held_until <= excluded.claimed_at
RETURNING claims
"""
_HOLD: Final = """
UPDATE cron_slots SET held_until = $4
WHERE kind = $1 AND slot = $2 AND token = $3 AND ended_at IS NULL
RETURNING slot
"""
_END: Final = """
UPDATE cron_slots SET ended_at = $4
WHERE kind = $1 AND slot = $2 AND token = $3 AND ended_at IS NULL
RETURNING slot
"""
_NEWEST: Final = """
SELECT slot, held_until, ended_at FROM cron_slots WHERE kind = $1 ORDER BY slot DESC LIMIT 1
"""
_FORGET: Final = "DELETE FROM cron_slots WHERE kind = $1 AND slot < $2"


class Claim(Struct, frozen=True, kw_only=True):
    """A slot that is ours until the lease ends; every later write carries the token."""

    kind: str
    slot: int
    token: str
    claims: int
    """1 for the first who claims it; more after one that died or failed."""


def database_time(tx: Tx) -> int:
    """Microseconds since 1970 by the database's clock, which all processes share."""
    return int(tx.execute(_TIME[tx.dialect])[0][0])


def slot_at(now: int, every: int) -> int:
    """The slot that `now` is in: whole multiples of `every` seconds since 1970."""
    length = every * SECOND
    return now // length * length


def oldest_unrun(tx: Transaction, kind: str, every: int, now: int) -> int | None:
    """The oldest slot that should have been run by now; None also while somebody is at it.

    Slots that nobody ran are made up for by one run, of the newest. A kind that never ran is due
    from now on.
    """
    current = slot_at(now, every)
    rows = tx.execute(_NEWEST, kind)
    if not rows:
        return now
    slot, held_until, ended_at = rows[0]
    if slot >= current and ended_at is not None:
        return None
    if ended_at is None:
        return None if held_until > now else int(slot)
    return int(slot) + every * SECOND


def claim(tx: Transaction, kind: str, slot: int, *, holder: tuple[str, str], now: int) -> int:
    """Claim it under (token, worker): how often it was claimed so far, this time included.

    0: it is not to be had. It is done, somebody is at it or at an earlier one of this kind, or it
    is more than a minute ahead of `now`, which is the database's clock.
    """
    if slot > now + AHEAD:
        return 0
    rows = tx.execute(_CLAIM, kind, slot, *holder, now, now + HELD)
    if rows:
        tx.execute(_FORGET, kind, slot - _KEPT)
    return int(rows[0][0]) if rows else 0


def hold(tx: Transaction, claimed: Claim, until: int) -> bool:
    """Make it last until then; False: another has taken it over, or it has ended."""
    return bool(tx.execute(_HOLD, claimed.kind, claimed.slot, claimed.token, until))


def end(tx: Transaction, claimed: Claim, now: int) -> bool:
    """It was run. False: another has taken it over, and its end is not ours to write."""
    return bool(tx.execute(_END, claimed.kind, claimed.slot, claimed.token, now))
