"""The laws of `decide`, on batches and facts made up by the thousand; no database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from starship_core.clock import micros
from starship_core.errors import InsufficientFunds, KeyReused, NotFound, ReferenceTaken
from starship_core.flows.place_order import Outcome, Replayed, decide
from starship_core.model import BULK_ABOVE, Balance, Order, Price, Sku
from starship_core.store.claim import Lot, Unit
from starship_core.store.facts import Facts, Known
from starship_core.store.write import Placed
from starship_core.testing.clock import START
from starship_core.till import Contended
from starship_core.vault import Code

SKUS = (Sku(1, 2500, "EUR"), Sku(2, 1000, "JPY"))
ACCOUNTS = ("wallet:1", "wallet:2", "wallet:3")
NO_CODE = Code(None, None, None)
REFUSALS = (KeyReused, ReferenceTaken, InsufficientFunds, NotFound, Contended)

many = settings(max_examples=400, derandomize=True, deadline=None, database=None)


def day(number: int) -> int:
    """The moment that far from the start, as the tables store it."""
    return micros(START + timedelta(days=number))


def order(  # whatever a law is about
    number: int = 1, *, sku: Sku = SKUS[0], quantity: int = 1, charge: int = 100, wallet: int = 1,
    floor: int = 0, client: int = 1, ref: str | None = None, fingerprint: str = "f",
) -> Order:  # fmt: skip
    """Number `number` of its batch: the key says so, so that no two are equal."""
    price = Price(currency="EUR", non_discounted_total=charge, discount="0", total_amount=charge)
    return Order(
        client_id=client, key=f"key-{number}", fingerprint=fingerprint,
        ref=ref or f"ref-{number}", sku=sku, product_name="Card", quantity=quantity,
        wallet_id=wallet, account=f"wallet:{wallet}", price=price,
        min_expiry=START + timedelta(days=floor), placed_at=START,
    )  # fmt: skip


def unit(number: int, expires: int, sku: Sku = SKUS[0]) -> Unit:
    return Unit(number, sku, day(expires), None, NO_CODE)


def facts(**changed: Any) -> Facts:
    """Nothing known, nothing in stock, 1,000 in each wallet; but for what is `changed`."""
    balances = {name: Balance(account=name, currency="EUR", minor=1000) for name in ACCOUNTS}
    values: dict[str, Any] = {
        "known": {}, "ids": defaultdict(lambda: 7), "taken": frozenset(),
        "units": {}, "timed_out": frozenset(), "stale": frozenset(), "balances": balances,
    }  # fmt: skip
    return Facts(**(values | changed))


def in_stock(*units: Unit) -> dict[Sku, Sequence[Unit]]:
    """As the claim hands it over: by sku, first expired first."""
    by_sku: dict[Sku, list[Unit]] = {}
    for each in sorted(units, key=lambda u: (u.expires_at, u.id)):
        by_sku.setdefault(each.sku, []).append(each)
    return dict(by_sku)


_orders = st.lists(
    st.tuples(
        st.sampled_from(SKUS), st.sampled_from((1, 1, 1, 2, 3, 5, BULK_ABOVE + 1)),
        st.integers(0, 300), st.integers(1, 4), st.integers(0, 6),
        st.integers(1, 2), st.sampled_from((None, None, "r1", "r2")),
    ),
    min_size=1, max_size=10,
)  # fmt: skip
_stock = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(SKUS)), max_size=18)
_known = st.dictionaries(st.integers(0, 9), st.sampled_from("fg"), max_size=3)
_lots = st.frozensets(st.tuples(st.sampled_from(SKUS), st.integers(0, 6)), max_size=3)
_wallets = st.lists(st.tuples(st.integers(-200, 900), st.integers(-300, 0)), min_size=3, max_size=3)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Order], Facts]:
    """Orders of two skus, seven floors, three wallets and one that is not there; some known."""
    orders = [
        order(n, sku=sku, quantity=quantity, charge=charge, wallet=wallet, floor=floor,
              client=client, ref=ref)
        for n, (sku, quantity, charge, wallet, floor, client, ref) in enumerate(draw(_orders))
    ]  # fmt: skip
    known = {
        (orders[n].client_id, orders[n].key): Known(900 + n, fingerprint)
        for n, fingerprint in draw(_known).items()
        if n < len(orders)
    }
    balances = {
        name: Balance(account=name, currency="EUR", minor=max(minor, floor), floor=floor)
        for name, (minor, floor) in zip(ACCOUNTS, draw(_wallets), strict=True)
    }
    units = [unit(n, expires, sku) for n, (expires, sku) in enumerate(draw(_stock), 1)]
    return orders, facts(
        known=known, taken=frozenset({(1, "r2")}), units=in_stock(*units), balances=balances,
        timed_out=frozenset(Lot(sku, day(floor)) for sku, floor in draw(_lots)),
    )  # fmt: skip


def delivered(outcomes: Sequence[Outcome]) -> Iterator[Placed]:
    return (each for each in outcomes if isinstance(each, Placed) and each.units)


@many
@given(batches())
def test_outcomes_align_with_orders(batch: tuple[list[Order], Facts]) -> None:
    """One outcome an order, in their order, and about that order."""
    orders, known = batch
    outcomes = decide(orders, known)
    assert len(outcomes) == len(orders)
    for asked, outcome in zip(orders, outcomes, strict=True):
        if isinstance(outcome, Placed):
            assert (outcome.order.client_id, outcome.order.key) == (asked.client_id, asked.key)
        elif isinstance(outcome, Replayed):
            assert outcome.order_id == known.known[asked.client_id, asked.key].order_id
        else:
            assert isinstance(outcome, REFUSALS)


@many
@given(batches())
def test_units_are_whole_fitting_and_given_once(batch: tuple[list[Order], Facts]) -> None:
    """All or none, of the right sku, beyond the order's floor, and no unit to two orders."""
    outcomes = decide(*batch)
    given_out = Counter(u.id for placed in delivered(outcomes) for u in placed.units)
    assert set(given_out.values()) <= {1}
    for placed in delivered(outcomes):
        assert len(placed.units) == placed.order.quantity <= BULK_ABOVE
        assert {u.sku for u in placed.units} == {placed.order.sku}
        assert all(u.expires_at > micros(placed.order.min_expiry) for u in placed.units)


