"""The circuit breaker of one vendor's operation, as a value: each step gives the next one.

Closed, until enough calls failed in any window; open, and no call passes; after its rest half open:
one call at a time may try, and how that one ends decides.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from starship_core.config import BuyingSection

_SECOND: Final = 1_000_000
TRIAL: Final = 300 * _SECOND
"""Microseconds after which a trial that nobody ended (its process died) no longer holds others up.
"""
PEEK: Final = 2 * _SECOND
"""Until whoever found a trial under way looks again: it mostly ends within a call's time."""
State = Literal["closed", "open", "half-open"]


class Rule(Struct, frozen=True, kw_only=True):
    """When a breaker opens and for how long, in microseconds."""

    failures: int
    window: int
    rest: int

    @classmethod
    def of(cls, section: BuyingSection) -> Rule:
        return cls(
            failures=section.breaker_failures,
            window=section.breaker_window_seconds * _SECOND,
            rest=section.breaker_rest_seconds * _SECOND,
        )


class Breaker(Struct, frozen=True, kw_only=True):
    """How a vendor's operation has fared of late; all times are microseconds."""

    failures: tuple[int, ...] = ()
    """When the last calls failed, the oldest first; never more than it takes to open."""
    opened_at: int | None = None
    trial_until: int | None = None
    """One call is trying; no other passes before."""
    cause: str = ""
    """What the last failure was: a class's name."""

    def state(self, rule: Rule, at: int) -> State:
        if self.opened_at is None:
            return "closed"
        return "open" if at < self.opened_at + rule.rest else "half-open"

    def recent(self, rule: Rule, at: int) -> int:
        """How many calls failed within the window."""
        return sum(at - rule.window < failed <= at for failed in self.failures)

    def wait(self, rule: Rule, at: int) -> int:
        """Microseconds until it is worth asking again whether a call may pass; 0: it may now."""
        if self.opened_at is None:
            return 0
        if (rest := self.opened_at + rule.rest - at) > 0:
            return rest
        return min(max((self.trial_until or 0) - at, 0), PEEK)


def tried(breaker: Breaker, at: int) -> Breaker:
    """A call passes now (`wait` was 0); while it is open, no other does until this one ends."""
    if breaker.opened_at is None:
        return breaker
    return replace(breaker, trial_until=at + TRIAL)


def released(breaker: Breaker) -> Breaker:
    """The call that was to be the trial was not made: the next one is."""
    return replace(breaker, trial_until=None)


def failed(breaker: Breaker, rule: Rule, at: int, *, cause: str) -> Breaker:
    """A call ended without an answer, or with an unclear one."""
    if breaker.opened_at is not None:
        if breaker.trial_until is None:
            return breaker  # it had begun before the breaker opened: nothing new
        return replace(breaker, opened_at=at, trial_until=None, cause=cause)
    within = [when for when in breaker.failures if when > at - rule.window]
    failures = tuple([*within, at][-rule.failures :])
    opened_at = at if len(failures) >= rule.failures else None
    return Breaker(failures=failures, opened_at=opened_at, cause=cause)


def succeeded(breaker: Breaker) -> Breaker:
    """A call was answered, if only with a refusal.

    Closes a breaker whose trial it was; one that had begun before it opened proves nothing.
    """
    return Breaker() if breaker.trial_until is not None else breaker
