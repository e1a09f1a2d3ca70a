"""Reconciliation: every kind of finding is planted, found and told with its command; a sound shop
has none.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, get_args

import msgspec
import pytest
import rich_click as click
import structlog
from click.testing import CliRunner, Result

from starship_core.access import Client
from starship_core.cli import COMMANDS, main
from starship_core.clock import micros
from starship_core.errors import Ambiguous, Unavailable
from starship_core.flows.approve_fallback import approve_fallback
from starship_core.flows.buy_purchases import sweep_purchases
from starship_core.flows.deliver_events import sweep_deliveries
from starship_core.flows.relay_events import sweep_relay
from starship_core.model import Accepted, Money, VendorOrder
from starship_core.pool import Pool
from starship_core.reconciliation import finding, stock
from starship_core.reconciliation.finding import MOST, Finding, Kind
from starship_core.reconciliation.orders import waiting_orders
from starship_core.reconciliation.report import (
    OURS,
    Report,
    Subject,
    reconcile,
    sweep_reconcile,
    tell,
)
from starship_core.ship import Ship
from starship_core.store.notices import list_notices, notify
from starship_core.testing.clock import ManualClock
from tests.integration.receivers import Recorder, hook
from tests.integration.scripted import Say, Scripted, at_market
from tests.integration.ships import ANA, CARD, SMALL, Dock

CEILING = Money(10_000, "EUR")
PRICE = Money(2400, "EUR")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "PAUSE", 0)


class Expected(NamedTuple):
    """What has to be found of the kind, and nothing else of it."""

    subject: str
    command: str


@dataclass
class Lister(Scripted):
    """A vendor that also lists our orders and tells our balance."""

    listed: list[VendorOrder] = field(default_factory=list)
    money: list[Money] = field(default_factory=list)
    down: bool = False

    async def orders(self, since: datetime, until: datetime) -> Sequence[VendorOrder]:
        assert since < until
        if self.down:
            raise Unavailable("it gave no answer", retry_after=60)
        return self.listed

    async def balance(self) -> Sequence[Money]:
        return self.money


@dataclass
class Scene:
    """A deployment with a client, a vendor `north` and time that passes when told to."""

    dock: Dock
    ship: Ship
    acme: Client
    clock: ManualClock
    north: Lister

    async def parked(self, key: str = "key-parked") -> int:
        return (await self.dock.place(self.acme, key)).order.id

    async def bought(self, *buys: Say) -> str:
        """An order that is approved, and sent to the vendor; the reference of its purchase."""
        self.north.buys += buys
        order_id = await self.parked("key-bought")
        await approve_fallback(order_id, ANA, self.ship, vendors=["north"], ceiling=CEILING)
        await sweep_purchases(self.ship)
        ((reference,),) = await self.dock.sql("SELECT reference FROM purchases")
        return str(reference)

    def later(self, hours: int) -> None:
        self.clock.advance(hours=hours)

    def configured(self, section: str, **values: Any) -> None:
        changed = msgspec.structs.replace(getattr(self.ship.config, section), **values)
        config = msgspec.structs.replace(self.ship.config, **{section: changed})
        self.ship = dataclasses.replace(self.ship, config=config)


@pytest.fixture
async def scene(dock: Dock, acme: Client, clock: ManualClock) -> Scene:
    north = Lister()
    ship = await at_market(dock, {"north": north})
    return Scene(dock=dock, ship=ship, acme=acme, clock=clock, north=north)


def listed(reference: str, charged: Money | None = PRICE, **facts: Any) -> VendorOrder:
    return VendorOrder(reference=reference, quantity=1, charged=charged, **facts)


def sold(purchase: Any) -> Any:
    return Scripted().sell(purchase, charged=PRICE)


# --- one of each kind ----------------------------------------------------------------------------
async def waiting(scene: Scene) -> Expected:
    order_id = (await scene.dock.place(scene.acme, "key-small", SMALL)).order.id
    await scene.dock.change("DELETE FROM product_vendors")
    scene.later(25)
    command = f"starship pump --as NAME && starship order retry {order_id} --as NAME"
    return Expected(f"order:{order_id}", command)


async def no_debit(scene: Scene) -> Expected:
    order_id = await scene.parked()
    await scene.dock.change("UPDATE transactions SET amount = amount + 1 WHERE order_id > 0")
    return Expected(f"order:{order_id}", f"starship order explain {order_id}")


async def no_order(scene: Scene) -> Expected:
    order_id = await scene.parked()
    key = f"order:{order_id}:debit"
    await scene.dock.change("UPDATE transactions SET order_id = NULL WHERE key = $1", key)
    ((number, wallet),) = await scene.dock.sql(
        "SELECT id, wallet_id FROM transactions WHERE key = $1", key
    )
    command = f"starship wallet credit {wallet} 25.00 --reference repaid-{number} --as NAME"
    return Expected(f"transaction:{number}", command)


async def low_balance(scene: Scene) -> Expected:
    scene.configured("notices", low_balance={"EUR": Decimal("1000.01")})
    return Expected("wallet:1", "starship wallet credit 1 AMOUNT --reference REFERENCE --as NAME")


async def open_purchase(scene: Scene) -> Expected:
    await scene.bought(Accepted(vendor_reference="V-1"))
    scene.later(25)
    return Expected("purchase:1", "starship purchase show 1")


async def in_review(scene: Scene) -> Expected:
    await scene.bought(Ambiguous("who knows"))
    await scene.dock.change("UPDATE purchases SET state = 'NEEDS_REVIEW', due_at = NULL")
    scene.later(25)
    return Expected("purchase:1", "starship purchase resolve 1 --as NAME")


async def unlike_pool(scene: Scene) -> Expected:
    first, *_ = await scene.dock.stock(3)
    await scene.ship.pool.drop(CARD, [first])
    await scene.ship.pool.load(CARD, [(99_999, micros(scene.ship.now()))])
    return Expected("sku:1/25.00/EUR", "starship pump --as NAME")


async def no_redis(scene: Scene) -> Expected:
    scene.ship = dataclasses.replace(scene.ship, pool=Pool(None, prefix="none"))
    return Expected("pool", "starship pump --as NAME")


async def low_stock(scene: Scene) -> Expected:
    scene.configured("notices", low_stock=3)
    await scene.dock.stock(2)
    return Expected("sku:1/25.00/EUR", "starship pump --as NAME")


async def broken_ledger(scene: Scene) -> Expected:
    await scene.dock.change("UPDATE wallets SET credit_limit = credit_limit + 1")
    return Expected("wallets:1", "starship ledger verify")


async def broken_invariant(scene: Scene) -> Expected:
    order_id = await scene.parked()
    await scene.dock.change("UPDATE orders SET sub_status = 'COMPLETED'")
    return Expected(f"order:{order_id}", f"starship order explain {order_id}")


async def disabled(scene: Scene) -> Expected:
    made = (await hook(scene.dock, scene.acme)).webhook
    theirs = (await hook(scene.dock, scene.acme, "https://example.com/theirs")).webhook
    change = "UPDATE webhooks SET is_active = 0, inactive_reason = $2 WHERE id = $1"
    await scene.dock.change(change, made.id, "no answer for 5 days")
    await scene.dock.change(change, theirs.id, "set inactive")
    return Expected(f"webhook:{made.id}", f"starship webhook enable {made.id} --as NAME")


async def failed_delivery(scene: Scene) -> Expected:
    made = (await hook(scene.dock, scene.acme)).webhook
    recorder = Recorder(down={"https://example.com/hook"})
    ship = dataclasses.replace(scene.ship, notifiers={"webhooks": recorder})
    await scene.parked()
    await sweep_relay(ship)
    since = scene.ship.now().isoformat().replace("+00:00", "Z")
    for _ in range(6):
        await sweep_deliveries(ship)
        scene.later(7)
    command = f"starship webhook redeliver {made.id} --since {since} --as NAME"
    return Expected(f"webhook:{made.id}", command)


async def failed_notice(scene: Scene) -> Expected:
    at = scene.ship.now()
    await scene.ship.database.run(
        lambda tx: notify(tx, "test", subject="s", summary="s", text="t", key="k", at=at)
    )
    await scene.dock.change("UPDATE notices SET status = 'FAILED', due_at = NULL")
    return Expected("notice:1", "starship notice list --status FAILED")


async def silent(scene: Scene) -> Expected:
    scene.north.down = True
    return Expected("vendor:north", "starship vendor check north")


async def low_float(scene: Scene) -> Expected:
    least = {"north": {"EUR": Decimal(100), "USD": Decimal(5)}}
    scene.configured("reconcile", low_float=least)
    scene.north.money = [Money(10_000, "EUR"), Money(499, "USD")]
    return Expected("vendor:north", "starship vendor check north")


async def unknown_here(scene: Scene) -> Expected:
    scene.north.listed = [listed("theirs"), listed("failed", failed=True)]
    command = "starship switch off vendor:north --reason REASON --as NAME"
    return Expected("reference:theirs", command)


async def unknown_there(scene: Scene) -> Expected:
    reference = await scene.bought(sold)
    scene.later(2)
    return Expected(f"reference:{reference}", "starship purchase show 1")


async def other_amount(scene: Scene) -> Expected:
    reference = await scene.bought(sold)
    scene.north.listed = [listed(reference, Money(2401, "EUR"))]
    return Expected(f"reference:{reference}", "starship purchase show 1")


async def unseen(scene: Scene) -> Expected:
    scene.ship = dataclasses.replace(scene.ship, wallet=Broken())  # type: ignore[arg-type]  # as little of a wallet as it needs
    return Expected("part:invariants", "starship reconcile")


class Broken:
    """A wallet backend that cannot be asked."""

    def violations(self, _tx: object) -> Sequence[str]:
        raise Unavailable("the ledger is away", retry_after=1)


PLANTS: dict[Kind, Callable[[Scene], Awaitable[Expected]]] = {
    "order.waiting": waiting,
    "order.no_debit": no_debit,
    "debit.no_order": no_order,
    "balance.low": low_balance,
    "purchase.open": open_purchase,
    "purchase.review": in_review,
    "pool.unlike": unlike_pool,
    "pool.away": no_redis,
    "stock.low": low_stock,
    "ledger.broken": broken_ledger,
    "invariant.broken": broken_invariant,
    "webhook.disabled": disabled,
    "delivery.failed": failed_delivery,
    "notice.failed": failed_notice,
    "vendor.silent": silent,
    "float.low": low_float,
    "statement.unknown_here": unknown_here,
    "statement.unknown_there": unknown_there,
    "statement.amount": other_amount,
    "part.unseen": unseen,
}


def test_every_kind_is_planted() -> None:
    """A kind that is added without a test fails this one."""
    assert set(PLANTS) == set(get_args(Kind))


@pytest.mark.parametrize("kind", PLANTS)
async def test_what_is_planted_is_found(scene: Scene, kind: Kind) -> None:
    """Of its kind exactly what was planted, with a command that there is, and one notice a day."""
    subject, command = await PLANTS[kind](scene)
    report = await reconcile(scene.ship)
    found = of_kind(report, kind)
    assert {(each.subject, each.command) for each in found} == {(subject, command)}
    assert all(exists(each.command) for each in report.findings)
    await tell(report, scene.ship)
    notices = await scene.ship.database.read(lambda tx: list_notices(tx, kind=kind, limit=9))
    told = [] if kind in {"balance.low", "stock.low"} else [f"{subject}: {found[0].problem}"]
    assert [each.summary for each in notices] == told
    assert await tell(report, scene.ship) == 0


def of_kind(report: Report, kind: Kind) -> list[Finding]:
    return [each for each in report.findings if each.kind == kind]


def exists(command: str) -> bool:
    """Each of these commands can be called: its words name one."""
    for one in command.split(" && "):
        program, name, *rest = one.split()
        known = main.get_command(click.Context(main), name) if name in COMMANDS else None
        if program != "starship" or known is None:
            return False
        if isinstance(known, click.Group) and rest[0] not in known.commands:
            return False
    return True


# --- a sound shop --------------------------------------------------------------------------------
async def test_a_sound_shop_has_no_findings(scene: Scene) -> None:
    """Orders of today, a purchase that the vendor lists, levels that are kept: all is looked at."""
    reference = await scene.bought(sold)
    scene.later(2)
    scene.north.listed = [listed(reference)]
    scene.north.money = [Money(10_000, "EUR")]
    scene.configured("reconcile", low_float={"north": {"EUR": Decimal(100)}})
    scene.configured("notices", low_stock=1, low_balance={"EUR": Decimal(1)})
    await scene.dock.stock(2)
    await scene.dock.place(scene.acme, "key-hit")
    await scene.dock.place(scene.acme, "key-miss", SMALL)
    report = await reconcile(scene.ship)
    assert [str(each) for each in report.findings] == []
    assert {part.name for part in report.parts if part.looked} == {
        *(subject.name for subject in OURS),
        "balances", "stock", "statement of north", "float at north",
    }  # fmt: skip
    assert await sweep_reconcile(scene.ship) == 0


async def test_what_cannot_be_looked_at_is_said(dock: Dock) -> None:
    """A vendor without a list, and levels that nobody set, are no findings, and say why not."""
    ship = await at_market(dock, {"north": Scripted()})
    report = await reconcile(ship)
    assert report.findings == []
    assert [part.name for part in report.parts if not part.looked] == [
        "balances", "stock", "statement of north", "float at north",
    ]  # fmt: skip
    assert {part.why for part in report.parts if not part.looked} == {
        "this deployment or the plugin says nothing of it"
    }


async def test_a_vendor_that_is_down_stops_nothing(scene: Scene) -> None:
    """The parts before and after it are looked at, and each says whether it was."""
    south = Lister(listed=[listed("theirs")])
    scene.north.down = True
    ship = await at_market(scene.dock, {"north": scene.north, "south": south})
    report = await reconcile(ship)
    assert [each.kind for each in report.findings] == ["vendor.silent", "statement.unknown_here"]
    looked = {part.name: part.looked for part in report.parts}
    assert (looked["statement of north"], looked["statement of south"]) == (False, True)


async def test_a_part_that_fails_hides_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours: a finding that names it and quotes nothing; the log says where."""

    async def broken(_ship: Ship) -> list[Finding]:
        raise RuntimeError("CODE-1234")

    kept = Subject("kept", "what is sound", waiting_orders)
    monkeypatch.setattr(
        "starship_core.reconciliation.report.OURS", (Subject("faulty", "a part", broken), kept)
    )
    with structlog.testing.capture_logs() as logs:
        report = await reconcile(scene.ship)
    (found,) = report.findings
    assert (found.kind, found.subject, found.problem) == (
        "part.unseen", "part:faulty",
        "a part: could not be looked at: it ended with RuntimeError; the log says where",
    )  # fmt: skip
    assert [part.looked for part in report.parts[:2]] == [False, True]
    assert [(each["event"], each["part"]) for each in logs] == [("reconcile.part_failed", "faulty")]


