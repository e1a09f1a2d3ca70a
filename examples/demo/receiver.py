"""A client's own server, to which webhooks are sent; who wrote the verifier is nobody of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks import Webhook


class Arrived(NamedTuple):
    """One request, as it came."""

    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers 2xx at once, and keeps what arrived."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.arrived: list[Arrived] = []

    def wait_for(self, secret: str, event: str, order_id: int, *, seconds: float) -> dict[str, Any]:
        """The event of an order; the verifier, `standardwebhooks`, raises for a bad signature."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for one in list(self.arrived):
                found: dict[str, Any] = Webhook(secret).verify(one.body, one.headers)
                if (found["event_type"], found["data"]["id"]) == (event, order_id):
                    return found
            time.sleep(0.05)
        raise RuntimeError(f"no {event} of order {order_id} arrived within {seconds} seconds")


@contextmanager
def receiving() -> Iterator[Receiver]:
    """On a free port of this machine, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.arrived.append(Arrived(headers, body))

        def log_message(self, *_: Any) -> None:
            """Silence: the story tells."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hooks")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