@many
@given(batches())
def test_no_wallet_passes_its_floor(batch: tuple[list[Order], Facts]) -> None:
    """What is charged to a wallet, delivered or parked, is at most what it may spend."""
    orders, known = batch
    spent = Counter[str]()
    for placed in decide(orders, known):
        if isinstance(placed, Placed):
            spent[placed.order.account] += placed.order.price.total_payable
    for account, minor in spent.items():
        assert minor <= known.balances[account].spendable


@many
@given(batches())
def test_first_expired_first_out_and_parked_only_when_short(
    batch: tuple[list[Order], Facts],
) -> None:
    """Each gets the earliest of what is left beyond its floor; parked means that was too few."""
    orders, known = batch
    left = {sku: list(units) for sku, units in known.units.items()}
    for asked, outcome in zip(orders, decide(orders, known), strict=True):
        stock = left.setdefault(asked.sku, [])
        fitting = [u for u in stock if u.expires_at > micros(asked.min_expiry)]
        enough = not asked.bulk and len(fitting) >= asked.quantity
        if isinstance(outcome, Placed):
            assert bool(outcome.units) == enough
            assert outcome.order.status == ("DELIVERED" if enough else "PENDING")
            if enough:
                assert list(outcome.units) == fitting[: asked.quantity]
                for each in outcome.units:
                    stock.remove(each)
        elif isinstance(outcome, Contended):
            assert not enough
            assert not asked.bulk
            assert Lot(asked.sku, micros(asked.min_expiry)) in known.timed_out


@many
@given(batches())
def test_a_refusal_consumes_nothing(batch: tuple[list[Order], Facts]) -> None:
    """Without the refused and the replayed, every other order's outcome is the same."""
    orders, known = batch
    pairs = list(zip(orders, decide(orders, known), strict=True))
    placed = [(o, outcome) for o, outcome in pairs if isinstance(outcome, Placed)]
    assert decide([o for o, _ in placed], known) == [outcome for _, outcome in placed]


@many
@given(batches(), st.integers(0, 10))
def test_who_comes_later_changes_nothing(batch: tuple[list[Order], Facts], cut: int) -> None:
    """Arrival decides: the outcomes of a batch's first orders do not depend on its last ones."""
    orders, known = batch
    told = [str(each) if isinstance(each, Exception) else each for each in decide(orders, known)]
    first = decide(orders[:cut], known)
    assert [str(e) if isinstance(e, Exception) else e for e in first] == told[:cut]