# --- causes, bounds, notices ---------------------------------------------------------------------
async def test_why_an_order_waits_and_what_is_next(scene: Scene) -> None:
    """Its purchase, the pool, a vendor, or nothing: each with its own command."""
    dock = scene.dock
    order_id = await scene.parked()
    scene.later(25)

    async def command() -> str:
        (found,) = of_kind(await reconcile(scene.ship), "order.waiting")
        return found.command

    approve = f"starship order approve {order_id} --vendor north"
    assert (await command()).startswith(f"{approve} --ceiling AMOUNT")
    ids = await dock.stock(1)
    assert await command() == f"starship order retry {order_id} --as NAME"
    await dock.change("UPDATE vouchers SET expires_at = $1", micros(scene.ship.now()))
    assert (await command()).startswith(approve)
    await scene.ship.pool.drop(CARD, ids)
    scene.north.buys = [Accepted(vendor_reference="V-1")]
    await approve_fallback(order_id, ANA, scene.ship, vendors=["north"], ceiling=CEILING)
    assert await command() == "starship purchase show 1"
    await sweep_purchases(scene.ship)
    await dock.change("UPDATE purchases SET state = 'NEEDS_REVIEW', due_at = NULL")
    assert await command() == "starship purchase resolve 1 --as NAME"


