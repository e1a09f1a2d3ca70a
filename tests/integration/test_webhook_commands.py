"""`starship webhook` and `starship notice`, as operators call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from starship_core.cli import main
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.relay_events import sweep_relay
from starship_core.testing.clock import ManualClock
from starship_core.testing.fixtures import in_loop
from tests.integration.receivers import Recorder, hook, recorded
from tests.integration.ships import add_products, docked, written

URL = "https://down.example/hook"


@pytest.fixture
def config(database_url: str, redis_url: str, tmp_path: Path) -> Path:
    """A webhook that failed for five days, and the notice of it."""
    file = written(tmp_path, database_url, redis_url)

    async def filled() -> None:
        clock = ManualClock()
        async with docked(file, clock) as dock:
            await add_products(dock)
            acme = await dock.client()
            down = recorded(dock, Recorder(down={URL}))
            await hook(dock, acme, URL, "order.created")
            await dock.place(acme, "order-1")
            for days in (0, 6):
                clock.advance(days=days)
                await sweep_relay(dock.ship)
                await sweep_deliveries(down.ship)

    in_loop(filled())
    return file


def call(config: Path, *words: str, exit_code: int = 0) -> Any:
    done = CliRunner().invoke(main, [*words, "--config", str(config), "--json"])
    assert done.exit_code == exit_code, done.output
    return msgspec.json.decode(done.stdout) if done.stdout else done.stderr


def test_an_operator_brings_an_endpoint_back(config: Path) -> None:
    """Listed, shown with what went wrong, enabled, redelivered; each change is in the audit."""
    (listed,) = call(config, "webhook", "list")
    assert (listed["is_active"], listed["inactive_reason"]) == (False, "no 2xx for 5 days")
    shown = call(config, "webhook", "show", "1")
    assert shown["counts"] == {"FAILED": 1}
    assert len(shown["deliveries"][0]["attempts"]) == 1
    refused = call(
        config, "webhook", "redeliver", "1", "--delivery", "1", "--as", "ana", exit_code=1
    )
    assert refused["error"]["type"] == "WrongState"
    assert call(config, "webhook", "enable", "1", "--as", "ana")["is_active"] is True
    since = ("webhook", "redeliver", "1", "--since", "2027-01-01", "--as", "ana")
    assert call(config, *since) == {"queued": 1}
    assert call(config, *since) == {"queued": 0}
    one = ("webhook", "redeliver", "1", "--delivery", "1", "--as", "ana", "--reason", "asked")
    assert call(config, *one) == {"queued": 1}
    assert call(config, "webhook", "show", "1")["counts"] == {"PENDING": 1}

    async def hands() -> list[tuple[Any, ...]]:
        async with docked(config, ManualClock()) as dock:
            return list(
                await dock.sql(
                    "SELECT actor, action FROM audit WHERE subject = 'webhook:1' ORDER BY id"
                )
            )

    assert [tuple(row) for row in in_loop(hands())] == [
        ("operator:ana", "webhook.created"), ("worker", "webhook.disabled"),
        ("operator:ana", "webhook.changed"), ("operator:ana", "webhook.redeliver"),
        ("operator:ana", "webhook.redeliver"), ("operator:ana", "webhook.redeliver"),
    ]  # fmt: skip


def test_notices_are_listed(config: Path) -> None:
    """Newest first, filtered by kind and status; the command that mends it is in it."""
    (notice,) = call(config, "notice", "list")
    assert (notice["kind"], notice["status"]) == ("webhook.disabled", "PENDING")
    assert "starship webhook enable 1" in notice["text"]
    assert call(config, "notice", "list", "--kind", "balance.low") == []
    assert call(config, "notice", "list", "--status", "pending") == [notice]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("webhook", "redeliver", "1", "--as", "ana"), "--since TIME, or --delivery ID"),
        (("webhook", "redeliver", "1", "--since", "noon", "--as", "ana"), "2027-01-01T09:30:00Z"),
        (("webhook", "enable", "1"), "the audit wants"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_is_unclear_is_asked_back(config: Path, words: tuple[str, ...], problem: str) -> None:
    """Usage, exit 2; nothing is changed."""
    done = CliRunner().invoke(main, [*words, "--config", str(config)])
    assert done.exit_code == 2
    assert problem in done.stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_webhook_that_does_not_exist(config: Path) -> None:
    """Exit 1, and said so."""
    told = call(config, "webhook", "show", "9", exit_code=1)
    assert told["error"]["problems"] == ["there is no webhook 9"]
    told = call(config, "webhook", "redeliver", "1", "--delivery", "9", "--as", "a", exit_code=1)
    assert told["error"]["type"] == "NotFound"
