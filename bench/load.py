"""The load: one process that plays requests made beforehand over keep-alive connections, cheaply.

Reads a plan (msgpack) on standard input, prints its findings (JSON). Closed loop: each connection
sends its next request when the answer is whole. Open loop (`rate`): requests are due at fixed
times, and latency counts from the time a request was due, whether or not a connection was free.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from typing import Any

import msgspec
import uvloop


class Player(asyncio.Protocol):
    """One connection; one request under way at a time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.transport: Any = None
        self.buffer = b""
        self.due = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def play(self, request: bytes, due: float) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            self.buffer = buffer
            return
        at = buffer.find(b"content-length: ")
        length = int(buffer[at + 16 : buffer.find(b"\r", at)])
        if len(buffer) < head + 4 + length:
            self.buffer = buffer
            return
        self.buffer = b""
        self.stage.answered(self, buffer[9:12], buffer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self.stage.lost += not self.stage.over


class Stage:
    """All connections of one run, and what came back."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.requests = deque(plan["requests"])
        self.expect = plan["expect"].encode()
        self.warm_up, self.seconds = plan["warm_up"], plan["seconds"]
        self.rate: float | None = plan["rate"]
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.unexpected = 0
        self.lost = 0
        self.over = False
        self.idle: deque[Player] = deque()
        self.late: deque[float] = deque()

    async def run(self, plan: dict[str, Any]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        players = [
            (await loop.create_connection(lambda: Player(self), plan["host"], plan["port"]))[1]
            for _ in range(plan["connections"])
        ]
        began = time.perf_counter()
        self.measure_from = began + self.warm_up
        self.end = self.measure_from + self.seconds
        cpu = time.process_time()
        if self.rate is None:
            for player in players:
                self.next(player)
        else:
            self.idle.extend(players)
            self.first, self.sent = began, 0
            self.tick()
        await asyncio.sleep(self.end - time.perf_counter())
        self.over = True
        cpu = time.process_time() - cpu
        await asyncio.sleep(0.3)
        for player in players:
            player.transport.close()
        return self.found(cpu)

    def next(self, player: Player) -> None:
        if not self.over and self.requests:
            player.play(self.requests.popleft(), time.perf_counter())

    def tick(self) -> None:
        """Open loop: whatever is due by now, then sleep until the next is."""
        now = time.perf_counter()
        while (due := self.first + self.sent / (self.rate or 1)) <= now:
            self.sent += 1
            self.late.append(due)
        self.dispatch()
        if not self.over:
            asyncio.get_running_loop().call_later(max(0.0, due - now), self.tick)

    def dispatch(self) -> None:
        while self.late and self.idle and self.requests:
            self.idle.popleft().play(self.requests.popleft(), self.late.popleft())

    def answered(self, player: Player, status: bytes, answer: bytes) -> None:
        now = time.perf_counter()
        if self.measure_from <= player.due and now <= self.end:
            self.latencies.append(now - player.due)
            self.statuses[status.decode()] += 1
            if status != b"200" or self.expect not in answer:
                self.unexpected += 1
        if self.rate is None:
            self.next(player)
        else:
            self.idle.append(player)
            self.dispatch()

    def found(self, cpu: float) -> dict[str, Any]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            "answers": len(self.latencies),
            "per_second": len(self.latencies) / self.seconds,
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000,
            "statuses": dict(self.statuses),
            "unexpected": self.unexpected,
            "lost": self.lost,
            "cpu_share": cpu / (self.warm_up + self.seconds),
            "exhausted": not self.requests,
        }


def main() -> None:
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read())
    gc.disable()  # its pauses would be counted as the server's
    print(json.dumps(uvloop.run(Stage(plan).run(plan))))


if __name__ == "__main__":
    main()