async def test_what_is_young_is_not_late(scene: Scene) -> None:
    """At the very hour nothing is told yet, a moment later it is."""
    await scene.bought(Accepted(vendor_reference="V-1"))
    scene.later(24)
    assert of_kind(await reconcile(scene.ship), "order.waiting") == []
    assert of_kind(await reconcile(scene.ship), "purchase.open") == []
    scene.clock.advance(seconds=1)
    report = await reconcile(scene.ship)
    assert [len(of_kind(report, kind)) for kind in ("order.waiting", "purchase.open")] == [1, 1]


async def test_many_are_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are told, oldest first; the rest is one finding that counts."""
    for n in range(5):
        await scene.parked(f"key-{n:04}")
    scene.later(25)
    monkeypatch.setattr("starship_core.reconciliation.orders.MOST", 2)
    found = of_kind(await reconcile(scene.ship), "order.waiting")
    assert [(each.subject, each.count) for each in found] == [
        ("order:1", 1), ("order:2", 1), ("more", 3),
    ]  # fmt: skip
    assert found[-1].problem == "and 3 more of these, told when those before are mended"


def test_nothing_is_left_when_all_are_told() -> None:
    """No row, and as many as are told, leave no rest."""
    assert finding.told([], waiting) == []  # type: ignore[arg-type]  # nobody is asked
    assert finding.rest([], -MOST) == []


async def test_a_finding_is_told_again_tomorrow(scene: Scene) -> None:
    """Once a day, as long as nobody mends it."""
    await scene.parked()
    scene.later(25)
    assert [await sweep_reconcile(scene.ship), await sweep_reconcile(scene.ship)] == [1, 0]
    scene.later(24)
    assert await sweep_reconcile(scene.ship) == 1


async def test_two_things_of_one_vendor_are_two_notices(scene: Scene) -> None:
    """Each currency that is low, however much lower it gets on the same day."""
    least = {"north": {"EUR": Decimal(100), "USD": Decimal(5)}}
    scene.configured("reconcile", low_float=least)
    assert [await sweep_reconcile(scene.ship), await sweep_reconcile(scene.ship)] == [2, 0]
    scene.north.money = [Money(1, "EUR")]
    assert await sweep_reconcile(scene.ship) == 0


async def test_an_order_on_its_way_is_no_difference(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Redis misses at the first look only, because an order holds it, is not told."""
    (one,) = await scene.dock.stock(1)
    await scene.ship.pool.drop(CARD, [one])

    async def put_back(_seconds: float) -> None:
        await scene.ship.pool.load(CARD, [(one, 9)])

    monkeypatch.setattr(stock, "asyncio", type("Clock", (), {"sleep": put_back}))
    assert of_kind(await reconcile(scene.ship), "pool.unlike") == []


