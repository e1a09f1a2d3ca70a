"""The laws of targets: what is missing, what of a source's units is taken, what is bought."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from starship_core.buying.ahead import Offered, share_out
from starship_core.model import Sku
from starship_core.stock.intake import Judged, Outcome, Unit
from starship_core.stock.rations import Rations
from starship_core.store.targets import Level, StockTarget
from starship_core.vault import Code

many = settings(max_examples=400, derandomize=True, deadline=None, database=None)
SKUS = (Sku(1, 2500, "EUR"), Sku(1, 1000, "EUR"), Sku(2, 1000, "JPY"))
FREE = SKUS[2]
"""It has no target."""


@st.composite
def targets(draw: st.DrawFn, sku: Sku = SKUS[0]) -> StockTarget:
    minimum = draw(st.integers(1, 20))
    return StockTarget(sku=sku, minimum=minimum, maximum=minimum + draw(st.integers(0, 20)))


offers = st.lists(
    st.builds(
        Offered,
        st.integers(1, 9),
        st.just("north"),
        st.integers(0, 400),
        st.integers(1, 90),
        st.integers(1, 20),
    ),
    max_size=5,
)


@many
@given(targets(), st.integers(0, 60))
def test_filled_up_once_and_then_left_alone(target: StockTarget, there: int) -> None:
    """Below the minimum exactly to the maximum, and then nothing is missing; never more."""
    missing = target.missing(there)
    assert missing == (target.maximum - there if there < target.minimum else 0)
    assert target.missing(there + missing) == 0


@many
@given(st.integers(0, 60), st.none() | st.integers(-50, 900), offers)
def test_no_more_is_bought_than_is_missing_or_may_be_spent(
    missing: int, run: int | None, offered: list[Offered]
) -> None:
    """Not than the run or any approval holds; and as long as one more could be paid, it is."""
    lots = share_out(missing, run, offered)
    bought = sum(lot.quantity for lot in lots)
    spent = sum(lot.ceiling for lot in lots)
    assert bought <= missing
    assert all(lot.quantity > 0 for lot in lots)
    assert run is None or spent <= max(run, 0)
    used = iter(lots)
    lot = next(used, None)
    for one in offered:
        taken, price = 0, 0
        if lot and lot.ceiling == lot.quantity * one.price <= one.left and lot.quantity <= one.most:
            taken, price, lot = lot.quantity, lot.ceiling, next(used, None)
        run_left = one.price if run is None else run - spent
        if bought < missing and taken < one.most:  # then nobody could have paid for one more
            assert min(one.left - price, run_left) < one.price
    assert lot is None


@st.composite
def deliveries(draw: st.DrawFn) -> list[Judged]:
    """Units in the order in which a source hands them over; some are not fresh."""
    kinds: list[Outcome] = ["taken", "taken", "taken", "already here", "quarantined"]
    outcomes = st.sampled_from(kinds)
    skus = st.lists(st.tuples(st.sampled_from(SKUS), outcomes), max_size=40)
    return [
        Unit(
            reference=f"u{n}", origin=f"s:u{n}", outcome=outcome, sku=sku, number=None,
            code=Code(None, None, None), expires_at=0, fingerprint=str(n),
        )
        for n, (sku, outcome) in enumerate(draw(skus))
    ]  # fmt: skip


@many
@given(targets(SKUS[0]), targets(SKUS[1]), st.integers(0, 30), st.lists(deliveries(), max_size=4))
def test_of_a_sku_no_more_is_taken_than_it_misses(
    first: StockTarget, second: StockTarget, there: int, chunks: list[list[Judged]]
) -> None:
    """Over all chunks: the first ones that came, and every one while some are missing; what is not
    fresh, and what has no target, is left as it is.
    """
    levels = [
        Level(target=each, code="c", is_active=True, on_sale=there, under_way=9, spent=0)
        for each in (first, second)
    ]
    rations = Rations(levels)
    offered, taken = Counter[Sku](), Counter[Sku]()
    for units in chunks:
        told = rations.cut(units) if rations.exceeded(units) else units
        for before, after in zip(units, told, strict=True):
            assert isinstance(before, Unit)
            assert isinstance(after, Unit)
            if before.outcome != "taken":
                assert after == before
                continue
            room = first if before.sku == first.sku else second
            left = before.sku == FREE or taken[before.sku] < room.missing(there)
            assert after.outcome == ("taken" if left else "surplus")
            offered[before.sku] += 1
            taken[before.sku] += after.outcome == "taken"
        rations.count(told)
    for target in (first, second):
        assert taken[target.sku] == min(offered[target.sku], target.missing(there))
        assert rations.taken(target.sku) == taken[target.sku]
