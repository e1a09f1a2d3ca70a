"""Several server processes on one port: started, watched, replaced when they die, drained."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client.multiprocess import mark_process_dead

from starship_core.web.server import DRAIN_SECONDS, LIFELINE

_PAUSE: Final = 1.0
"""Seconds before a worker that died is replaced, so that one that cannot start costs little."""
_AS_TOLD: Final = {0, -signal.SIGTERM}
"""The second is one that was still starting, and so had accepted nothing."""
_log = structlog.get_logger("starship.workers")


class Supervisor:
    """`command` is run `count` times, each with the listening socket as its file descriptor.

    `notice` is how many seconds each of them keeps the port open after the order to stop.
    """

    def __init__(
        self, command: Sequence[str], listener: socket.socket, count: int, *, notice: int
    ) -> None:
        self._command = [*command, "--fd", str(listener.fileno())]
        self._listener = listener
        self._count = count
        self._workers: list[subprocess.Popen[bytes]] = []
        self._stop_seconds = notice + DRAIN_SECONDS + 5
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT. The exit status: 0 when every worker ended as it was told."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._stop)
        with tempfile.TemporaryDirectory(prefix="starship-metrics-") as metrics:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
            self._workers = [self._start() for _ in range(self._count)]
            while not self._stopping:
                self._replace()
                time.sleep(0.1)
            return self._drain()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # ourselves
            self._command,
            stdin=subprocess.PIPE,  # never written to: its end is how our death shows
            pass_fds=[self._listener.fileno()],
            env={**os.environ, LIFELINE: "1"},
            start_new_session=True,  # Ctrl-C reaches us, and we tell them once
        )

    def _replace(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.poll() is None:
                continue
            _log.error("worker.died", pid=worker.pid, code=worker.returncode)
            _closed(worker)
            time.sleep(_PAUSE)
            if not self._stopping:
                self._workers[place] = self._start()

    def _stop(self, *_: object) -> None:
        if self._stopping:  # told again: they end their notice
            for worker in self._workers:
                worker.terminate()
        self._stopping = True

    def _drain(self) -> int:
        for worker in self._workers:
            worker.terminate()
        until = time.monotonic() + self._stop_seconds
        codes = []
        for worker in self._workers:
            try:
                codes.append(worker.wait(max(0.1, until - time.monotonic())))
            except subprocess.TimeoutExpired:
                worker.kill()
                codes.append(worker.wait())
            _closed(worker)
        return 0 if _AS_TOLD.issuperset(codes) else 1


def _closed(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None:
        worker.stdin.close()
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library has no types here
