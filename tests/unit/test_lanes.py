"""Lanes: what may be under way to whom, whatever the others do."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from starship_core.lanes import AHEAD, Lanes, Slot


def taken(lanes: Lanes, endpoint: int, count: int) -> None:
    for _ in range(count):
        lanes.taken(endpoint)


def test_an_endpoint_earns_its_width() -> None:
    """One at first, one more for each 2xx up to its bound; after a failure one again."""
    lanes = Lanes(slots=100, per_endpoint=3)
    plans = []
    for ok in (True, True, True, False):
        plan = dict(lanes.plan([(1, False)]))
        plans.append(plan)
        taken(lanes, 1, 1)
        slot = lanes.start(1)
        assert slot == "quick"
        lanes.end(1, slot, ok=ok)
    assert plans == [{1: 1}, {1: 2 * AHEAD}, {1: 3 * AHEAD}, {1: 3 * AHEAD}]
    assert lanes.failing(1)
    taken(lanes, 1, 1)
    assert lanes.start(1) == "slow"


def test_the_failing_share_slots_of_their_own() -> None:
    """Dealt out one by one, never more than an endpoint's bound; the quick ones are untouched."""
    lanes = Lanes(slots=10, per_endpoint=4)
    assert lanes.plan([(n, True) for n in (1, 2, 3)] + [(9, False)]) == {1: 2, 2: 2, 3: 1, 9: 1}
    lanes = Lanes(slots=10, per_endpoint=4)
    assert lanes.plan([(1, True)]) == {1: 4}


@given(st.data())
def test_bounds_hold_whatever_happens(data: st.DataObject) -> None:
    """Never more slots than there are, never more than its bound at one endpoint, all come back."""
    slots, bound = data.draw(st.integers(2, 12)), data.draw(st.integers(1, 4))
    lanes = Lanes(slots=slots, per_endpoint=bound)
    under_way: list[tuple[int, Slot]] = []
    for _ in range(data.draw(st.integers(1, 12))):
        due = [(n, data.draw(st.booleans())) for n in range(1, 6)]
        for endpoint, count in lanes.plan(due).items():
            taken(lanes, endpoint, count)
        for endpoint, _ in due:
            while slot := lanes.start(endpoint):
                under_way.append((endpoint, slot))
        used = Counter(slot for _, slot in under_way)
        assert used["quick"] <= slots
        assert used["slow"] <= max(1, slots // 2)
        assert all(count <= bound for count in Counter(e for e, _ in under_way).values())
        for _ in range(data.draw(st.integers(0, len(under_way)))):
            endpoint, slot = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            ok = data.draw(st.booleans())
            lanes.end(endpoint, slot, ok=ok)
            if not ok:
                lanes.give_back(endpoint)
