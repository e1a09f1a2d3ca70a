"""The pump: sources → stock → pool. Every step commits by itself, and running it again is right.

`received` rows are ours but not on sale; one transaction makes them `pooled`; then Redis is told, then
the source. A crash before the last step only means that the source offers the same units again, and
their origin is known. Nothing is bought here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from msgspec import Struct

from starship_core.audit import By, record
from starship_core.clock import micros, moment
from starship_core.errors import StarshipError, Unavailable
from starship_core.intake import Judge, Outcome, Unit, compare
from starship_core.lease import PATIENCE, Lease, leased
from starship_core.mirror import Repaired, mirror
from starship_core.model import Sku, Voucher, Want
from starship_core.ports import InventorySource, Transaction
from starship_core.pulling import Fault, chunks, confirm, passed_over, recalled
from starship_core.ship import Ship
from starship_core.snapshot import Snapshot
from starship_core.stock import (
    CHUNK,
    Known,
    Pooled,
    Row,
    block,
    dead,
    draw_ids,
    expire,
    insert,
    known_fingerprints,
    known_origins,
    put_on_sale,
    quarantine,
    received,
    undelivered,
)
from starship_core.vault import Vault

Progress = Callable[[int], None]
"""Called with the number of units dealt with since the last call."""

WANTED: Final = 1_000_000
"""What a source is asked for, of each sku: all it has. (Targets per product are for later.)"""
TOLD: Final = 1000
"""So many remarks a source; the counts go on."""
_log = structlog.get_logger("starship.pump")
