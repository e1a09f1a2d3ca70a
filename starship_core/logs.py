"""Structured logs: events with ids, as JSON lines or for a terminal; never a payload.

An exception is logged as its class and the places it passed. Its text is not: drivers put values
of statements into theirs, and a plugin's may hold whatever its vendor sent.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Form = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]
_FRAMES: Final = 8
_QUIET: Final = ("asyncio", "sqlalchemy", "alembic", "litestar", "uvicorn", "redis", "arq", "vcr")
"""Libraries that log statements, parameters or bodies when asked for more than warnings."""


def configure(level: Level = "info", form: Form = "auto", *, stream: TextIO | None = None) -> None:
    """For the whole process. `auto`: a terminal is written for people, anything else JSON lines."""
    out = sys.stderr if stream is None else stream
    plain = form == "json" or (form == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        places_only,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if plain
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,  # a test, or a worker after its fork, configures anew
    )
    _configure_libraries(out, shared, renderer)


def _configure_libraries(out: TextIO, shared: list[Processor], renderer: Processor) -> None:
    """What libraries log through `logging`: warnings and worse, in the same form."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_first_line)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _first_line(record: logging.LogRecord) -> bool:
    """For asyncio appends the repr of what failed, and with it the exception's text."""
    record.msg, record.args = record.getMessage().partition("\n")[0], None
    return True


def places_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`exc_info` → class and places."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event.update(fault(error))
    return event


def fault(error: BaseException) -> dict[str, Any]:
    """What a log may say of an exception."""
    places = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {
        "error": type(error).__qualname__,
        "at": [f"{each.filename}:{each.lineno} {each.name}" for each in places],
    }


def _json(event: Any, **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
