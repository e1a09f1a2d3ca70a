"""How many attempts may be under way to each endpoint, so that none waits for another.

Pure bookkeeping, in the memory of one worker. An endpoint starts with one attempt at a time and is
given one more for each 2xx, up to its bound; a failure puts it back to one. Its breaker is open
while its last attempt failed: then its attempts come out of slots of their own, half as many as
there are, which endpoints that answer never need, and which those that fail share evenly. So a
hundred dead endpoints delay only each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Final, Literal

AHEAD: Final = 8
"""Deliveries taken for each attempt under way at an endpoint that answers: the next are at hand
while outcomes are being written.
"""

Slot = Literal["quick", "slow"]


class Lane:
    """One endpoint's."""

    __slots__ = ("busy", "failing", "waiting", "width")

    def __init__(self, *, failing: bool) -> None:
        self.failing = failing
        """Its breaker is open."""
        self.width = 1
        self.busy = 0
        self.waiting = 0
        """Taken, and not under way."""

    @property
    def open(self) -> int:
        return self.busy + self.waiting


class Lanes:
    """All endpoints' of one worker."""

    def __init__(self, *, slots: int, per_endpoint: int) -> None:
        self._free: dict[Slot, int] = {"quick": slots, "slow": max(1, slots // 2)}
        self._per_endpoint = per_endpoint
        self._lanes: dict[int, Lane] = {}

    def plan(self, due: Iterable[tuple[int, bool]]) -> Mapping[int, int]:
        """How many deliveries to take for each endpoint that has some due.

        `due` is (endpoint, whether its last attempt had failed when this worker met it) each.
        """
        failing: list[int] = []
        plan: dict[int, int] = {}
        for endpoint, failed in due:
            lane = self._lanes.setdefault(endpoint, Lane(failing=failed))
            if lane.failing:
                failing.append(endpoint)
                continue
            most = lane.width * (AHEAD if lane.width > 1 else 1)
            if most > lane.open:
                plan[endpoint] = most - lane.open
        return plan | self._shared(failing)

    def _shared(self, failing: list[int]) -> dict[int, int]:
        """Slow slots, dealt out one by one."""
        lanes = {endpoint: self._lanes[endpoint] for endpoint in failing}
        left = self._free["slow"] - sum(lane.waiting for lane in lanes.values())
        able = {
            endpoint: self._per_endpoint - lane.open
            for endpoint, lane in sorted(lanes.items(), key=lambda each: each[1].open)
        }
        given: dict[int, int] = {}
        for endpoint in cycle(able):
            if left <= 0 or all(count <= 0 for count in able.values()):
                break
            if able[endpoint] > 0:
                given[endpoint] = given.get(endpoint, 0) + 1
                able[endpoint] -= 1
                left -= 1
        return given

    def taken(self, endpoint: int) -> None:
        """One of its deliveries is at hand."""
        self._lanes[endpoint].waiting += 1

    def start(self, endpoint: int) -> Slot | None:
        """A slot for one that is at hand; None: it must wait for one."""
        lane = self._lanes[endpoint]
        slot: Slot = "slow" if lane.failing else "quick"
        most = self._per_endpoint if lane.failing else lane.width
        if not lane.waiting or lane.busy >= most or not self._free[slot]:
            return None
        lane.waiting -= 1
        lane.busy += 1
        self._free[slot] -= 1
        return slot

    def end(self, endpoint: int, slot: Slot, *, ok: bool) -> None:
        """The slot is free again, and the answer says what the endpoint is."""
        lane = self._lanes[endpoint]
        lane.busy -= 1
        self._free[slot] += 1
        lane.failing = not ok
        lane.width = min(lane.width + 1, self._per_endpoint) if ok else 1

    def give_back(self, endpoint: int) -> None:
        """What is at hand is not attempted now."""
        self._lanes[endpoint].waiting = 0

    def failing(self, endpoint: int) -> bool:
        """Whether its breaker is open."""
        return self._lanes[endpoint].failing