async def test_the_statement_knows_what_we_hold_for_not_bought(scene: Scene) -> None:
    """Sold there and closed here as not bought: paid, and perhaps bought twice."""
    reference = await scene.bought(Ambiguous("who knows"))
    await scene.dock.change(
        "UPDATE purchases SET state = 'NOT_BOUGHT', due_at = NULL, closed_at = 9"
    )
    await scene.dock.change("UPDATE purchase_items SET is_open = 0")
    scene.north.listed = [listed(reference)]
    (found,) = of_kind(await reconcile(scene.ship), "statement.unknown_here")
    assert found.problem == "north sold us 24.00 EUR for 1 units; purchase 1 is NOT_BOUGHT"
    assert found.command == "starship purchase show 1"


async def test_a_sale_that_the_vendor_calls_failed(scene: Scene) -> None:
    """Bought here, and it failed there; one without an amount is compared with none."""
    reference = await scene.bought(sold)
    scene.later(2)
    scene.north.listed = [listed(reference, None, failed=True)]
    (found,) = (await reconcile(scene.ship)).findings
    assert found.kind == "statement.unknown_there"
    assert found.problem == "purchase 1 is BOUGHT, and north lists it as failed"
    scene.north.listed = [listed(reference, None)]
    assert (await reconcile(scene.ship)).findings == []


