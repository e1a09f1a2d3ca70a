"""Operators' changes to wallets: each with posting, row and audit row, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from starship_core.audit import By
from starship_core.config import Config, DatabaseSection, PluginsSection
from starship_core.errors import InsufficientFunds, InvalidInput, NotFound, WrongState
from starship_core.flows.move_money import (
    Line,
    Statement,
    credit_wallet,
    list_wallets,
    open_wallet,
    reverse_credit,
    set_limit,
    show_wallet,
    statement,
)
from starship_core.keyring import create_keys
from starship_core.model import NO_EXPIRY, Entry, Money
from starship_core.ship import Ship
from starship_core.store.books import money_violations
from starship_core.store.wallets import Movement, WalletState
from starship_core.testing.clock import START, ManualClock

ANA = By(actor="operator:ana", reason="invoice 7", request_id="req-1")


def pounds(text: str) -> Money:
    return Money.of(text, "GBP")


@pytest.fixture
async def ship(database_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ship]:
    """Assembled from the configuration, with two clients and no wallets."""
    create_keys(tmp_path / "keys")
    config = Config(
        path=tmp_path / "starship.toml",
        database=DatabaseSection(url=database_url, connections=16),
        plugins=PluginsSection(enabled=["wallet-ledger", "fx-fixed"]),
        wallet={"use": "wallet-ledger"},
        fx={"use": "fx-fixed", "rates": {"EUR": "0.92"}},
    )
    async with Ship.open(config, now=clock) as ship:
        for name in ("acme", "bolt"):
            await write(ship, "INSERT INTO clients (name, created_at) VALUES ($1, 0)", name)
        yield ship


async def rows(ship: Ship, statement: str) -> list[tuple[Any, ...]]:
    found = await ship.database.read(lambda tx: tx.execute(statement))
    return [tuple(row) for row in found]


async def write(ship: Ship, statement: str, *parameters: Any) -> None:
    await ship.database.run(lambda tx: tx.execute(statement, *parameters))


async def spend(ship: Ship, wallet_id: int, amount: Money) -> None:
    entry = Entry(
        key=f"order:{wallet_id}:{amount}", account=f"wallet:{wallet_id}", minor=-amount.minor,
        currency=amount.currency, kind="debit", at=ship.now(),
    )  # fmt: skip
    await ship.database.run(ship.wallet.post, [entry])


async def audited(ship: Ship) -> list[tuple[Any, ...]]:
    return [
        (action, subject, msgspec.json.decode(before or "null"), msgspec.json.decode(after))
        for action, subject, before, after in await rows(
            ship, "SELECT action, subject, before, after FROM audit ORDER BY id"
        )
    ]


async def test_a_wallet_is_opened(ship: Ship) -> None:
    """Empty, named after its id; the first one becomes the default, a new currency gets a row."""
    opened = await open_wallet(ship, 1, "GBP", by=ANA)
    assert opened == WalletState(
        id=1, client_id=1, currency="GBP", account="wallet:1", type="PREPAID",
        credit_limit=pounds("0"), balance=pounds("0"), is_active=True,
    )  # fmt: skip
    second = await open_wallet(
        ship, 1, "JPY", by=ANA, type="POSTPAID", credit_limit=Money(5000, "JPY")
    )
    assert (second.id, second.type, second.spendable) == (2, "POSTPAID", Money(5000, "JPY"))
    assert await show_wallet(ship, 2) == second
    assert await rows(ship, "SELECT default_wallet_id FROM clients WHERE id = 1") == [(1,)]
    assert await rows(ship, "SELECT code, decimal_places FROM currencies ORDER BY id") == [
        ("GBP", 2), ("JPY", 0),
    ]  # fmt: skip
    assert await audited(ship) == [
        ("wallet.open", "wallet:1", None,
         {"currency": "GBP", "type": "PREPAID", "credit_limit": "0.00", "balance": "0.00"}),
        ("wallet.open", "wallet:2", None,
         {"currency": "JPY", "type": "POSTPAID", "credit_limit": "5000", "balance": "0"}),
    ]  # fmt: skip
    assert await rows(ship, "SELECT DISTINCT actor, reason, request_id FROM audit") == [
        ("operator:ana", "invoice 7", "req-1")
    ]


@pytest.mark.parametrize(
    ("client_id", "currency", "limit", "refusal", "text"),
    [
        (9, "GBP", None, NotFound, "there is no client 9"),
        (1, "gbp", None, InvalidInput, "'gbp' is no ISO 4217 currency"),
        (1, "GBP", Money(-1, "GBP"), InvalidInput, r"from 0 up, not -0\.01 GBP"),
        (1, "GBP", Money(1, "EUR"), InvalidInput, r"an amount of GBP from 0 up, not 0\.01 EUR"),
    ],
)
async def test_what_cannot_be_opened_leaves_nothing(  # noqa: PLR0917  # its table's columns
    ship: Ship, client_id: int, currency: str, limit: Money | None, refusal: Any, text: str
) -> None:
    """No wallet, no account, no audit row, no currency."""
    with pytest.raises(refusal, match=text):
        await open_wallet(ship, client_id, currency, by=ANA, credit_limit=limit)
    for table in ("wallets", "ledger_accounts", "audit", "currencies"):
        assert await rows(ship, f"SELECT * FROM {table}") == []


async def test_a_client_has_one_wallet_in_a_currency(ship: Ship) -> None:
    """Also when eight operators open it at once; another client's is another wallet."""
    done = await asyncio.gather(
        *(open_wallet(ship, 1, "GBP", by=ANA) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["WalletState"] + ["WrongState"] * 7
    other = await open_wallet(ship, 2, "GBP", by=ANA)
    assert other.account == f"wallet:{other.id}"
    assert [each.client_id for each in await list_wallets(ship)] == [1, 2]
    assert await list_wallets(ship, 2) == [other]


async def test_a_credit_is_money_a_row_and_an_audit_row(ship: Ship, clock: ManualClock) -> None:
    """What the API shows, what the ledger holds and what the auditor reads agree."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    moved = await credit_wallet(
        ship, 1, pounds("250.00"), reference="BANK-1", remarks="thank you", by=ANA
    )
    assert moved == Movement(
        wallet_id=1, transaction_id=1, amount=pounds("250"), balance_after=pounds("250"),
        repeated=False,
    )  # fmt: skip
    assert (await ship.wallet.balance("wallet:1")).minor == 25000
    assert await rows(
        ship,
        "SELECT wallet_id, order_id, key, transaction_type, status, amount, currency,"
        " balance_after, remarks, created_at FROM transactions",
    ) == [
        (1, None, "topup:BANK-1", "CREDIT", "COMPLETED", 25000, "GBP", 25000, "thank you",
         1_798_761_600_000_000),
    ]  # fmt: skip
    assert (await audited(ship))[1:] == [
        ("wallet.credit", "wallet:1",
         {"currency": "GBP", "type": "PREPAID", "credit_limit": "0.00", "balance": "0.00"},
         {"currency": "GBP", "type": "PREPAID", "credit_limit": "0.00", "balance": "250.00",
          "amount": "250.00", "reference": "BANK-1"}),
    ]  # fmt: skip


async def test_the_same_reference_credits_once(ship: Ship) -> None:
    """Sixteen at once, then again later: one movement, and every other answer says so."""
    await open_wallet(ship, 1, "GBP", by=ANA)

    async def credit() -> Movement:
        return await credit_wallet(ship, 1, pounds("10"), reference="BANK-1", by=ANA)

    done = await asyncio.gather(*(credit() for _ in range(16)))
    await credit_wallet(ship, 1, pounds("5"), reference="BANK-2", by=ANA)
    done.append(await credit())
    assert sorted(each.repeated for each in done) == [False] + [True] * 16
    assert {(each.transaction_id, each.balance_after) for each in done} == {(1, pounds("10"))}
    assert (await show_wallet(ship, 1)).balance == pounds("15")
    assert len(await audited(ship)) == 3


async def test_a_reference_names_one_credit(ship: Ship) -> None:
    """Another amount or wallet under it is refused, also when both are tried at once."""
    for client_id in (1, 2):
        await open_wallet(ship, client_id, "GBP", by=ANA)
    await credit_wallet(ship, 1, pounds("10"), reference="BANK-1", by=ANA)
    text = r"BANK-1 is the reference of a credit of 10\.00 GBP to wallet 1"
    for wallet_id, amount in ((1, "10.01"), (2, "10")):
        with pytest.raises(WrongState, match=text) as caught:
            await credit_wallet(ship, wallet_id, pounds(amount), reference="BANK-1", by=ANA)
        assert caught.value.code == "REFERENCE_TAKEN"
    done = await asyncio.gather(
        *(
            credit_wallet(ship, 1 + n % 2, pounds("7"), reference="BANK-2", by=ANA)
            for n in range(8)
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Movement"] * 4 + ["WrongState"] * 4
    balances = [each.balance.minor for each in await list_wallets(ship)]
    assert sorted(balances) in ([700, 1000], [0, 1700])


@pytest.mark.parametrize(
    ("amount", "reference", "text"),
    [
        (Money(0, "GBP"), "BANK-1", "more than 0, not 0.00 GBP"),
        (Money(-1, "GBP"), "BANK-1", "more than 0"),
        (Money(1, "EUR"), "BANK-1", "wallet 1 is in GBP, not EUR"),
        (Money(1, "GBP"), "", "1 to 255 printable ASCII"),
        (Money(1, "GBP"), " BANK", "without blanks at its ends"),
        (Money(1, "GBP"), "B\n1", "printable ASCII"),
        (Money(1, "GBP"), "é", "printable ASCII"),
        (Money(1, "GBP"), "x" * 256, "1 to 255"),
    ],
)
async def test_a_credit_that_makes_no_sense_is_refused(
    ship: Ship, amount: Money, reference: str, text: str
) -> None:
    """And leaves nothing."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    with pytest.raises(InvalidInput, match=text):
        await credit_wallet(ship, 1, amount, reference=reference, by=ANA)
    assert await rows(ship, "SELECT * FROM transactions") == []
    assert (await show_wallet(ship, 1)).balance == pounds("0")


async def test_a_credit_is_taken_back_once(ship: Ship) -> None:
    """All of it; again says so; the reference is then used up."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    await credit_wallet(ship, 1, pounds("10"), reference="BANK-1", by=ANA)
    done = await asyncio.gather(*(reverse_credit(ship, "BANK-1", by=ANA) for _ in range(8)))
    assert sorted(each.repeated for each in done) == [False] + [True] * 7
    assert {(each.amount, each.balance_after) for each in done} == {(pounds("10"), pounds("0"))}
    assert await rows(ship, "SELECT key, transaction_type, amount, remarks FROM transactions") == [
        ("topup:BANK-1", "CREDIT", 1000, "credit BANK-1"),
        ("reversal:BANK-1", "DEBIT", 1000, "reversal of BANK-1"),
    ]
    assert [action for action, *_ in await audited(ship)] == [
        "wallet.open", "wallet.credit", "wallet.reversal",
    ]  # fmt: skip
    with pytest.raises(WrongState, match="the credit BANK-1 was reversed; use another reference"):
        await credit_wallet(ship, 1, pounds("10"), reference="BANK-1", by=ANA)
    with pytest.raises(NotFound, match="no credit with the reference BANK-2"):
        await reverse_credit(ship, "BANK-2", by=ANA)


async def test_money_that_was_spent_is_not_taken_back(ship: Ship) -> None:
    """Until the limit makes room for it."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    await credit_wallet(ship, 1, pounds("10"), reference="BANK-1", by=ANA)
    await spend(ship, 1, pounds("4"))
    with pytest.raises(InsufficientFunds, match=r"6\.00 GBP to spend, 10\.00 GBP were asked"):
        await reverse_credit(ship, "BANK-1", by=ANA)
    await set_limit(ship, 1, pounds("4"), by=ANA)
    assert (await reverse_credit(ship, "BANK-1", by=ANA)).balance_after == pounds("-4")


async def test_a_limit_is_what_may_be_owed(ship: Ship) -> None:
    """In the wallet and in the ledger alike; never below what is owed; unchanged is no change."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    state = await set_limit(ship, 1, pounds("5"), by=ANA)
    assert (state.credit_limit, state.spendable) == (pounds("5"), pounds("5"))
    assert (await ship.wallet.balance("wallet:1")).floor == -500
    await spend(ship, 1, pounds("3"))
    with pytest.raises(WrongState, match=r"wallet 1 owes 3\.00 GBP; its limit cannot be 2\.99 GBP"):
        await set_limit(ship, 1, pounds("2.99"), by=ANA)
    with pytest.raises(InvalidInput, match=r"from 0 up, not 3\.00 EUR"):
        await set_limit(ship, 1, Money(300, "EUR"), by=ANA)
    with pytest.raises(NotFound, match="there is no wallet 9"):
        await set_limit(ship, 9, pounds("3"), by=ANA)
    lowered = await set_limit(ship, 1, pounds("3"), by=ANA)
    assert await set_limit(ship, 1, pounds("3"), by=ANA) == lowered
    assert lowered.spendable == pounds("0")
    facts = {"currency": "GBP", "type": "PREPAID", "credit_limit": "5.00", "balance": "-3.00"}
    assert (await audited(ship))[2:] == [
        ("wallet.limit", "wallet:1", facts, facts | {"credit_limit": "3.00"})
    ]


async def test_a_statement_tells_what_happened(ship: Ship, clock: ManualClock) -> None:
    """In the wallet's currency, between its opening and its closing balance."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    await credit_wallet(ship, 1, pounds("10"), reference="BANK-1", by=ANA)
    noon = clock.advance(hours=12)
    await spend(ship, 1, pounds("4"))
    await credit_wallet(ship, 1, pounds("1"), reference="BANK-2", by=ANA)
    until = clock.advance(hours=12)
    await spend(ship, 1, pounds("2"))
    assert await statement(ship, 1, START + timedelta(hours=1), until) == Statement(
        wallet_id=1,
        since=START + timedelta(hours=1),
        until=until,
        opening=pounds("10"),
        lines=(
            Line(
                at=noon, key="order:1:4.00 GBP", kind="debit", amount=pounds("-4"),
                balance_after=pounds("6"),
            ),
            Line(
                at=noon, key="topup:BANK-2", kind="credit", amount=pounds("1"),
                balance_after=pounds("7"),
            ),
        ),
        closing=pounds("7"),
    )  # fmt: skip
    assert (await statement(ship, 1, until, NO_EXPIRY)).closing == pounds("5")
    with pytest.raises(NotFound, match="there is no wallet 9"):
        await statement(ship, 9, START, until)


async def test_what_fails_late_leaves_nothing(ship: Ship) -> None:
    """When the audit row cannot be written, neither the posting nor the API's row stays."""
    await open_wallet(ship, 1, "GBP", by=ANA)
    await write(ship, "CREATE UNIQUE INDEX late ON audit (action)")
    await credit_wallet(ship, 1, pounds("10"), reference="BANK-2", by=ANA)
    with pytest.raises(IntegrityError):
        await credit_wallet(ship, 1, pounds("10"), reference="BANK-3", by=ANA)
    assert (await show_wallet(ship, 1)).balance == pounds("10")
    assert await rows(ship, "SELECT key FROM transactions WHERE key = 'topup:BANK-3'") == []
    assert await rows(ship, "SELECT key FROM ledger_transactions") == [("topup:BANK-2",)]


async def test_the_books_are_checked(ship: Ship) -> None:
    """The ledger's own sentences, and the rows that the API shows, each following from the last."""
    for client_id in (1, 2):
        await open_wallet(ship, client_id, "GBP", by=ANA)
        for n in range(3):
            await credit_wallet(
                ship, client_id, pounds("10"), reference=f"BANK-{client_id}-{n}", by=ANA
            )
    await reverse_credit(ship, "BANK-1-0", by=ANA)
    assert await ship.database.read(money_violations, ship.wallet) == []
    await write(ship, "UPDATE transactions SET amount = 1001 WHERE key = 'topup:BANK-2-1'")
    await write(ship, "UPDATE ledger_accounts SET balance = 1999 WHERE account = 'wallet:1'")
    assert await ship.database.read(money_violations, ship.wallet) == [
        """I2 transactions 5: its balance_after is 20.00 GBP; \
the row before and its amount make 20.01 GBP (wallet 2)""",
        "I2 ledger_accounts wallet:1: its balance is 19.99 GBP, its postings sum to 20.00 GBP",
        """I2 transactions 5: it moves 10.01 GBP on wallet:2; \
the wallet backend moved 10.00 GBP on wallet:2 (topup:BANK-2-1)""",
        """I2 wallets 1: it shows 20.00 GBP and may go to 0.00 GBP; \
the wallet backend has 19.99 GBP and may go to 0.00 GBP""",
    ]
