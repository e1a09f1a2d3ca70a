"""A load balancer as small as one can be: it asks `/ready`, and sends to those that say 200."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.race.wire import Answer, Line, NoAnswer

CHECK_SECONDS = 0.5
"""As haproxy.cfg has it."""
_READY = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(kw_only=True)
class Place:
    """Where a server listens, or one after the other."""

    port: int
    ready: bool = False
    busy: int = 0
    answered: int = 0
    idle: list[Line] = field(default_factory=list)


class Balancer:
    """Sends each request once. What fails is never sent again, but told: NoAnswer."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.places = [Place(port=port) for port in ports]
        self._any = asyncio.Event()

    async def send(self, request: bytes) -> Answer:
        """To the least busy of those that are ready; waits while there is none."""
        await self._any.wait()
        place = min((each for each in self.places if each.ready), key=lambda each: each.busy)
        line = place.idle.pop() if place.idle else Line(place.port)
        place.busy += 1
        try:
            answer = await line.call(request)
        finally:
            place.busy -= 1
        place.answered += 1
        if place.ready:
            place.idle.append(line)
        else:
            line.close()
        return answer

    async def watch(self, place: Place) -> None:
        """Until cancelled. A check that is not answered within a second counts as a no."""
        while True:
            check = Line(place.port, patience=1.0)
            try:
                place.ready = (await check.call(_READY)).status == 200
            except NoAnswer:
                place.ready = False
            finally:
                check.close()
            if not place.ready:
                self.hang_up(place)
            if any(each.ready for each in self.places):
                self._any.set()
            else:
                self._any.clear()
            await asyncio.sleep(CHECK_SECONDS)

    def hang_up(self, place: Place) -> None:
        """Close what is open to it and carries no request."""
        while place.idle:
            place.idle.pop().close()


@asynccontextmanager
async def balancing(ports: Sequence[int]) -> AsyncIterator[Balancer]:
    """While the block lasts, the servers are asked how they are."""
    balancer = Balancer(ports)
    watching = [asyncio.create_task(balancer.watch(place)) for place in balancer.places]
    try:
        yield balancer
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for place in balancer.places:
            balancer.hang_up(place)
