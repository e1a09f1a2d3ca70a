"""Logs: one JSON object a line with ids, and nothing of what an exception says."""

import asyncio
import gc
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from starship_core.logs import configure
from starship_core.model import Secret

CANARY = "CANARY-4111-1111"


@pytest.fixture
def log() -> Iterator[Any]:
    """What is written, as a list of objects; everything is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("debug", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def fails(code: Any) -> None:
    secret = {"code": code}
    raise ValueError(f"the vendor said {secret}")


def test_an_event_is_a_line_with_its_ids(log: Any) -> None:
    """Event, level, time and whatever was bound: nothing has to be parsed out of a sentence."""
    structlog.get_logger().bind(request_id="r-1").info("order.parked", order=7, sku="310/20.00/GBP")
    (line,) = log()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "order.parked",
        "level": "info",
        "request_id": "r-1",
        "order": 7,
        "sku": "310/20.00/GBP",
    }


def test_an_exception_is_its_class_and_places(log: Any) -> None:
    """Neither its text, nor a local, nor the cause's text: all may hold a code."""
    try:
        try:
            fails(CANARY)
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError:
        structlog.get_logger().exception("purchase.failed", purchase=3)
        logging.getLogger("some.library").exception("it failed")
    ours, theirs = log()
    assert (ours["error"], ours["purchase"]) == ("RuntimeError", 3)
    assert (theirs["error"], theirs["event"], theirs["logger"]) == (
        "RuntimeError",
        "it failed",
        "some.library",
    )
    assert all("test_an_exception_is" in line["at"][-1] for line in (ours, theirs))
    assert CANARY not in json.dumps([ours, theirs])


def test_a_secret_stays_one(log: Any) -> None:
    """A Secret that ends up in an event is shown as one; so is a thing that has no JSON."""
    structlog.get_logger().info("x", code=Secret(CANARY), path=object)
    (line,) = log()
    assert line["code"] == "Secret(•••)"


def test_libraries_may_only_warn(log: Any) -> None:
    """Drivers log statements and bodies when they are let; they are not, whatever our own level."""
    for name in ("sqlalchemy.engine", "asyncio", "redis", "httpx2", "vcr"):
        logging.getLogger(name).debug(CANARY)
        logging.getLogger(name).info(CANARY)
        logging.getLogger(name).warning("%s is slow", name)
    assert [line["event"] for line in log()] == [
        f"{name} is slow" for name in ("sqlalchemy.engine", "asyncio", "redis", "httpx2", "vcr")
    ]


async def test_a_lost_task_does_not_tell_its_exception(log: Any) -> None:
    """asyncio logs the repr of a task that failed unseen, and with it the exception's text."""

    async def lost() -> None:
        fails(CANARY)

    task = asyncio.create_task(lost())
    await asyncio.wait([task])
    del task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    (line,) = log()
    assert line["event"] == "Task exception was never retrieved"
    assert line["error"] == "ValueError"
    assert CANARY not in json.dumps(line)
