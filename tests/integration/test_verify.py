"""`starship verify`: clean after every kind of order, and for every invariant a planted violation.

The violations are planted in a copy of a real deployment whose tables have lost every constraint,
index and trigger: what keeps the rows right must not keep a test from making them wrong.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy.util import await_only
from starship_wallet_ledger import checks

from starship_core.cli import main
from starship_core.database import Tx
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.manage_clients import Discount, give_discount
from starship_core.flows.manage_webhooks import Changes, change_webhook
from starship_core.flows.move_money import credit_wallet, reverse_credit
from starship_core.flows.refund_order import refund_order
from starship_core.flows.relay_events import sweep_relay
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.retry_order import retry_order
from starship_core.flows.verify import MOST, STEPS, Violation, verify
from starship_core.keyring import create_keys
from starship_core.model import Money
from starship_core.store import books
from starship_core.store.check import Check
from starship_core.store.invariants import CHECKS
from starship_core.tables import metadata
from starship_core.testing.clock import ManualClock
from starship_core.testing.fixtures import DATABASES, _created, in_loop
from tests.integration.buying_plants import AHEAD, BUYING_PLANTS, SOUND
from tests.integration.policy_plants import DECIDED, POLICY_PLANTS
from tests.integration.receivers import Recorder, hook, recorded
from tests.integration.ships import ANA, DINAR, SMALL, YEN, Dock, add_products, docked
from tests.integration.ships import written as config_of

TABLES = [
    *(table.name for table in metadata.sorted_tables),
    "ledger_accounts", "ledger_transactions", "ledger_postings",
]  # fmt: skip


# --- a deployment with an order of every kind ----------------------------------------------------
async def every_kind(dock: Dock) -> dict[str, int]:
    """Through the flows, as clients and operators would; the order of each kind by name."""
    ship = dock.ship
    acme = await dock.client("acme", {"EUR": "100000.00"})
    picky = await dock.client("picky", {"EUR": "1000.00"}, min_validity_days=30)
    await give_discount("picky", Discount(3, Decimal(100)), ANA, ship)
    await credit_wallet(ship, 1, Money(500, "EUR"), reference="mistaken", by=ANA)
    await reverse_credit(ship, "mistaken", by=ANA)
    made = {"missed": (await dock.place(acme, "key-missed")).order.id}
    made["half"] = (await dock.place(acme, "key-half", YEN, 5)).order.id
    made["late"] = (await dock.place(acme, "key-late", SMALL)).order.id
    made["unborn"] = (await dock.place(acme, "key-unborn", quantity=60)).order.id
    made["undone"] = (await dock.place(acme, "key-undone", quantity=51)).order.id
    made["refused"] = (await dock.place(acme, "key-refused", quantity=2)).order.id
    made["bulk"] = (await dock.place(acme, "key-bulk", quantity=55)).order.id
    await cancel_order(made["undone"], ANA, ship)
    await cancel_order(made["refused"], ANA, ship)
    await dock.stock(54)
    await retry_order(made["bulk"], ANA, ship)
    await dock.stock(3, YEN)
    await retry_order(made["half"], ANA, ship)
    await cancel_order(made["half"], ANA, ship)
    await dock.stock(1, SMALL)
    await retry_order(made["late"], ANA, ship)
    await dock.stock(6)
    made["hit"] = (await dock.place(acme, "key-hit")).order.id
    made["repaid"] = (await dock.place(acme, "key-repaid", quantity=2)).order.id
    made["replaced"] = (await dock.place(acme, "key-replaced")).order.id
    await refund_order(made["repaid"], ANA, ship, items=[2])
    await replace_voucher(made["replaced"], 1, ANA, ship)
    await dock.stock(1, YEN, expires_at=ship.now() + timedelta(days=20))
    await dock.stock(1, YEN, expires_at=ship.now() + timedelta(days=40))
    made["picky"] = (await dock.place(picky, "key-picky", YEN)).order.id
    await dock.stock(1, DINAR)
    made["free"] = (await dock.place(picky, "key-free", DINAR)).order.id
    made["told"] = await told(dock)
    return made


async def told(dock: Dock) -> int:
    """An order whose events are in the feed: one was delivered, one failed, one waits."""
    client = await dock.client("told", {"EUR": "5000.00"})
    recorder = Recorder(down={"https://down.example/hook"})
    heard = recorded(dock, recorder)
    await hook(dock, client, "https://up.example/hook", "order.created")
    await hook(dock, client, "https://down.example/hook", "order.created", "order.pending")
    failing = (await hook(dock, client, "https://off.example/hook", "order.created")).webhook
    await change_webhook(failing.id, Changes(is_active=False), ANA, dock.ship, client_id=None)
    order = (await dock.place(client, "key-told", quantity=60)).order
    await sweep_relay(dock.ship)
    await sweep_deliveries(heard.ship)
    # the others' events wait for their place: then what is planted about them breaks no feed
    await dock.change(
        "UPDATE outbox SET position = NULL, relayed_at = NULL WHERE client_id <> $1", client.id
    )
    return order.id


async def test_every_kind_of_order_is_clean(dock: Dock) -> None:
    """What the flows leave behind breaks no invariant, and the orders are what they are named."""
    made = await every_kind(dock)

    await dock.sound()
    states = dict(
        await dock.sql("SELECT id, status || '/' || coalesce(sub_status, '-') FROM orders")
    )
    assert {name: states[order_id] for name, order_id in made.items()} == {
        "missed": "PENDING/VENDOR_ORDER_PENDING",
        "half": "CANCELLED/PARTIAL",
        "late": "DELIVERED/COMPLETED",
        "unborn": "PENDING/INITIAL",
        "undone": "CANCELLED/-",
        "refused": "CANCELLED/-",
        "bulk": "PARTIALLY_DELIVERED/PARTIAL",
        "hit": "DELIVERED/COMPLETED",
        "repaid": "DELIVERED/COMPLETED",
        "replaced": "DELIVERED/COMPLETED",
        "picky": "DELIVERED/COMPLETED",
        "free": "DELIVERED/COMPLETED",
        "told": "PENDING/INITIAL",
    }


async def test_nothing_at_all_is_clean(dock: Dock) -> None:
    """A new deployment."""
    assert await verify(dock.ship) == []


async def test_it_reads_one_snapshot(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that commits between two of its reads is not seen by half."""
    acme = await dock.client()
    await dock.stock(3)
    await dock.place(acme, "key-before")
    loop = asyncio.get_running_loop()
    wallet: Any = dock.ship.wallet
    balances = wallet.balances

    def meanwhile(tx: Tx, accounts: Any) -> Any:
        placing = dock.place(acme, "key-meanwhile")
        if tx.dialect == "postgresql":
            await_only(placing)
        else:  # this is a reader's thread
            asyncio.run_coroutine_threadsafe(placing, loop).result()
        return balances(tx, accounts)

    monkeypatch.setattr(wallet, "balances", meanwhile)

    assert [str(each) for each in await verify(dock.ship)] == []
    assert await dock.balance(acme) == 95_000


