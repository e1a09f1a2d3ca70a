"""HTTP/1.1 as uvicorn speaks it, with an end to how long a request's head may be.

Nobody has shown a key by then: without a limit, one connection could fill the memory. What is no
request at all is refused here, too, in the shape of every other error.
"""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from starship_core.http.errors import JSON, Problem

LONGEST_HEAD: Final = 64 << 10
"""Bytes of request line and headers; proxies in front have lower limits."""
_LINGER: Final = 1.0
"""Seconds until the connection is closed: at once would reset it, and the answer would be lost."""


class BoundedHead(HttpToolsProtocol):
    """Give it to uvicorn as `http=`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_open = False
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._refused = False

    def on_message_begin(self) -> None:
        self._head_open, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_open = False
        # a short one need not be counted name by name
        if self._head_bytes + self._chunk_bytes > LONGEST_HEAD and self._length > LONGEST_HEAD:
            self._refuse(_too_long())
            return
        super().on_headers_complete()

    @property
    def _length(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._chunk_bytes = len(data)
        super().data_received(data)
        if self._head_open:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD:
                self._refuse(_too_long())

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words
        self._refuse(Problem("SYNTAX_ERROR", "this is no HTTP/1.1 request"))

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, which could not be told what was asked."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if not self._silenced():
            self.transport.close()
            return
        request_id = os.urandom(12).hex()
        body = problem.body(request_id)
        status = HTTPStatus(problem.http)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {JSON}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\ncache-control: no-store\r\n"
            f"x-request-id: {request_id}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def _silenced(self) -> bool:
        """The request before, if one is being answered, hears of it; False: it has begun to."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return not self.cycle.response_started


def _too_long() -> Problem:
    return Problem("HEADERS_TOO_LARGE", "request line and headers may have at most 64 KiB")
