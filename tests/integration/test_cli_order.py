"""`starship order …`, as an operator calls it against a real deployment."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main
from starship_core.clock import utc_now
from starship_core.flows.cancel_order import cancel_order
from starship_core.flows.retry_order import retry_order
from starship_core.flows.verify import verify
from starship_core.testing.fixtures import in_loop
from tests.integration.ships import ANA, CARD, SMALL, Dock, add_products, docked, written

REQUEST = re.compile(r"cli-[0-9a-f]{32}")
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Shop:
    """A deployment on disk: `prepare` works in it as clients do, calling it as operators do."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.made = 0

    def __call__(self, *arguments: str, operator: str | None = "ben") -> Result:
        """`starship order …`; whatever it prints, no code is in it."""
        environment = {"STARSHIP_CONFIG": str(self.config), "STARSHIP_OPERATOR": operator}
        result = CliRunner().invoke(main, ["order", *arguments], env=environment)
        assert "CODE-" not in result.output
        return result

    def json(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return msgspec.json.decode(result.stdout)

    def lines(self, *arguments: str, operator: str | None = "ben") -> list[str]:
        """For a person; blanks at the ends of lines are no matter."""
        result = self(*arguments, operator=operator)
        assert result.exit_code == 0, result.output
        return [line.rstrip() for line in result.stdout.splitlines()]

    def prepare(self, work: Callable[[Dock], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with docked(self.config, utc_now) as dock:
                dock.shelf.made = self.made
                try:
                    return await work(dock)
                finally:
                    self.made = dock.shelf.made

        return in_loop(run())

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.prepare(lambda dock: dock.sql(statement))]

    def audited(self) -> list[tuple[Any, ...]]:
        """(actor, action, subject, reason, before, after) of what operators did to orders."""
        rows = self.sql(
            "SELECT request_id, actor, action, subject, reason, before, after FROM audit"
            " WHERE action LIKE 'order.%' ORDER BY id"
        )
        assert all(REQUEST.fullmatch(row[0]) for row in rows), rows
        return [
            (*row[1:5], msgspec.json.decode(row[5]), msgspec.json.decode(row[6])) for row in rows
        ]


@pytest.fixture
def shop(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    """With three products and nothing else."""
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)
    shop = Shop(written(tmp_path, database_url, redis_url))
    shop.prepare(add_products)
    return shop


async def three_orders(dock: Dock) -> None:
    """1: two units at once, of acme; 2: one that waits, of acme; 3: sixty that wait, of zeta."""
    acme = await dock.client("acme")
    zeta = await dock.client("zeta", {"EUR": "5000.00"})
    await dock.stock(2)
    await dock.place(acme, "key-0001", quantity=2, ref="acme-77")
    await dock.place(acme, "key-0002", SMALL, ref="acme-78")
    await dock.place(zeta, "key-0003", quantity=60, ref="acme-77")


def facts(status: str, sub_status: str | None, counts: tuple[int, int], revision: int,
          refunded: int = 0) -> dict[str, Any]:  # fmt: skip
    """What an audit row keeps of an order; `counts`: delivered, pending."""
    return {
        "status": status, "sub_status": sub_status, "delivered": counts[0], "pending": counts[1],
        "refunded": refunded, "revision": revision,
    }  # fmt: skip


# --- list and show -------------------------------------------------------------------------------
DOCUMENT = {
    "id": 1, "reference_code": "acme-77", "status": "DELIVERED", "sub_status": "COMPLETED",
    "product_id": 1, "denomination": "25.00", "quantity": 2, "amount": "50.00",
    "amount_currency": "EUR", "refunded_amount": "0.00", "delivered_quantity": 2,
    "pendingItems": 0, "fulfilledFromCache": 2, "revision": 1, "client_id": 1,
}  # fmt: skip


def test_show(shop: Shop) -> None:
    """Everything of the order but its codes; the same for a person."""
    shop.prepare(three_orders)

    document = shop.json("show", "1")
    lines = shop.lines("show", "1")

    assert document.pop("placed_at") == document.pop("delivered_at")
    assert document == DOCUMENT
    shown = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert datetime.fromisoformat(shown.pop("placed_at")).utcoffset() == timedelta()
    assert shown.pop("delivered_at").endswith("Z")
    assert shown == {key: str(value) for key, value in DOCUMENT.items()}
    assert shop.json("show", "2")["delivered_at"] is None


def test_list(shop: Shop) -> None:
    """Oldest first, over all clients; every filter by itself and two together."""
    shop.prepare(three_orders)

    def ids(*options: str) -> list[int]:
        return [each["id"] for each in shop.json("list", *options)]

    assert ids() == [1, 2, 3]
    assert ids("--status", "pending") == [2, 3]
    assert ids("--status", "CANCELLED") == []
    assert ids("--client", "1") == [1, 2]
    assert ids("--client", "9") == []
    assert ids("--ref", "acme-77") == [1, 3]
    assert ids("--ref", "acme-77", "--client", "2") == [3]
    assert ids("--limit", "2") == [1, 2]
    assert ids("--older-than", "1") == []
    shop.prepare(lambda dock: dock.change(
        "UPDATE orders SET placed_at = placed_at - 7200000000 WHERE id = 3"
    ))  # fmt: skip
    assert ids("--older-than", "1") == [3]
    assert ids() == [3, 1, 2]
    assert [line.split() for line in shop.lines("list", "--client", "1")] == [
        ["id", "client", "ref", "sku", "qty", "status", "delivered", "pending", "charged"],
        ["1", "1", "acme-77", "1/25.00/EUR", "2", "DELIVERED", "2", "0", "50.00", "EUR"],
        ["2", "1", "acme-78", "1/10.00/EUR", "1", "PENDING", "0", "1", "10.00", "EUR"],
    ]


# --- what changes an order -----------------------------------------------------------------------
def test_retry(shop: Shop) -> None:
    """The pool again: nothing, then some of it, then the rest; each try is written down."""
    shop.prepare(three_orders)
    shop.prepare(lambda dock: dock.stock(40))

    assert shop.json("retry", "2")["status"] == "PENDING"
    part = shop.json("retry", "3", "--reason", "stock came")
    assert (part["status"], part["delivered_quantity"], part["pendingItems"]) == (
        "PARTIALLY_DELIVERED", 40, 20,
    )  # fmt: skip
    shop.prepare(lambda dock: dock.stock(20))
    whole = shop.json("retry", "3", "--as", "ana")
    assert (whole["status"], whole["delivered_quantity"], whole["revision"]) == ("DELIVERED", 60, 3)

    assert shop.audited() == [
        ("operator:ben", "order.retry", "order:2", "",
         facts("PENDING", "VENDOR_ORDER_PENDING", (0, 1), 2),
         facts("PENDING", "VENDOR_ORDER_PENDING", (0, 1), 2)),
        ("operator:ben", "order.retry", "order:3", "stock came",
         facts("PENDING", "INITIAL", (0, 0), 2),
         facts("PARTIALLY_DELIVERED", "PARTIAL", (40, 20), 2)),
        ("operator:ana", "order.retry", "order:3", "",
         facts("PARTIALLY_DELIVERED", "PARTIAL", (40, 20), 3),
         facts("DELIVERED", "COMPLETED", (60, 0), 3)),
    ]  # fmt: skip
    assert shop.prepare(lambda dock: verify(dock.ship)) == []


def test_cancel(shop: Shop) -> None:
    """What waits is refunded: all of one order, the rest of another."""
    shop.prepare(three_orders)

    whole = shop.json("cancel", "2", "--reason", "out of print")
    assert (whole["status"], whole["sub_status"], whole["refunded_amount"]) == (
        "CANCELLED", None, "10.00",
    )  # fmt: skip
    shop.prepare(lambda dock: dock.stock(58))
    shop.json("retry", "3")
    lines = shop.lines("cancel", "3")
    shown = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert (shown["status"], shown["sub_status"]) == ("CANCELLED", "PARTIAL")
    assert (shown["refunded_amount"], shown["delivered_quantity"]) == ("50.00", "58")

    assert shop.audited()[0] == (
        "operator:ben", "order.cancel", "order:2", "out of print",
        facts("PENDING", "VENDOR_ORDER_PENDING", (0, 1), 2),
        facts("CANCELLED", None, (0, 0), 2, refunded=1000),
    )  # fmt: skip
    assert shop.sql("SELECT id, charged, refunded FROM orders ORDER BY id") == [
        (1, 5000, 0), (2, 1000, 1000), (3, 150_000, 5000),
    ]  # fmt: skip
    assert shop.prepare(lambda dock: verify(dock.ship)) == []


def test_refund(shop: Shop) -> None:
    """One item, then what is left; a third time there is nothing."""
    shop.prepare(three_orders)

    one = shop.json("refund", "1", "--item", "2", "--reason", "code was used")
    assert (one["status"], one["refunded_amount"], one["revision"]) == ("DELIVERED", "25.00", 2)
    again = shop("refund", "1", "--item", "2")
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == (
        "Error: order 1: item 2 is not delivered, or was refunded before\n"
    )  # fmt: skip
    rest = shop.json("refund", "1")
    assert rest["refunded_amount"] == "50.00"
    none = shop("refund", "1")
    assert none.stderr == (
        "Error: order 1: all that is delivered was refunded before\n"
    )  # fmt: skip

    assert shop.audited() == [
        ("operator:ben", "order.refund", "order:1", "code was used",
         facts("DELIVERED", "COMPLETED", (2, 0), 2),
         facts("DELIVERED", "COMPLETED", (2, 0), 2, refunded=2500) | {"items": [2]}),
        ("operator:ben", "order.refund", "order:1", "",
         facts("DELIVERED", "COMPLETED", (2, 0), 3, refunded=2500),
         facts("DELIVERED", "COMPLETED", (2, 0), 3, refunded=5000) | {"items": [1]}),
    ]  # fmt: skip
    assert shop.prepare(lambda dock: verify(dock.ship)) == []


def test_replace(shop: Shop) -> None:
    """Another voucher for the item; the bad one is blocked under the reason, and stays so."""
    shop.prepare(three_orders)
    short = shop("replace", "1", "2", "--reason", "code was used")
    assert short.stderr == "Error: there is no other voucher of 1/25.00/EUR in the pool\n"
    shop.prepare(lambda dock: dock.stock(1))

    document = shop.json("replace", "1", "2", "--reason", "code was used")

    assert (document["status"], document["revision"]) == ("DELIVERED", 2)
    assert shop.sql(
        "SELECT id, state, state_reason, order_id, ordinal FROM vouchers ORDER BY id"
    ) == [
        (1, "assigned", None, 1, 1), (2, "blocked", "code was used", 1, 2),
        (3, "assigned", None, 1, 2),
    ]  # fmt: skip
    assert shop.audited() == [
        ("operator:ben", "order.replace", "order:1", "code was used", {"item": 2, "voucher": 2},
         facts("DELIVERED", "COMPLETED", (2, 0), 2) | {"item": 2, "voucher": 3}),
    ]  # fmt: skip
    assert shop.prepare(lambda dock: verify(dock.ship)) == []


# --- errors --------------------------------------------------------------------------------------
@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        *((f"{verb} 99", "there is no order 99")
          for verb in ("show", "explain", "retry", "cancel", "refund")),
        ("replace 99 1", "there is no order 99"),
        ("retry 1", "order 1 is DELIVERED and cannot be retried"),
        ("cancel 1", "order 1 is DELIVERED and cannot be cancelled"),
        ("refund 2", "order 2 is PENDING and cannot be refunded"),
        ("refund 1 --item 3", "order 1: item 3 is not delivered, or was refunded before"),
        ("refund 1 --item 0 --item 1", "order 1: item 0 is not delivered, or was refunded before"),
        ("replace 2 1", "order 2 is PENDING and cannot be given another voucher"),
        ("replace 1 3", "item 3 of order 1 holds no voucher"),
    ],
)  # fmt: skip
def test_refusals(shop: Shop, command: str, complaint: str) -> None:
    """Exit 1, one sentence on stderr and in the document, and nothing has happened."""
    shop.prepare(three_orders)
    shop.prepare(lambda dock: dock.stock(1))
    before = shop.sql("SELECT id, status, revision, refunded FROM orders ORDER BY id")

    result = shop(*command.split(), "--json")

    assert result.exit_code == 1
    assert result.stderr == f"Error: {complaint}\n"
    assert msgspec.json.decode(result.stdout)["error"]["problems"] == [complaint]
    assert shop.sql("SELECT id, status, revision, refunded FROM orders ORDER BY id") == before
    assert shop.audited() == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "command",
    ["show", "show one", "retry 1 2", "list --status LOST", "list --limit 0", "refund 1 --item x",
     "replace 1", "list --older-than -1"],
)  # fmt: skip
def test_wrong_calls(shop: Shop, command: str) -> None:
    """Exit 2, with the usage."""
    result = shop(*command.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("command", ["retry 2", "cancel 2", "refund 1", "replace 1 1"])
def test_changes_have_an_operator(shop: Shop, command: str) -> None:
    """Without a name nothing is done."""
    result = shop(*command.split(), operator=None)
    assert result.exit_code == 2
    told = " ".join(result.stderr.replace("│", " ").split())
    assert "add --as NAME, or set STARSHIP_OPERATOR." in told


@pytest.mark.parametrize("verb", ["", "list", "show", "explain", "retry", "cancel", "refund",
                                  "replace"])  # fmt: skip
def test_every_command_explains_itself(verb: str) -> None:
    """With an example that one can copy."""
    result = CliRunner().invoke(main, ["order", *verb.split(), "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert f"starship order {verb}".rstrip() in result.stdout


# --- explain -------------------------------------------------------------------------------------
def told(lines: list[str]) -> list[str]:
    """Without times, and with single blanks."""
    return [" ".join(SECOND.sub("", line).split()) for line in lines]


def test_explain_an_order_that_waits(shop: Shop) -> None:
    """Why it waits, what there is for it now, and the very commands that help."""

    async def waiting(dock: Dock) -> None:
        picky = await dock.client("picky", min_validity_days=30)
        await dock.place(picky, "key-0001", quantity=5, ref="p-1")
        await dock.stock(2)
        await dock.stock(3, CARD, utc_now() + timedelta(days=20))
        await dock.stock(1, SMALL)
        await dock.stock(4)
        for number, state in ((7, "received"), (8, "blocked"), (9, "quarantined"), (10, "expired")):
            await dock.change("UPDATE vouchers SET state = $1 WHERE id = $2", state, number)

    shop.prepare(waiting)

    assert told(shop.lines("explain", "1", operator=None)) == [
        "Order 1, p-1, of picky: PENDING (VENDOR_ORDER_PENDING)",
        "5 × Card (1/25.00/EUR): 0 delivered, 5 waiting",
        "charged 125.00 EUR to wallet 1, refunded 0.00 EUR",
        "",
        (
            "Why: the pool did not hold all of it, and an order is delivered whole or parked; "
            "no vendor was asked."
        ),
        (
            "Stock now: 2 in the pool can serve it, 3 more expire too soon for this client, "
            "1 received and not on sale before the next pump, 2 blocked or quarantined."
        ),
        "",
        "at what by detail",
        "debit – 125.00 EUR",
        "order.created – accepted; the wallet was debited",
        "order.pending – the pool did not hold all of it; no vendor was called",
        "",
        "Next:",
        "deliver the 2 that the pool holds; the rest goes on waiting",
        "starship order retry 1 --as NAME",
        "put 1 received ones on sale, then retry",
        "starship pump --as NAME",
        "bring in 2 more, then retry",
        "starship stock import FILE.csv --as NAME",
        "give the money for the 5 that wait back, and close it",
        'starship order cancel 1 --reason "…" --as NAME',
    ]
    document = shop.json("explain", "1")
    assert document["stock"] == {"servable": 2, "too_short": 3, "received": 1, "held_back": 2}
    assert document["next"][0] == {
        "what": "deliver the 2 that the pool holds; the rest goes on waiting",
        "command": "starship order retry 1",
    }
    assert (document["pending"], document["client"], document["hands"]) == (5, "picky", [])


def test_explain_says_when_there_is_enough(shop: Shop) -> None:
    """Then one command is all it takes; a bulk order tells of itself."""

    async def enough(dock: Dock) -> None:
        await three_orders(dock)
        await dock.stock(60)

    shop.prepare(enough)

    lines = told(shop.lines("explain", "3"))

    assert lines[4:6] == [
        (
            "Why: an order of more than 50 units is parked; its first retry allocates what the "
            "pool holds."
        ),
        "Stock now: 60 in the pool can serve it.",
    ]
    assert lines[-5:] == [
        "Next:",
        "deliver it: the pool holds enough",
        "starship order retry 3",
        "give the money for the 60 that wait back, and close it",
        'starship order cancel 3 --reason "…"',
    ]
    assert shop.json("retry", "3")["status"] == "DELIVERED"
    assert told(shop.lines("explain", "3"))[4] == "Why: all of it was delivered, later, by a retry."


def test_explain_names_every_hand(shop: Shop) -> None:
    """Codes that were shown, a replacement, a refund, with who, why and when; then what is left."""

    async def handled(dock: Dock) -> None:
        await three_orders(dock)
        await dock.stock(1)

    shop.prepare(handled)
    shop("replace", "1", "2", "--reason", "code was used")
    shop("refund", "1", "--item", "1", "--reason", "as well")

    lines = told(shop.lines("explain", "1"))

    assert lines[4:] == [
        "Why: all of it was delivered, at once.",
        "",
        "at what by detail",
        "debit – 50.00 EUR",
        "order.created – accepted; the wallet was debited",
        "order.delivered – every unit was allocated from the pool",
        "codes shown credential:1 req-key-0001",
        "replace operator:ben code was used",
        "order.replaced – a bad voucher was replaced by another",
        "refund operator:ben as well",
        "credit – 25.00 EUR",
        "order.refunded – an operator refunded delivered units",
        "",
        "Next:",
        "give an item whose code is bad another voucher",
        'starship order replace 1 ITEM --reason "…"',
        "or give the money for it back",
        'starship order refund 1 --item ITEM --reason "…"',
    ]
    hands = shop.json("explain", "1")["hands"]
    assert [(hand["actor"], hand["action"], hand["reason"]) for hand in hands] == [
        ("credential:1", "reveal", ""),
        ("operator:ben", "order.replace", "code was used"),
        ("operator:ben", "order.refund", "as well"),
    ]
    assert REQUEST.fullmatch(hands[1]["request_id"])


def test_explain_what_is_over(shop: Shop) -> None:
    """A cancelled order says who cancelled it and why, and that nothing is left to do."""
    shop.prepare(three_orders)
    shop("cancel", "2", "--reason", "out of print")
    shop.prepare(lambda dock: cancel_order(3, ANA, dock.ship))

    lines = told(shop.lines("explain", "2"))

    assert lines[4] == (
        "Why: cancelled by operator:ben: out of print; what was not delivered was refunded."
    )
    assert not [line for line in lines if line.startswith(("Stock now", "Next"))]
    assert shop.json("explain", "3")["next"] == []


def test_explain_a_retry_that_was_cut_short(shop: Shop) -> None:
    """Between two chunks of a bulk order the process ended; a retry goes on from there."""

    async def cut_short(dock: Dock) -> None:
        await three_orders(dock)
        await dock.stock(60)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("starship_core.flows.retry_order.CHUNK", 50)
            patch.setattr("starship_core.flows.retry_order.time", Stops())
            with pytest.raises(Stopped):
                await retry_order(3, ANA, dock.ship)

    shop.prepare(cut_short)

    assert told(shop.lines("explain", "3"))[:5] == [
        "Order 3, acme-77, of zeta: PARTIALLY_DELIVERED (VENDOR_ORDER_PENDING)",
        "60 × Card (1/25.00/EUR): 50 delivered, 10 waiting",
        "charged 1500.00 EUR to wallet 2, refunded 0.00 EUR",
        "",
        "Why: a retry was cut short.",
    ]
    assert shop.json("retry", "3")["status"] == "DELIVERED"


class Stopped(BaseException):
    """The process is gone."""


class Stops:
    """A clock that is read once at the start and once after the first chunk."""

    def __init__(self) -> None:
        self.read = 0

    def monotonic(self) -> float:
        self.read += 1
        if self.read > 1:
            raise Stopped
        return 0.0


def test_explain_names_the_file_that_was_named(shop: Shop) -> None:
    """A command that can be copied works from where it was shown."""
    shop.prepare(three_orders)
    lines = told(shop.lines("explain", "2", "--config", str(shop.config)))
    assert lines[-1] == f'starship order cancel 2 --reason "…" --config {shop.config}'
