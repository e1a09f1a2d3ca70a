"""How much one pump takes of each sku: with a target what is missing, without one all there is.

A want is a hint to a source, so what comes beyond it is left with its source: it is not confirmed,
and offered again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeGuard

from msgspec.structs import replace

from starship_core.model import Sku, Want
from starship_core.snapshot import Snapshot
from starship_core.stock.intake import Judged, Unit
from starship_core.store.targets import Level

WANTED: Final = 1_000_000
"""What a source is asked for of a sku without a target: all it has."""


class Rations:
    """What is still to be taken of the skus that have a target, while one pump runs.

    Only what is on sale counts here: a voucher that a source holds is paid for, and what is being
    bought may never come.
    """

    def __init__(self, levels: Iterable[Level] = ()) -> None:
        self._left = {level.target.sku: level.target.missing(level.on_sale) for level in levels}
        self._taken: Counter[Sku] = Counter()

    def wants(self, catalogue: Snapshot) -> list[Want]:
        """For a source: every fixed denomination on offer, and those of a range with a target."""
        skus = [
            Sku(product.id, offer.minimum, product.currency)
            for product in catalogue.products.values()
            if product.is_active
            for offer in product.denominations
            if offer.fixed
        ]
        ranged = [sku for sku in self._left if sku not in skus and _on_offer(sku, catalogue)]
        wanted = ((sku, self._left.get(sku, WANTED)) for sku in (*skus, *ranged))
        return [Want(sku, quantity) for sku, quantity in wanted if quantity > 0]

    def exceeded(self, units: Iterable[Judged]) -> bool:
        """Whether some of these may be too many."""
        fresh = Counter(unit.sku for unit in units if _fresh(unit))
        return any(count > self._left[sku] for sku, count in fresh.items() if sku in self._left)

    def cut(self, units: Iterable[Judged]) -> list[Judged]:
        """The same units; those beyond what is missing are `surplus`, the first ones stay."""
        left, kept = dict(self._left), list[Judged]()
        for unit in units:
            if not _fresh(unit) or unit.sku not in left:
                kept.append(unit)
            elif left[unit.sku] > 0:
                left[unit.sku] -= 1
                kept.append(unit)
            else:
                kept.append(replace(unit, outcome="surplus"))
        return kept

    def count(self, units: Iterable[Judged]) -> None:
        """These are in the stock now."""
        for unit in units:
            if _fresh(unit) and unit.sku in self._left:
                self._left[unit.sku] -= 1
                self._taken[unit.sku] += 1

    def taken(self, sku: Sku) -> int:
        """So many of a sku with a target."""
        return self._taken[sku]


def _fresh(unit: Judged) -> TypeGuard[Unit]:
    return isinstance(unit, Unit) and unit.outcome == "taken"


def _on_offer(sku: Sku, catalogue: Snapshot) -> bool:
    product = catalogue.products.get(sku.product_id)
    return bool(product and product.is_active and product.offers(sku.denomination) is not None)
