"""The circuit breaker as a value: when it opens, who may try, what closes it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from starship_core.breaker import PEEK, TRIAL, Breaker, Rule, failed, released, succeeded, tried

RULE = Rule(failures=3, window=60, rest=120)
Moments = st.lists(st.integers(0, 1000), min_size=1, max_size=40).map(sorted)


def opened(at: int = 100) -> Breaker:
    """Open since then."""
    breaker = Breaker()
    for _ in range(RULE.failures):
        breaker = failed(breaker, RULE, at, cause="Ambiguous")
    assert breaker.opened_at == at
    return breaker


@given(Moments)
def test_it_opens_with_the_first_failure_that_is_one_too_many(moments: list[int]) -> None:
    """Exactly when so many failures lie within any one window, and not a failure sooner."""
    breaker = Breaker()
    for place, at in enumerate(moments):
        breaker = failed(breaker, RULE, at, cause="Unavailable")
        within = [each for each in moments[: place + 1] if each > at - RULE.window]
        assert (breaker.opened_at == at) is (len(within) >= RULE.failures)
        assert len(breaker.failures) <= RULE.failures
        if breaker.opened_at is not None:
            return


def test_an_open_one_lets_nobody_pass_before_it_has_rested() -> None:
    """It says how long to wait, to the microsecond."""
    breaker = opened(at=100)
    assert [(at, breaker.wait(RULE, at), breaker.state(RULE, at)) for at in (100, 219, 220)] == [
        (100, 120, "open"), (219, 1, "open"), (220, 0, "half-open"),
    ]  # fmt: skip


def test_half_open_one_at_a_time_may_try() -> None:
    """Everybody else looks again soon, and may try at last: the trial's process may have died."""
    trying = tried(opened(at=100), 230)
    waits = [trying.wait(RULE, at) for at in (231, 229 + TRIAL, 230 + TRIAL)]
    assert waits == [PEEK, 1, 0]


def test_a_trial_that_succeeds_closes_it() -> None:
    """As new: what had failed before is forgotten."""
    assert succeeded(tried(opened(), 230)) == Breaker()


def test_a_trial_that_fails_opens_it_again() -> None:
    """For a whole rest from then on."""
    again = failed(tried(opened(at=100), 230), RULE, 240, cause="Unavailable")
    assert (again.opened_at, again.trial_until, again.wait(RULE, 240)) == (240, None, 120)


def test_a_trial_that_was_not_made_leaves_the_place_to_the_next() -> None:
    """The breaker stays half open, and nobody waits for the trial."""
    breaker = released(tried(opened(at=100), 230))
    assert (breaker.state(RULE, 231), breaker.wait(RULE, 231)) == ("half-open", 0)


@given(st.integers(101, 1000))
def test_a_call_that_began_before_it_opened_says_nothing_new(at: int) -> None:
    """However it ends: only a trial closes an open breaker or prolongs its rest."""
    breaker = opened(at=100)
    assert succeeded(breaker) == breaker
    assert failed(breaker, RULE, at, cause="Unavailable") == breaker


def test_a_closed_one_counts_no_trial() -> None:
    """Nothing is written for a call that passes in the ordinary way."""
    assert tried(Breaker(failures=(1,)), 2) == Breaker(failures=(1,))
    assert succeeded(Breaker(failures=(1,))) == Breaker(failures=(1,))
    assert Breaker(failures=(1, 50)).recent(RULE, 61) == 1