async def test_it_tells_how_far_it_is(dock: Dock) -> None:
    """One step after another, as many as were announced."""
    steps: list[int] = []
    await verify(dock.ship, progress=steps.append)
    assert steps == [1] * STEPS


# --- the same deployment without anything that protects it ---------------------------------------
class Bare(NamedTuple):
    """A deployment whose tables have no constraints: its database, its folder of keys."""

    kind: str
    url: str
    keys: Path
    orders: dict[str, int]


@pytest.fixture(scope="module", params=DATABASES)
def bare(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    redis_of_worker: str,
) -> Iterator[Bare]:
    """Made once: every kind of order, then the tables laid bare."""
    folder = tmp_path_factory.mktemp("bare")
    create_keys(folder / "keys")
    with fresh(request.param, request, folder) as url:
        patch = pytest.MonkeyPatch()
        patch.setattr("starship_core.pool.DEADLINE", 30)
        orders = in_loop(filled(config_of(folder, url, redis_of_worker)))
        patch.undo()
        lay_bare(url)
        yield Bare(request.param, url, folder / "keys", orders)


@contextmanager
def fresh(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if kind == "postgresql":
        server = request.getfixturevalue("postgres_url")
        with _created(server, request.getfixturevalue("postgres_template")) as url:
            yield url
        return
    file = folder / "starship.db"
    shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
    yield f"sqlite:///{file}"


async def filled(file: Path) -> dict[str, int]:
    async with docked(file, ManualClock()) as dock:
        await add_products(dock)
        orders = await every_kind(dock)
        await dock.sound()
    return orders


def lay_bare(url: str) -> None:
    """Rows alone, in tables that refuse nothing."""
    cascade = "CASCADE" if url.startswith("postgresql") else ""
    run_sql(url, *(f"CREATE TABLE bare_{table} AS SELECT * FROM {table}" for table in TABLES))
    run_sql(url, *(f"DROP TABLE {table} {cascade}" for table in reversed(TABLES)))
    run_sql(url, *(f"ALTER TABLE bare_{table} RENAME TO {table}" for table in TABLES))
    if cascade:
        save = (f"CREATE TABLE saved.{table} AS SELECT * FROM {table}" for table in TABLES)
        run_sql(url, "CREATE SCHEMA saved", *save)


def run_sql(url: str, *statements: str) -> None:
    """Straight at the database; SQLite does not look at foreign keys here."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    in_loop(run())


class Copied(NamedTuple):
    """A copy of the bare deployment, and how an operator asks it."""

    url: str
    config: Path
    orders: dict[str, int]

    def plant(self, statement: str) -> None:
        run_sql(self.url, *statement.format(**self.orders).split(";"))

    def verify(self, *options: str) -> Result:
        arguments = ["verify", "--config", str(self.config), *options]
        return CliRunner().invoke(main, arguments)

    def found(self) -> set[str]:
        """What `starship verify --json` says, `I1 voucher 3: what is wrong`: at least one thing."""
        result = self.verify("--json")
        assert result.exit_code == 1, result.output
        listed = msgspec.json.decode(result.stdout, type=dict[str, list[Violation]])
        return {str(each) for each in listed["violations"]}


@pytest.fixture
def copied(bare: Bare, redis_of_worker: str, tmp_path: Path) -> Iterator[Copied]:
    shutil.copytree(bare.keys, tmp_path / "keys", copy_function=shutil.copy2)
    with copy_of(bare, tmp_path) as url:
        yield Copied(url, config_of(tmp_path, url, redis_of_worker), bare.orders)


@contextmanager
def copy_of(bare: Bare, folder: Path) -> Iterator[str]:
    """A file of its own; on PostgreSQL, where making one is slow, the database put right after."""
    if bare.kind == "postgresql":
        yield bare.url
        restore = (f"TRUNCATE {t}; INSERT INTO {t} SELECT * FROM saved.{t}" for t in TABLES)
        run_sql(bare.url, ";".join(restore))
        return
    shutil.copyfile(bare.url.removeprefix("sqlite:///"), folder / "starship.db")
    yield f"sqlite:///{folder / 'starship.db'}"


def test_bare_rows_are_clean(copied: Copied) -> None:
    """The plants below are found in a deployment of which nothing else is said; exit 0."""
    result = copied.verify()
    assert (result.exit_code, result.stdout) == (0, "Every invariant holds.\n")
    result = copied.verify("--json")
    assert (result.exit_code, msgspec.json.decode(result.stdout)) == (0, {"violations": []})


@pytest.mark.parametrize("sound", [SOUND, DECIDED, AHEAD])
def test_a_planned_purchase_is_clean(copied: Copied, sound: str) -> None:
    """What the plants of purchases and decisions begin with breaks nothing."""
    copied.plant(sound)
    assert copied.verify().exit_code == 0


# --- one planted violation for each check --------------------------------------------------------
class Plant(NamedTuple):
    """SQL that makes one row wrong, that row's name, and what else is wrong with it then."""

    statement: str
    row: str
    also: tuple[str, ...] = ()


PLANTS: dict[str, list[Plant]] = {
    "item holds more than one valid voucher": [
        Plant(
            "UPDATE vouchers SET state = 'assigned', order_id = {hit}, ordinal = 1 WHERE id = 64",
            "item {hit}/1",
        ),
    ],
    "has the code of another voucher": [
        Plant(
            "UPDATE vouchers SET fingerprint = (SELECT fingerprint FROM vouchers WHERE id = 59)"
            " WHERE id = 64",
            "voucher 64",
        ),
    ],
    "has the origin of another voucher": [
        Plant("UPDATE vouchers SET origin = 'shelf:u1' WHERE id = 64", "voucher 64"),
    ],
    "names an item that is not delivered": [
        Plant(
            "UPDATE vouchers SET state = 'assigned', order_id = {missed}, ordinal = 1"
            " WHERE id = 64",
            "voucher 64",
        ),
        Plant("UPDATE vouchers SET state = 'assigned' WHERE id = 64", "voucher 64"),
        Plant("UPDATE vouchers SET ordinal = 7 WHERE id = 64", "voucher 64"),
        Plant(
            "UPDATE vouchers SET state = 'blocked', order_id = 99, ordinal = 1 WHERE id = 64",
            "voucher 64",
            ("I6 order 99: was refunded or replaced more often, or less, than its events tell",),
        ),
    ],
    "belongs to an item, and is neither its voucher nor a replaced one": [
        Plant(
            f"UPDATE vouchers SET state = '{state}', order_id = {{hit}}, ordinal = 1 WHERE id = 64",
            "voucher 64",
        )
        for state in ("received", "pooled", "expired", "quarantined")
    ],
    "is of another product, denomination or currency than its order": [
        Plant(f"UPDATE vouchers SET {wrong} WHERE id = 59", "voucher 59")
        for wrong in ("product_id = 2", "denomination = 1000", "currency = 'USD'")
    ],
    "delivered without a valid voucher": [
        Plant(
            "UPDATE vouchers SET state = 'pooled', order_id = NULL, ordinal = NULL WHERE id = 59",
            "item {hit}/1",
        ),
        Plant(
            "UPDATE vouchers SET state = 'blocked' WHERE id = 59",
            "item {hit}/1",
            ("I6 order {hit}: was refunded or replaced more often, or less, than its events tell",),
        ),
    ],
    "was delivered with less validity than the order's minimum": [
        Plant(
            "UPDATE vouchers SET state = 'assigned', order_id = {picky}, ordinal = 1 WHERE id = 65;"
            "UPDATE vouchers SET state = 'pooled', order_id = NULL, ordinal = NULL WHERE id = 66",
            "voucher 65",
        ),
        Plant(
            "UPDATE vouchers SET expires_at = (SELECT min_expiry FROM orders WHERE id = {picky})"
            " WHERE id = 66",
            "voucher 66",
        ),
    ],
    "the debit that pays for it is missing, or of another wallet, amount or currency": [
        Plant(
            "UPDATE transactions SET key = 'order:0:debit' WHERE order_id = {hit}",
            "order {hit}",
            ("I2 transactions 15: the wallet backend has no such entry (order:0:debit)",),
        ),
        Plant(
            "UPDATE transactions SET amount = 2501 WHERE order_id = {hit};"
            "UPDATE orders SET charged = 2501 WHERE id = {missed}",
            "order {missed}",
            (
                (
                    "I2 order {hit}: the debit that pays for it is missing, or of another wallet, "
                    "amount or currency"
                ),
                *(
                    f"I2 order {{{name}}}: the wallet's transactions of the order do not come to "
                    "charged less refunded"
                    for name in ("hit", "missed")
                ),
                (
                    "I2 transactions 15: its balance_after is 97046.25 EUR; the row before and its "
                    "amount make 97046.24 EUR (wallet 1)"
                ),
                (
                    "I2 transactions 15: it moves -25.01 EUR on wallet:1; the wallet backend moved "
                    "-25.00 EUR on wallet:1 (order:{hit}:debit)"
                ),
                "I3 order {missed}: charged 25.01 EUR, priced at 25.00 EUR",
                (
                    "I3 order {missed}: item shares do not sum to the charge, or item refunds not "
                    "to the refund"
                ),
            ),
        ),
    ],
    "the wallet's transactions of the order do not come to charged less refunded": [
        Plant(
            "UPDATE transactions SET order_id = NULL WHERE order_id = {repaid}"
            " AND transaction_type = 'CREDIT'",
            "order {repaid}",
            (
                (
                    "I6 order {repaid}: was refunded or replaced more often, or less, than its "
                    "events tell"
                ),
            ),
        ),
    ],
    "is of another wallet or currency than its order, or its amount is below zero": [
        Plant(
            "UPDATE transactions SET currency = 'USD' WHERE key = 'topup:T-2'",
            "transaction 2",
            (
                (
                    "I2 transactions 2: it moves 1000.00 USD on wallet:2; the wallet backend moved "
                    "1000.00 EUR on wallet:2 (topup:T-2)"
                ),
            ),
        ),
        Plant(
            "UPDATE transactions SET amount = -amount, transaction_type = 'DEBIT'"
            " WHERE key = 'topup:T-2'",
            "transaction 2",
        ),
        Plant(
            "UPDATE transactions SET transaction_type = 'debit' WHERE key = 'reversal:mistaken'",
            "transaction 4",
        ),
        Plant(
            "UPDATE transactions SET order_id = 99 WHERE key = 'topup:T-2'",
            "transaction 2",
            (
                (
                    "I2 transactions 2: it refunds order 99; the wallet backend gave back nothing "
                    "(topup:T-2)"
                ),
            ),
        ),
    ],
    "has the key of another transaction": [
        Plant(
            "UPDATE transactions SET key = 'topup:T-1' WHERE key = 'topup:T-2'",
            "transaction 2",
            (
                (
                    "I2 transactions 2: it moves 1000.00 EUR on wallet:2; the wallet backend moved "
                    "100000.00 EUR on wallet:1 (topup:T-1)"
                ),
            ),
        ),
    ],
    "is not kept under its own account": [
        Plant(
            "INSERT INTO wallets (id, client_id, currency, account, credit_limit)"
            " VALUES (9, 2, 'USD', 'wallet:1', 0)",
            "wallet 9",
            (
                (
                    "I2 wallets 9: it shows 0.00 USD and may go to 0.00 USD; the wallet backend "
                    "has 96996.25 EUR and may go to 0.00 EUR"
                ),
            ),
        ),
    ],
    "is paid from a wallet of another client or currency": [
        Plant(
            "UPDATE wallets SET client_id = 9 WHERE id = 2",
            "order {picky}",
            ("I3 order {free}: is paid from a wallet of another client or currency",),
        ),
    ],
    "refunded more than charged": [
        Plant(
            "UPDATE orders SET refunded = charged + 1 WHERE id = {refused}",
            "order {refused}",
            (
                (
                    "I3 order {refused}: item shares do not sum to the charge, or item refunds not "
                    "to the refund"
                ),
                (
                    "I2 order {refused}: the wallet's transactions of the order do not come to "
                    "charged less refunded"
                ),
            ),
        ),
    ],
    "item shares do not sum to the charge, or item refunds not to the refund": [
        Plant("UPDATE items SET share = share + 1 WHERE order_id = {hit}", "order {hit}"),
        Plant(
            "UPDATE items SET refunded = refunded - 1 WHERE order_id = {repaid} AND ordinal = 2",
            "order {repaid}",
        ),
    ],
    "item shares differ by more than one minor unit": [
        Plant(
            "UPDATE items SET share = share + 1 WHERE order_id = {bulk} AND ordinal = 1;"
            "UPDATE items SET share = share - 1 WHERE order_id = {bulk} AND ordinal = 2",
            "order {bulk}",
        ),
    ],
    "its refund does not fit its status or its share": [
        Plant(
            "UPDATE items SET refunded = 1 WHERE order_id = {missed}",
            "item {missed}/1",
            (
                (
                    "I3 order {missed}: item shares do not sum to the charge, or item refunds not "
                    "to the refund"
                ),
            ),
        ),
        Plant(
            "UPDATE items SET refunded = refunded + 1 WHERE order_id = {refused} AND ordinal = 1;"
            "UPDATE items SET refunded = refunded - 1 WHERE order_id = {refused} AND ordinal = 2",
            "item {refused}/1",
            ("I3 item {refused}/2: its refund does not fit its status or its share",),
        ),
    ],
    "counters or ordinals differ from its items": [
        Plant(
            "UPDATE items SET ordinal = 3 WHERE order_id = {refused} AND ordinal = 2",
            "order {refused}",
        ),
        Plant(
            "UPDATE items SET ordinal = 0 WHERE order_id = {refused} AND ordinal = 1",
            "order {refused}",
            ("I3 order {refused}: has no items",),
        ),
        Plant(
            "DELETE FROM items WHERE order_id = {bulk} AND ordinal = 54;"
            "UPDATE vouchers SET state = 'pooled', order_id = NULL, ordinal = NULL"
            " WHERE order_id = {bulk} AND ordinal = 54",
            "order {bulk}",
            (
                (
                    "I3 order {bulk}: item shares do not sum to the charge, or item refunds not to "
                    "the refund"
                ),
            ),
        ),
        Plant("UPDATE orders SET pending_items = 0 WHERE id = {missed}", "order {missed}"),
        Plant(
            "UPDATE orders SET delivered_quantity = 53, from_cache = 53 WHERE id = {bulk}",
            "order {bulk}",
        ),
    ],
    "has no items": [
        Plant("DELETE FROM items WHERE order_id = {missed}", "order {missed}"),
        Plant(
            "UPDATE orders SET pending_items = 60 WHERE id = {unborn}",
            "order {unborn}",
            ("I3 order {unborn}: sub-status or time of delivery does not fit its status",),
        ),
        Plant(
            "UPDATE orders SET refunded = charged WHERE id = {unborn}",
            "order {unborn}",
            (
                (
                    "I2 order {unborn}: the wallet's transactions of the order do not come to "
                    "charged less refunded"
                ),
            ),
        ),
    ],
    "belongs to no order": [
        Plant(
            "INSERT INTO items (order_id, ordinal, status, share, refunded)"
            " VALUES (99, 1, 'PENDING', 0, 0)",
            "item 99/1",
        ),
    ],
    "was settled and has no time of it, or waits and has one": [
        Plant("UPDATE items SET settled_at = NULL WHERE order_id = {late}", "item {late}/1"),
        Plant("UPDATE items SET settled_at = 1 WHERE order_id = {missed}", "item {missed}/1"),
        Plant(
            "UPDATE items SET status = 'Pending', settled_at = 1 WHERE order_id = {missed}",
            "item {missed}/1",
            ("I3 order {missed}: counters or ordinals differ from its items",),
        ),
    ],
    "status does not fit its counters": [
        Plant("UPDATE orders SET from_cache = 0 WHERE id = {late}", "order {late}"),
        Plant(
            "UPDATE orders SET status = 'DELIVERED', sub_status = 'COMPLETED', delivered_at = 1"
            " WHERE id = {bulk}",
            "order {bulk}",
            ("I6 order {bulk}: an event that its state calls for was never queued",),
        ),
        Plant(
            "UPDATE orders SET status = 'PENDING', sub_status = 'NEEDS_REVIEW' WHERE id = {bulk}",
            "order {bulk}",
        ),
        Plant(
            "UPDATE orders SET status = 'PARTIALLY_DELIVERED', sub_status = 'NEEDS_REVIEW'"
            " WHERE id = {missed}",
            "order {missed}",
        ),
        Plant(
            "UPDATE orders SET status = 'CANCELLED', sub_status = 'PARTIAL' WHERE id = {bulk}",
            "order {bulk}",
            ("I6 order {bulk}: an event that its state calls for was never queued",),
        ),
        Plant("UPDATE orders SET status = 'PLACED' WHERE id = {missed}", "order {missed}"),
    ],
    "sub-status or time of delivery does not fit its status": [
        Plant(f"UPDATE orders SET {wrong} WHERE id = {{{name}}}", f"order {{{name}}}")
        for name, wrong in (
            ("missed", "sub_status = 'INITIAL'"),
            ("missed", "sub_status = 'PARTIAL'"),
            ("missed", "sub_status = NULL"),
            ("missed", "delivered_at = placed_at"),
            ("late", "delivered_at = NULL"),
            ("late", "sub_status = 'PARTIAL'"),
            ("half", "sub_status = NULL"),
            ("undone", "sub_status = 'PARTIAL'"),
            ("bulk", "sub_status = NULL"),
        )
    ],
    "was INSTANT, and yet not delivered when it was placed": [
        Plant("UPDATE orders SET delivered_at = delivered_at + 1 WHERE id = {hit}", "order {hit}"),
        Plant("UPDATE orders SET delivery_time = 'Delayed' WHERE id = {missed}", "order {missed}"),
        Plant(
            "UPDATE orders SET delivery_time = 'INSTANT' WHERE id = {unborn}",
            "order {unborn}",
            (
                (
                    "I8 order {unborn}: was delivered in the answer, and no audit row tells of "
                    "that reveal"
                ),
                "I6 order {unborn}: an event that its state calls for was never queued",
            ),
        ),
    ],
    "was delivered in the answer, and no audit row tells of that reveal": [
        Plant(
            "DELETE FROM audit WHERE action = 'reveal' AND subject = 'order:{hit}'", "order {hit}"
        ),
    ],
    "shares its idempotency key with another order": [
        Plant(
            "UPDATE orders SET idempotency_key = 'key-missed' WHERE id = {hit}",
            "order {hit}",
        ),
    ],
    "shares its reference with another order": [
        Plant(
            "UPDATE orders SET ref = (SELECT ref FROM orders WHERE id = {missed}) WHERE id = {hit}",
            "order {hit}",
        ),
    ],
    "an event that its state calls for was never queued": [
        Plant(
            f"DELETE FROM outbox WHERE order_id = {{{name}}} AND event_type = 'order.{event}'",
            f"order {{{name}}}",
        )
        for name, event in (
            ("missed", "created"),
            ("missed", "pending"),
            ("unborn", "pending"),
            ("hit", "delivered"),
            ("late", "delivered"),
            ("refused", "cancelled"),
            ("half", "cancelled"),
            ("bulk", "partially_delivered"),
        )
    ],
    "tells of a state that never was": [
        Plant(
            "UPDATE outbox SET client_id = 2 WHERE order_id = {hit}"
            " AND event_type = 'order.delivered'",
            "event evt_{hit}_1_order.delivered",
        ),
        Plant(
            "UPDATE outbox SET event_id = 'evt_1' WHERE order_id = {hit}"
            " AND event_type = 'order.delivered'",
            "event evt_1",
        ),
        Plant(
            "UPDATE outbox SET event_type = 'order.delivered',"
            " event_id = 'evt_{half}_3_order.delivered'"
            " WHERE order_id = {half} AND event_type = 'order.cancelled'",
            "event evt_{half}_3_order.delivered",
            ("I6 order {half}: an event that its state calls for was never queued",),
        ),
        Plant(
            "UPDATE outbox SET event_type = 'order.cancelled',"
            " event_id = 'evt_{late}_2_order.cancelled'"
            " WHERE order_id = {late} AND event_type = 'order.delivered'",
            "event evt_{late}_2_order.cancelled",
            ("I6 order {late}: an event that its state calls for was never queued",),
        ),
        *(
            Plant(
                "INSERT INTO outbox (event_id, order_id, client_id, event_type, revision, data,"
                f" created_at) VALUES ('{event}', {order}, 1, '{kind}', {revision}, '{{{{}}}}', 1)",
                f"event {event}",
                (f"I6 order {order}: two events tell of one revision",)
                if kind == "order.partially_delivered"
                else (),
            )
            for event, order, kind, revision in (
                ("evt_99_1_order.created", "99", "order.created", 1),
                ("evt_{hit}_9_order.created", "{hit}", "order.created", 9),
                ("evt_{hit}_0_order.failed", "{hit}", "order.failed", 0),
                (
                    "evt_{unborn}_1_order.partially_delivered",
                    "{unborn}",
                    "order.partially_delivered",
                    1,
                ),
            )
        ),
    ],
    "two events tell of one revision": [
        Plant(
            "UPDATE outbox SET revision = 1, event_id = 'evt_{refused}_1_order.cancelled'"
            " WHERE order_id = {refused} AND event_type = 'order.cancelled'",
            "order {refused}",
        ),
    ],
    "was refunded or replaced more often, or less, than its events tell": [
        Plant(
            "DELETE FROM outbox WHERE order_id = {replaced} AND event_type = 'order.replaced'",
            "order {replaced}",
        ),
        Plant(
            "DELETE FROM outbox WHERE order_id = {repaid} AND event_type = 'order.refunded'",
            "order {repaid}",
        ),
        Plant(
            "UPDATE vouchers SET order_id = NULL, ordinal = NULL"
            " WHERE order_id = {replaced} AND state = 'blocked'",
            "order {replaced}",
        ),
    ],
    "positions in the feed have a gap, or are given twice": [
        Plant(f"UPDATE outbox SET position = {wrong} WHERE order_id = {{told}}", "client 3")
        for wrong in ("position + 1", "position * 2", "1")
    ],
    "has a place in the feed and no time of it, or a time and no place": [
        Plant(
            f"UPDATE outbox SET relayed_at = {time} WHERE event_id = 'evt_{{{name}}}_1_{event}'",
            f"event evt_{{{name}}}_1_{event}",
        )
        for name, event, time in (("told", "order.created", "NULL"), ("hit", "order.created", "7"))
    ],
    "is in the feed, and an endpoint that asked for it has no delivery": [
        Plant(
            "UPDATE webhooks SET updated_at = 0; DELETE FROM deliveries"
            f" WHERE webhook_id = {webhook} AND event_type = '{event}'",
            f"event evt_{{told}}_1_{event}",
        )
        for webhook, event in ((1, "order.created"), (2, "order.pending"), (3, "order.created"))
    ],
    "tells of no event in the feed of its endpoint's client": [
        Plant(f"UPDATE deliveries SET {wrong} WHERE id = 1", "delivery 1")
        for wrong in (
            "event_id = 'evt_{hit}_1_order.created'", "event_id = 'none'",
            "event_type = 'order.pending'", "webhook_id = 99",
        )
    ],
    "is for the same event and endpoint as another one": [
        Plant("INSERT INTO deliveries (id, webhook_id,"
              " event_id, event_type, event_at, status, attempts, error, created_at)"
              " SELECT 98, webhook_id, event_id, event_type, event_at, 'FAILED', 0, 'x', 0"
              " FROM deliveries WHERE id = 2", "delivery 98"),
    ],
    "neither waits, nor was taken, nor has visibly failed": [
        Plant(f"UPDATE deliveries SET {wrong} WHERE id = {which}", f"delivery {which}")
        for which, wrong in (
            (1, "status = 'LOST', due_at = NULL, delivered_at = NULL"),
            (1, "status = 'PENDING', delivered_at = NULL"),
            (1, "due_at = 7"), (1, "delivered_at = NULL"), (3, "error = NULL"),
        )
    ] + [Plant("DELETE FROM delivery_attempts WHERE delivery_id = 1", "delivery 1")],
}  # fmt: skip
PLANTS |= {
    problem: [Plant(*planted) for planted in listed]
    for problem, listed in (BUYING_PLANTS | POLICY_PLANTS).items()
}
_EACH = [
    pytest.param(check, plant, id=f"{check.problem} {n}")
    for check in CHECKS
    for n, plant in enumerate(PLANTS.get(check.problem, [None]))
]


@pytest.mark.parametrize(("check", "plant"), _EACH)
def test_what_is_planted_is_found(copied: Copied, check: Check, plant: Plant | None) -> None:
    """Each check finds what breaks its invariant, names the row, and the command exits 1."""
    assert plant, "a new check needs a plant above that it finds"

    copied.plant(plant.statement)

    row = plant.row.format(**copied.orders)
    also = {sentence.format(**copied.orders) for sentence in plant.also}
    assert copied.found() == {f"{check.invariant} {row}: {check.problem}"} | also


def test_no_plant_is_for_a_check_that_is_gone() -> None:
    """The table above says what it does."""
    assert set(PLANTS) == {check.problem for check in CHECKS}


# --- what is not one query: prices, codes, the money ---------------------------------------------
OTHERS = {
    "charged otherwise than priced": (
        "UPDATE orders SET price = replace(price, '\"tax\":0', '\"tax\":1') WHERE id = {hit}",
        {"I3 order {hit}: charged 25.00 EUR, priced at 25.01 EUR"},
    ),
    "charged in another currency than priced": (
        "UPDATE orders SET price = replace(price, 'EUR', 'USD') WHERE id = {hit}",
        {"I3 order {hit}: charged 25.00 EUR, priced at 25.00 USD"},
    ),
    "a price that cannot be read": (
        "UPDATE orders SET price = 'cheap' WHERE id = {hit}",
        {"I3 order {hit}: its price cannot be read"},
    ),
    "a code that was altered": (
        "UPDATE vouchers SET sealed = 'AAAA' || substr(sealed, 5) WHERE id = 59",
        {"I8 voucher 59: does not open: altered, cut off, or moved from another row"},
    ),
    "a code that was moved": (
        "UPDATE vouchers SET sealed = (SELECT sealed FROM vouchers WHERE id = 59) WHERE id = 64",
        {"I8 voucher 64: does not open: altered, cut off, or moved from another row"},
    ),
    "a code whose key is gone": (
        "UPDATE vouchers SET key_id = 'vlost' WHERE id = 65",
        {"I8 voucher 65: a key that this needs is not in the folder of keys"},
    ),
}


@pytest.mark.parametrize("plant", OTHERS)
def test_prices_and_codes_are_read(copied: Copied, plant: str) -> None:
    """What only a look into the row tells, of every row."""
    statement, expected = OTHERS[plant]
    copied.plant(statement)
    assert copied.found() == {sentence.format(**copied.orders) for sentence in expected}


# the constant that holds the query → what is done, and all that must be said of it
MONEY = {
    "books._CHAIN": (
        "UPDATE transactions SET balance_after = balance_after + 1 WHERE key = 'topup:T-1'",
        {
            (
                "I2 transactions 1: its balance_after is 100000.01 EUR; the row before and its "
                "amount make 100000.00 EUR (wallet 1)"
            ),
            (
                "I2 transactions 3: its balance_after is 100005.00 EUR; the row before and its "
                "amount make 100005.01 EUR (wallet 1)"
            ),
        },
    ),
    "books._ROWS": (
        "UPDATE ledger_transactions SET key = 'topup:T-3' WHERE key = 'topup:T-2'",
        {"I2 transactions 2: the wallet backend has no such entry (topup:T-2)"},
    ),
    "books._WALLETS": (
        "UPDATE wallets SET credit_limit = 500 WHERE id = 1",
        {
            (
                "I2 wallets 1: it shows 96996.25 EUR and may go to -5.00 EUR; the wallet backend "
                "has 96996.25 EUR and may go to 0.00 EUR"
            ),
        },
    ),
    "checks._HALVES": (
        (
            "UPDATE ledger_postings SET minor = minor + 1 WHERE account = 'sales:EUR'"
            " AND transaction_id ="
            " (SELECT id FROM ledger_transactions WHERE key = 'order:{hit}:debit')"
        ),
        {
            (
                "I2 ledger_transactions 15 (order:{hit}:debit): two or more postings that sum to "
                "zero were due; there are 2, and they sum to 0.01 EUR"
            ),
        },
    ),
    "checks._LOOSE": (
        "INSERT INTO ledger_postings (transaction_id, account, minor) VALUES (99, 'sales:EUR', 5)",
        {"I2 ledger_postings 99/sales:EUR: 5 minor units of no transaction"},
    ),
    "checks._SIGNS": (
        "UPDATE ledger_transactions SET kind = 'debit' WHERE key = 'topup:T-2'",
        {
            (
                "I2 ledger_transactions 2 (topup:T-2): a debit moves 1000.00 EUR, which is the "
                "wrong way"
            ),
        },
    ),
    "checks._STRANGERS": (
        "UPDATE ledger_transactions SET currency = 'USD' WHERE key = 'topup:T-2'",
        {
            (
                "I2 ledger_transactions 2 (topup:T-2): no posting on wallet:2, or no such account "
                "in USD"
            ),
            (
                "I2 transactions 2: it moves 1000.00 EUR on wallet:2; the wallet backend moved "
                "1000.00 USD on wallet:2 (topup:T-2)"
            ),
        },
    ),
    "checks._BALANCES": (
        "UPDATE ledger_accounts SET balance = balance + 1 WHERE account = 'wallet:2'",
        {
            (
                "I2 ledger_accounts wallet:2: its balance is 993.76 EUR, its postings sum to "
                "993.75 EUR"
            ),
            (
                "I2 wallets 2: it shows 993.75 EUR and may go to 0.00 EUR; the wallet backend has "
                "993.76 EUR and may go to 0.00 EUR"
            ),
        },
    ),
    "checks._FLOORS": (
        "UPDATE ledger_accounts SET floor = 99376 WHERE account = 'wallet:2'",
        {
            "I2 ledger_accounts wallet:2: its balance is 993.75 EUR, past its floor of 993.76 EUR",
            (
                "I2 wallets 2: it shows 993.75 EUR and may go to 0.00 EUR; the wallet backend has "
                "993.75 EUR and may go to 993.76 EUR"
            ),
        },
    ),
    "checks._EXCESS": (
        (
            "INSERT INTO ledger_transactions (id, key, kind, of_key, account, currency, at) VALUES"
            " (99, 'order:{hit}:again', 'refund', 'order:{hit}:debit', 'wallet:1', 'EUR', 1);"
            "INSERT INTO ledger_postings (transaction_id, account, minor)"
            " VALUES (99, 'wallet:1', 2501), (99, 'sales:EUR', -2501);"
            "UPDATE ledger_accounts SET balance = balance + 2501 WHERE account = 'wallet:1'"
        ),
        {
            "I3 ledger_transactions order:{hit}:debit: 25.01 EUR given back of 25.00 EUR",
            (
                "I2 wallets 1: it shows 96996.25 EUR and may go to 0.00 EUR; the wallet backend "
                "has 97021.26 EUR and may go to 0.00 EUR"
            ),
        },
    ),
    "checks._UNFOUNDED": (
        (
            "UPDATE ledger_transactions SET of_key = 'order:99:debit' WHERE kind = 'refund'"
            " AND of_key = 'order:{repaid}:debit'"
        ),
        {
            (
                "I3 ledger_transactions 18 (order:{repaid}:refund:2): a refund of order:99:debit, "
                "which wallet:1 never had"
            ),
            (
                "I2 transactions 18: it refunds order {repaid}; the wallet backend gave back "
                "order:99:debit (order:{repaid}:refund:2)"
            ),
        },
    ),
}


@pytest.mark.parametrize("query", MONEY)
def test_the_money_is_checked(copied: Copied, query: str) -> None:
    """The ledger's own checks, the chain of balances, and the one held against the other."""
    statement, expected = MONEY[query]
    copied.plant(statement)
    assert copied.found() == {sentence.format(**copied.orders) for sentence in expected}


def test_every_query_about_money_has_a_plant() -> None:
    """A query that is added to one of the two modules fails this without one."""
    reads_for_the_core = {"checks._ENTRIES"}
    queries = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (books, checks)
        for name, value in vars(module).items()
        if isinstance(value, str) and "SELECT" in value
    }
    assert queries - reads_for_the_core == set(MONEY)