@many
@given(batches())
def test_a_known_key_is_settled_before_money_and_goods(batch: tuple[list[Order], Facts]) -> None:
    """Same request: its order; another one: refused; whatever stock, ref or wallet say."""
    orders, known = batch
    for asked, outcome in zip(orders, decide(orders, known), strict=True):
        earlier = known.known.get((asked.client_id, asked.key))
        if earlier is None:
            assert not isinstance(outcome, (Replayed, KeyReused))
        elif earlier.fingerprint == asked.fingerprint:
            assert outcome == Replayed(earlier.order_id)
        else:
            assert isinstance(outcome, KeyReused)


@many
@given(batches())
def test_a_ref_is_used_once(batch: tuple[list[Order], Facts]) -> None:
    """Of all orders of a client, those of this batch included, no two are placed with one ref."""
    orders, known = batch
    used = set(known.taken)
    for asked, outcome in zip(orders, decide(orders, known), strict=True):
        name = (asked.client_id, asked.ref)
        if isinstance(outcome, Placed):
            assert name not in used
            used.add(name)
        elif isinstance(outcome, ReferenceTaken):
            assert name in used


def test_mixed_floors_leave_the_strict_what_only_they_can_use() -> None:
    """A lax order that comes first takes the early unit, so the strict one finds the late one."""
    lax, strict = order(1, floor=0), order(2, floor=5)
    early, late = unit(1, 3), unit(2, 8)
    outcomes = decide([lax, strict], facts(units=in_stock(early, late)))
    assert [each.units for each in delivered(outcomes)] == [(early,), (late,)]


def test_the_floor_itself_is_too_early() -> None:
    """Valid *beyond* the floor: a unit that expires at that very moment is not for this order."""
    (outcome,) = decide([order(floor=5)], facts(units=in_stock(unit(1, 5))))
    assert isinstance(outcome, Placed)
    assert (outcome.units, outcome.order.status) == ((), "PENDING")


def test_the_last_minor_unit_may_be_spent() -> None:
    """Exactly the spendable amount is enough, credit included; one more is not."""
    known = facts(
        balances={"wallet:1": Balance(account="wallet:1", currency="EUR", minor=50, floor=-50)},
    )
    enough, more = decide([order(charge=100)], known) + decide([order(charge=101)], known)
    assert isinstance(enough, Placed)
    assert isinstance(more, InsufficientFunds)


def test_a_hit_and_a_miss_are_told_apart() -> None:
    """Every counter of a delivered, a parked and a bulk order, as the API will show it."""
    stock = in_stock(*(unit(n, 9) for n in range(1, 100)))
    hit, miss, bulk = decide(
        [order(1, quantity=3), order(2, sku=SKUS[1], quantity=3), order(3, quantity=51)],
        facts(units=stock),
    )
    shown = [
        (o.status, o.sub_status, o.delivery_time, o.delivered_quantity, o.pending_items,
         o.from_cache, o.delivered_at)
        for o in (each.order for each in (hit, miss, bulk) if isinstance(each, Placed))
    ]  # fmt: skip
    assert shown == [
        ("DELIVERED", "COMPLETED", "INSTANT", 3, 0, 3, START),
        ("PENDING", "VENDOR_ORDER_PENDING", "DELAYED", 0, 3, 0, None),
        ("PENDING", "INITIAL", "DELAYED", 0, 0, 0, None),
    ]


@pytest.mark.parametrize("quantity", [50, 51])
def test_fifty_is_the_last_that_is_not_bulk(quantity: int) -> None:
    """50 are delivered in the answer; 51 wait for their first retry, however full the pool is."""
    stock = in_stock(*(unit(n, 9) for n in range(1, 100)))
    (outcome,) = decide([order(quantity=quantity)], facts(units=stock))
    assert isinstance(outcome, Placed)
    assert len(outcome.units) == (50 if quantity == 50 else 0)


def test_an_order_that_timed_out_is_not_parked() -> None:
    """Stock that somebody else holds at this moment is no miss: it is looked at again."""
    asked = order()
    timed_out = frozenset({Lot(asked.sku, micros(asked.min_expiry))})
    assert isinstance(decide([asked], facts(timed_out=timed_out))[0], Contended)
    found = facts(timed_out=timed_out, units=in_stock(unit(1, 9)))
    assert isinstance(decide([asked], found)[0], Placed)


def test_a_free_order_needs_no_money() -> None:
    """A discount of 100 per cent is charged 0, also from a wallet that is at its floor."""
    empty = facts(balances={"wallet:1": Balance(account="wallet:1", currency="EUR", minor=0)})
    assert isinstance(decide([replace(order(charge=0))], empty)[0], Placed)
