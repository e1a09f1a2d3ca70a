"""What a pump did, or would do: counts per sku and outcome, a remark on whatever was odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct, field

from starship_core.model import Sku
from starship_core.stock.intake import Judged, Outcome, Unit
from starship_core.stock.mirror import Repaired

TOLD: Final = 1000
"""So many remarks a source; the counts go on."""


class Remark(Struct, frozen=True):
    """One unit that was not simply taken. Never holds a code."""

    reference: str
    outcome: Outcome
    reason: str


class FromSource(Struct, kw_only=True):
    """What one source handed over."""

    source: str
    counts: dict[Outcome, int] = field(default_factory=dict)
    unreadable: int = 0
    """What the source itself could not make out; it says where in `unread`."""
    remarks: list[Remark] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    fault: str | None = None
    """Why it was not read to its end."""


class OfSku(Struct, kw_only=True):
    """What became of one sku."""

    sku: str
    taken: int = 0
    on_sale: int | None = None
    """In the pool at the end; None when Redis was away, or nothing was written."""


class Ahead(Struct, frozen=True, kw_only=True):
    """Units that are bought ahead of orders: a worker sends what was planned."""

    vendor: str
    quantity: int
    ceiling: str
    """At most this for all of them."""
    approval_id: int
    purchases: list[int]
    """Empty in a rehearsal."""


class OfTarget(Struct, frozen=True, kw_only=True):
    """What was done for one target."""

    sku: str
    product: str
    """Its code."""
    minimum: int
    maximum: int
    had: int
    """On sale when the sources were asked."""
    pulled: int
    """Taken from sources."""
    under_way: int
    """Bought ahead by earlier runs, and not here yet."""
    ahead: list[Ahead]
    why: str | None
    """Why no more is bought; None: nothing is missing any more."""


class Pumped(Struct, frozen=True, kw_only=True):
    """The report."""

    sources: list[FromSource]
    skus: list[OfSku]
    pooled: int
    """Vouchers put on sale, those included that an earlier run had left behind."""
    expired: int
    recalled: int
    blocked_as_duplicates: int
    pool: Literal["equal", "repaired", "away", "untouched"]
    """How Redis stood against the table."""
    repaired: int
    """Entries of Redis that were wrong."""
    targets: list[OfTarget] = []

    @property
    def bought_ahead(self) -> int:
        """Units for which purchases were planned."""
        return sum(one.quantity for target in self.targets for one in target.ahead)

    @property
    def failed(self) -> bool:
        """A source was not read to its end."""
        return any(source.fault for source in self.sources)

    @property
    def changed(self) -> bool:
        """Something in the stock is different now."""
        kept: tuple[Outcome, ...] = ("taken", "duplicate", "expired", "recalled", "quarantined")
        new = sum(source.counts.get(kind, 0) for source in self.sources for kind in kept)
        return bool(new + self.pooled + self.expired + self.recalled + self.bought_ahead)


class Tally:
    """The report while it grows."""

    def __init__(self) -> None:
        self.pooled = 0
        self.expired = 0
        self.recalled = 0
        self.blocked_as_duplicates = 0
        self._sources: dict[str, FromSource] = {}
        self._taken: Counter[Sku] = Counter()
        self._pool: Literal["equal", "repaired", "away", "untouched"] = "untouched"
        self._repaired: Sequence[Repaired] = ()

    def begin(self, source: str) -> None:
        self._sources[source] = FromSource(source=source)

    def count(self, source: str, units: Iterable[Judged]) -> None:
        into = self._sources[source]
        for unit in units:
            into.counts[unit.outcome] = into.counts.get(unit.outcome, 0) + 1
            if isinstance(unit, Unit) and unit.outcome == "taken":
                self._taken[unit.sku] += 1
            elif unit.reason and len(into.remarks) < TOLD:
                into.remarks.append(Remark(unit.reference, unit.outcome, unit.reason))

    def passed_over(self, source: str, known: int, unreadable: int, told: Sequence[str]) -> None:
        into = self._sources[source]
        if known:
            into.counts["already here"] = into.counts.get("already here", 0) + known
        into.unreadable = unreadable
        into.unread = list(told[:TOLD])

    def fault(self, source: str, text: str) -> None:
        self._sources[source].fault = text

    def mirrored(self, repaired: Sequence[Repaired] | None) -> None:
        """None: Redis was away."""
        self._repaired = repaired or ()
        wrong = self._wrong()
        self._pool = "away" if repaired is None else "repaired" if wrong else "equal"

    @property
    def faulty(self) -> bool:
        """A source was not read to its end."""
        return any(source.fault for source in self._sources.values())

    def report(self, targets: Sequence[OfTarget] = ()) -> Pumped:
        skus = {sku: OfSku(sku=str(sku), taken=taken) for sku, taken in self._taken.items()}
        for one in self._repaired:
            skus.setdefault(one.sku, OfSku(sku=str(one.sku))).on_sale = one.on_sale
        return Pumped(
            sources=list(self._sources.values()),
            skus=[of for _, of in sorted(skus.items())],
            pooled=self.pooled,
            expired=self.expired,
            recalled=self.recalled,
            blocked_as_duplicates=self.blocked_as_duplicates,
            pool=self._pool,
            repaired=self._wrong(),
            targets=list(targets),
        )

    def _wrong(self) -> int:
        return sum(one.added + one.removed for one in self._repaired)
