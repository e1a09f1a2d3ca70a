"""What every command shares: its options, whose hand it is, how it answers, and how it fails."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec

import msgspec
import rich_click as click
from click.exceptions import Exit
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from starship_core.errors import ConfigError, PluginError, StarshipError

if TYPE_CHECKING:  # both are slow to import, and a command that needs neither should not wait
    from starship_core.audit import By
    from starship_core.config import Config
    from starship_core.ship import Ship

P = ParamSpec("P")
Advance = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One invocation of a command."""

    config_path: Path
    json: bool
    request_id: str
    operator: str | None = None
    reason: str = ""

    @property
    def by(self) -> By:
        """Whose hand it is; only a `@changing` command has one."""
        from starship_core.audit import By

        if self.operator is None:  # a programming error: @reading where @changing was meant
            raise AssertionError("this command changes something; decorate it with @changing")
        return By(actor=f"operator:{self.operator}", reason=self.reason, request_id=self.request_id)

    def config(self) -> Config:
        """Read and check the file. Raises ConfigError with every problem in it."""
        from starship_core.config import load

        return load(self.config_path)

    def answer(self, document: Any, *human: RenderableType) -> None:
        """Print the answer, once: `document` as JSON with `--json`, otherwise what is `human`.

        Structs, dataclasses, Decimals (as strings) and times can be encoded; a Secret cannot.
        A plain string in `human` is printed as it is, without rich markup.
        """
        if self.json:
            _print_json(document)
            return
        for part in human:
            if isinstance(part, str):
                stdout().print(Text(part), soft_wrap=True)
            else:
                stdout().print(part)

    def refuse(self, error: StarshipError, *, code: int | None = None) -> NoReturn:
        """End with the error on stderr, for a command that gave its JSON document already."""
        for problem in _problems(error):
            _stderr().print(Text.assemble(("Error: ", "bold red"), problem), soft_wrap=True)
        usual = 2 if isinstance(error, (ConfigError, PluginError)) else 1
        raise Exit(usual if code is None else code)

    def fail(self, error: StarshipError, *, code: int | None = None) -> NoReturn:
        """End with the error on stderr, and with `--json` as a document; `code`: the exit's."""
        if self.json:
            problems = _problems(error)
            _print_json({"error": {"type": type(error).__name__, "problems": problems}})
        self.refuse(error, code=code)

    def note(self, text: str) -> None:
        """Something worth knowing beside the answer, on stderr; not said with `--json`."""
        if not self.json:
            _stderr().print(Text(text), soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Advance]:
        """A bar on stderr while a person watches, else nothing; call what it yields to advance."""
        if self.json or not sys.stderr.isatty():
            yield lambda _count: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=_stderr(), transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda count: progress.advance(task, count)


def grid(*columns: str, rows: Iterable[Iterable[Any]], title: str | None = None) -> Table:
    """A table whose cells are shown as they are, None as a dash."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold", box=None)
    for row in rows:
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    return table


@asynccontextmanager
async def deployed(call: Call) -> AsyncIterator[Ship]:
    """The deployment, open for one command; its pool is the running server's, else degraded."""
    from starship_core.embedded import redis_url
    from starship_core.ship import Ship

    config = call.config()
    with warnings_only():
        async with Ship.open(config, redis_url=redis_url(config)) as ship:
            yield ship


@contextmanager
def warnings_only() -> Iterator[None]:
    """Logs go to stderr, where they are not taken for the answer, and only what is amiss.

    Ends with the command, so that one that is called in a longer-lived process leaves no trace.
    """
    import structlog

    from starship_core.logs import configure

    root = logging.getLogger()
    before = structlog.get_config() if structlog.is_configured() else None
    handlers, level = root.handlers[:], root.level
    configure("warning")
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        if before is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**before)


def reading(
    function: Callable[Concatenate[Call, P], Awaitable[None] | None],
) -> Callable[P, None]:
    """For a command that changes nothing: adds `--config` and `--json`, passes the `Call` first."""
    return _shared(_called(function))


def changing(
    function: Callable[Concatenate[Call, P], Awaitable[None] | None],
) -> Callable[P, None]:
    """For a command that changes something: as `reading`, and demands `--as` (`--reason` too)."""
    as_option = click.option(
        "--as",
        "operator",
        metavar="NAME",
        envvar="STARSHIP_OPERATOR",
        callback=_operator,
        help="Who does this; goes into the audit. Or STARSHIP_OPERATOR.",
    )
    reason_option = click.option(
        "--reason", metavar="TEXT", default="", help="Why; goes into the audit."
    )
    return as_option(reason_option(_shared(_called(function))))


def making(
    function: Callable[Concatenate[Call, P], Awaitable[None] | None],
) -> Callable[P, None]:
    """For a command that there is no configuration for yet: adds `--json` alone."""
    return _with_json(_called(function))


def _shared(function: Callable[P, None]) -> Callable[P, None]:
    config_option = click.option(
        "--config",
        "config_path",
        metavar="PATH",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="STARSHIP_CONFIG",
        default="starship.toml",
        show_default=True,
        help="The configuration file. Or STARSHIP_CONFIG.",
    )
    return config_option(_with_json(function))


def _with_json(function: Callable[P, None]) -> Callable[P, None]:
    return click.option(
        "--json", "as_json", is_flag=True, help="Answer with one JSON document on stdout."
    )(function)


def _operator(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    if not value:
        raise click.UsageError(
            "This changes something, and the audit wants to know who did it: "
            "add --as NAME, or set STARSHIP_OPERATOR."
        )
    if len(value) > 64 or not value.isprintable() or any(c.isspace() for c in value):
        raise click.UsageError("--as takes a name of at most 64 characters without blanks.")
    return value


def _called(
    function: Callable[Concatenate[Call, P], Awaitable[None] | None],
) -> Callable[P, None]:
    @functools.wraps(function)
    def run(*_: Any, as_json: bool, **parameters: Any) -> None:
        call = Call(
            config_path=parameters.pop("config_path", Path("starship.toml")),
            json=as_json,
            request_id=f"cli-{uuid.uuid4().hex}",
            operator=parameters.pop("operator", None),
            reason=parameters.pop("reason", ""),
        )
        try:
            outcome = function(call, **parameters)  # type: ignore[call-arg]  # click passes by keyword
            if inspect.isawaitable(outcome):
                asyncio.run(_awaited(outcome))
        except StarshipError as error:
            call.fail(error)
        except (click.ClickException, Exit, click.Abort, BrokenPipeError):
            raise  # click's own ways to end
        except Exception as error:  # noqa: BLE001  # a fault, and nobody is shown a traceback
            call.fail(_unforeseen(error), code=2)

    return run  # type: ignore[return-value]  # its keywords are the options just added


def _unforeseen(error: Exception) -> StarshipError:
    """A fault of ours or of a plugin's: its class and the places it passed. Its text is not told,
    for it may quote anything.
    """
    from starship_core.logs import fault

    told = fault(error)
    places = "".join(f"\n  {place}" for place in told["at"])
    return StarshipError(
        f"this should not happen: {told['error']}. Please report it with these lines:{places}"
    )


async def _awaited(outcome: Awaitable[None]) -> None:
    await outcome


def _problems(error: StarshipError) -> list[str]:
    return getattr(error, "problems", None) or [str(error)]


def stdout() -> Console:
    """Where answers go. Made on each use: tests and pipes replace `sys.stdout`."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 1000)


def _stderr() -> Console:
    return Console(file=sys.stderr, highlight=False)


def _print_json(document: Any) -> None:
    encoded = msgspec.json.encode(document, enc_hook=_plain)
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not printed")