def test_a_refund_that_only_the_ledger_knows(copied: Copied) -> None:
    """Money that moved without a line for the client shows in the wallet's balance."""
    copied.plant(
        "INSERT INTO ledger_transactions (id, key, kind, account, currency, at)"
        " VALUES (99, 'gift', 'credit', 'wallet:2', 'EUR', 1);"
        "INSERT INTO ledger_postings (transaction_id, account, minor)"
        " VALUES (99, 'wallet:2', 100), (99, 'top-ups:EUR', -100);"
        "UPDATE ledger_accounts SET balance = balance + 100 WHERE account = 'wallet:2'"
    )
    assert copied.found() == {
        (
            "I2 wallets 2: it shows 993.75 EUR and may go to 0.00 EUR; the wallet backend has "
            "994.75 EUR and may go to 0.00 EUR"
        )
    }


# --- how it answers ------------------------------------------------------------------------------
def test_a_person_reads_a_table(copied: Copied) -> None:
    """Invariant, row and problem; exit 1."""
    copied.plant("UPDATE orders SET status = 'PLACED' WHERE id = {missed}")
    result = copied.verify()
    assert result.exit_code == 1
    assert [line.rstrip().split(maxsplit=3) for line in result.stdout.splitlines()] == [
        ["invariant", "row", "problem"],
        ["I3", "order", str(copied.orders["missed"]), "status does not fit its counters"],
    ]


def test_a_thousand_broken_rows_are_one_problem(copied: Copied) -> None:
    """The list ends where it stops helping."""
    numbers = ", ".join(f"({n}, 1, 'PENDING', 0, 0)" for n in range(1000, 1000 + 3 * MOST))
    copied.plant(f"INSERT INTO items (order_id, ordinal, status, share, refunded) VALUES {numbers}")
    assert len(copied.found()) == MOST