# --- the command ---------------------------------------------------------------------------------
async def run(dock: Dock, *words: str) -> Result:
    arguments = ["reconcile", "--config", str(dock.ship.config.path), *words]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


async def test_exit_codes_for_cron(dock: Dock) -> None:
    """0: nothing found; 1: something was, with its command; 2: it could not be run."""
    result = await run(dock)
    assert (result.exit_code, "Nothing found." in result.stdout) == (0, True)
    (one,) = await dock.stock(1)
    await dock.ship.pool.drop(CARD, [one])
    result = await run(dock)
    assert (result.exit_code, "starship pump --as NAME" in result.stdout) == (1, True)
    dock.ship.config.path.write_text('[database]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n')
    result = await run(dock, "--json")
    assert (result.exit_code, set(msgspec.json.decode(result.stdout))) == (2, {"error"})


async def test_a_fault_of_ours_is_no_traceback(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    """2, with the class and the places; not what the fault quotes."""

    def broken(_ship: Ship) -> None:
        raise RuntimeError("CODE-1234")

    monkeypatch.setattr("starship_core.reconciliation.report.subjects", broken)
    result = await run(dock)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this should not happen: RuntimeError" in result.stderr
    assert "CODE-1234" not in result.stderr


async def test_the_document(dock: Dock) -> None:
    """Every part, whether it was looked at, and its findings; `--notify` tells operators."""
    (one,) = await dock.stock(1)
    await dock.ship.pool.drop(CARD, [one])
    document = msgspec.json.decode((await run(dock, "--json", "--notify")).stdout)
    assert (document["found"], document["notices"]) == (1, 1)
    parts = {part["name"]: part for part in document["parts"]}
    assert (parts["orders"]["looked"], parts["orders"]["findings"]) == (True, [])
    assert parts["pool"]["findings"] == [
        {
            "kind": "pool.unlike",
            "subject": "sku:1/25.00/EUR",
            "problem": "Redis misses 1 vouchers that are on sale, and has 0 that are not",
            "command": "starship pump --as NAME",
            "aspect": "",
            "count": 1,
        }
    ]
    assert parts["stock"]["looked"] is False
