"""The order in which vendors are asked: laws that hold for any offers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starship_core.config import Preference
from starship_core.routing import Offer, ranked

worths = st.none() | st.fractions(min_value=0, max_value=1000, max_denominator=100)
offers = st.lists(
    st.builds(
        Offer,
        vendor=st.sampled_from("abcdefgh"),
        vendor_product=st.sampled_from(("1", "2")),
        priority=st.integers(0, 3),
        worth=worths,
        is_open=st.booleans(),
        failures=st.integers(0, 3),
    ),
    max_size=8,
    unique_by=lambda offer: offer.vendor,
)
preferences = st.sampled_from(("priority", "cheapest", "health"))


@given(offers, preferences)
def test_nobody_is_lost_and_nobody_is_added(given: list[Offer], by: Preference) -> None:
    """The same offers in another order."""
    assert sorted(ranked(given, by=by), key=repr) == sorted(given, key=repr)


@given(offers, preferences, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_who_was_found_first(
    given: list[Offer], by: Preference, random: object
) -> None:
    """Two workers that read the same rows ask the same vendor first."""
    shuffled = list(given)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    assert ranked(shuffled, by=by) == ranked(given, by=by)


@given(offers, preferences)
def test_an_open_breaker_comes_last(given: list[Offer], by: Preference) -> None:
    """Whatever else speaks for the vendor."""
    flags = [offer.is_open for offer in ranked(given, by=by)]
    assert flags == sorted(flags)


@given(offers)
def test_the_cheapest_of_the_healthy_is_first(given: list[Offer]) -> None:
    """An unknown cost comes after every known one."""
    ordered = [offer.worth for offer in ranked(given, by="cheapest") if not offer.is_open]
    known = [worth for worth in ordered if worth is not None]
    assert known == sorted(known)
    assert ordered == known + [None] * (len(ordered) - len(known))


@given(offers, st.sampled_from([("priority", "priority"), ("health", "failures")]))
def test_the_preferred_fact_decides_first(given: list[Offer], rule: tuple[str, str]) -> None:
    """Neighbours with closed breakers never stand against the preference."""
    by, fact = rule
    closed = [offer for offer in ranked(given, by=by) if not offer.is_open]  # type: ignore[arg-type]  # one of the three
    assert all(getattr(one, fact) <= getattr(two, fact) for one, two in pairwise(closed))


@pytest.mark.parametrize(
    ("by", "order"), [("priority", "abc"), ("cheapest", "bca"), ("health", "cab")]
)
def test_each_preference_has_an_order_of_its_own(by: Preference, order: str) -> None:
    """Three vendors, each first by one of them; what is equal is settled by the others."""
    found = ranked(
        [
            Offer(vendor="a", vendor_product="1", priority=1, worth=Fraction(9), failures=1),
            Offer(vendor="b", vendor_product="1", priority=2, worth=Fraction(7), failures=2),
            Offer(vendor="c", vendor_product="1", priority=3, worth=Fraction(8), failures=0),
        ],
        by=by,
    )
    assert "".join(offer.vendor for offer in found) == order
