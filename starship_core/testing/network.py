"""Without a network, for a moment: whoever uses it fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def without_network() -> Iterator[None]:
    """Whoever connects to another machine, or to this one, fails; sockets of files are let be."""

    def refuse(one: socket.socket, address: Any) -> Any:
        if one.family == socket.AF_UNIX:
            return connect(one, address)
        raise AssertionError(f"the network was used: {address}")

    def unknown(host: Any, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"the network was used: {host}")

    connect = socket.socket.connect
    with (
        patch.object(socket.socket, "connect", refuse),
        patch.object(socket.socket, "connect_ex", refuse),
        patch.object(socket, "getaddrinfo", unknown),
    ):
        yield
