from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from starship_wallet_ledger.ledger import Ledger, Line

from starship_core import Entry, NotFound
from starship_core.database import Database

Make = Callable[..., Entry]
Posted = tuple[str, int, datetime]

DAY = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
async def history(database: Database, ledger: Ledger, entry: Make) -> list[Posted]:
    """Nine hourly entries on wallet:1, others on wallet:2 between them."""
    amounts = [1000, -300, -200, 150, -50, 500, -100, -100, 25]
    lines = []
    for hour, minor in enumerate(amounts):
        at = DAY + timedelta(hours=hour)
        key = f"key:{hour}"
        kind = "credit" if minor > 0 else "debit"
        other = entry("credit", f"other:{hour}", 7, account="wallet:2", at=at)
        await database.run(ledger.post, [other, entry(kind, key, minor, at=at)])
        lines.append((key, minor, at))
    return lines


async def test_any_window_adds_up(ledger: Ledger, history: list[Posted]) -> None:
    """Opening plus lines is closing, and neighbouring windows meet, for every pair of bounds."""
    bounds = [DAY + timedelta(minutes=30 * half) for half in range(-1, 19)]
    for i, since in enumerate(bounds):
        for until in bounds[i:]:
            opening, lines, closing = await ledger.statement("wallet:1", since, until)
            assert opening == sum(minor for _, minor, at in history if at < since)
            assert closing == sum(minor for _, minor, at in history if at < until)
            assert [(line.key, line.minor, line.at) for line in lines] == [
                line for line in history if since <= line[2] < until
            ]
            running = [opening]
            for line in lines:
                running.append(running[-1] + line.minor)
                assert line.balance_after == running[-1]
            assert running[-1] == closing


async def test_a_line_tells_what_happened(ledger: Ledger, history: list[Posted]) -> None:
    """Key, kind, time and both amounts."""
    opening, lines, closing = await ledger.statement("wallet:1", DAY, DAY + timedelta(hours=2))
    assert (opening, closing) == (0, 700)
    assert list(lines) == [
        Line(key="key:0", kind="credit", at=DAY, minor=1000, balance_after=1000),
        Line(key="key:1", kind="debit", at=DAY + timedelta(hours=1), minor=-300, balance_after=700),
    ]


async def test_lines_are_in_posting_order(database: Database, ledger: Ledger, entry: Make) -> None:
    """Also when a clock was behind, and within one batch of one time."""
    batch = [entry("credit", f"topup:{i}", 10 + i) for i in (3, 1, 2)]
    await database.run(ledger.post, batch)
    late = entry("credit", "topup:late", 5, at=DAY - timedelta(seconds=1))
    await database.run(ledger.post, [late])
    _, lines, closing = await ledger.statement(
        "wallet:1", DAY - timedelta(days=1), DAY + timedelta(days=1)
    )
    assert [(line.key, line.balance_after) for line in lines] == [
        ("topup:3", 13), ("topup:1", 24), ("topup:2", 36), ("topup:late", 41),
    ]  # fmt: skip
    assert closing == 41


async def test_an_unknown_account_has_no_statement(ledger: Ledger) -> None:
    """Not an empty one."""
    with pytest.raises(NotFound, match="there is no account wallet:9"):
        await ledger.statement("wallet:9", DAY, DAY)
