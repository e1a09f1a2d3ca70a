"""The pump on real databases and a real Redis: what comes in, what stays out, and any crash."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from starship_core import Secret, Sku, Unavailable, Voucher, Want
from starship_core.audit import By
from starship_core.catalogue import Catalogue, touch
from starship_core.database import PostgreSQL, SQLite
from starship_core.errors import WrongState
from starship_core.flows.pump_inventory import pump, rehearse
from starship_core.lease import leased
from starship_core.pool import Pool
from starship_core.ship import Ship
from starship_core.testing.clock import ManualClock
from starship_core.vault import Code, Vault, create_keys

BY = By(actor="operator:test")
TEN = Sku(1, 1000, "EUR")
ANY = Sku(2, 3750, "EUR")
URL = Sku(3, 500, "JPY")
SOON = datetime(2027, 6, 30, tzinfo=UTC)


@dataclass
class Source:
    """Hands over what it was given until it is confirmed; does what it is told on the way."""

    units: Sequence[Any]
    recalls: Sequence[str] = ()
    before: Callable[[int], None] = lambda _at: None
    confirmed: list[str] = field(default_factory=list)
    wants: Sequence[Want] = ()
    unconfirmed: bool = False
    notes: tuple[int, int, Sequence[str]] = (0, 0, ())

    async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        self.wants = wants
        for at, unit in enumerate(self.units):
            self.before(at)
            if getattr(unit, "reference", None) not in self.confirmed:
                yield unit

    async def confirm(self, references: Sequence[str]) -> None:
        if self.unconfirmed:
            raise Unavailable("the source is away")
        self.confirmed.extend(references)

    async def recalled(self) -> Sequence[str]:
        return self.recalls

    def passed_over(self) -> tuple[int, int, Sequence[str]]:
        return self.notes


def unit(reference: str, sku: Sku = TEN, **others: Any) -> Voucher:
    values: dict[str, Any] = {"card_number": Secret(f"card-{reference}")}
    return Voucher(sku=sku, reference=reference, **(values | others))


def units(count: int, start: int = 1, sku: Sku = TEN) -> list[Voucher]:
    return [unit(f"r{number}", sku) for number in range(start, start + count)]


def seed(tx: Any) -> None:
    """Product 1 of fixed denominations, 2 of a range, 3 of claim URLs in yen, 4 switched off."""
    tx.execute("INSERT INTO categories (id, name, slug, created_at, updated_at)"
               " VALUES (1, 'c', 'c', 0, 0)")  # fmt: skip
    for number, currency, kind, active in (
        (1, "EUR", "code", 1), (2, "EUR", "code", 1), (3, "JPY", "claim_url", 1),
        (4, "EUR", "code_with_pin", 0),
    ):  # fmt: skip
        tx.execute(
            "INSERT INTO products (id, code, name, category_id, currency, delivery_type, is_active,"
            " created_at, updated_at) VALUES ($1, $2, $2, 1, $3, $4, $5, 0, 0)",
            number, f"p{number}", currency, kind, active,
        )  # fmt: skip
    for row in ((1, 1000, 1000), (1, 2000, 2000), (2, 500, 5000), (3, 500, 500), (4, 100, 100)):
        tx.execute("INSERT INTO denominations (product_id, min_value, max_value)"
                   " VALUES ($1, $2, $3)", *row)  # fmt: skip
    touch(tx)


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laden machine must not look like a hung Redis, and nobody waits long for a lease."""
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)


@pytest.fixture
async def ship(
    database: PostgreSQL | SQLite, redis_url: str, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Ship]:
    await database.run(seed)
    create_keys(tmp_path / "keys")
    pool = Pool(redis_url, prefix="test")
    yield cast(
        "Ship",
        SimpleNamespace(
            database=database, pool=pool, now=clock, vault=Vault.open(tmp_path / "keys"),
            catalogue=Catalogue(database, clock), sources={},
        ),
    )  # fmt: skip
    await pool.close()


async def rows(ship: Ship, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(row) for row in await ship.database.read(lambda tx: tx.execute(text, *parameters))
    ]


async def states(ship: Ship) -> dict[str, str]:
    return dict(await rows(ship, "SELECT origin, state FROM vouchers"))


async def on_sale(ship: Ship, sku: Sku = TEN) -> set[int]:
    """By the table, which Redis must agree with."""
    found = {
        row[0]
        for row in await rows(
            ship,
            "SELECT id FROM vouchers WHERE state = 'pooled' AND product_id = $1",
            sku.product_id,
        )
    }
    assert await ship.pool.members(sku) == found
    return found


def counts(report: Any, source: str = "shop") -> dict[str, int]:
    return next(dict(one.counts) for one in report.sources if one.source == source)


# --- the straight way ----------------------------------------------------------------------------
async def test_units_come_into_stock_pool_and_redis_and_are_confirmed(ship: Ship) -> None:
    """2,300 units, more than two chunks: each sealed to its own id, on sale, told to its source."""
    source = Source([*units(2300), unit("u1", ANY), unit("c1", URL, card_number=None,
                    claim_url=Secret("https://c.example/1"), expires_at=SOON,
                    voucher_reference_number="VR-1")])  # fmt: skip
    seen: list[int] = []

    report = await pump(ship, by=BY, sources={"shop": source}, progress=seen.append)

    assert counts(report) == {"taken": 2302}
    assert (sum(seen), report.pooled, report.pool, report.failed) == (2302, 2302, "equal", False)
    assert len(source.confirmed) == 2302
    assert {(want.sku, want.quantity > 0) for want in source.wants} == {
        (TEN, True), (Sku(1, 2000, "EUR"), True), (URL, True),
    }  # fmt: skip
    assert len(await on_sale(ship)) == 2300
    assert {one.sku: (one.taken, one.on_sale) for one in report.skus} == {
        "1/10.00/EUR": (2300, 2300), "2/37.50/EUR": (1, 1), "3/500/JPY": (1, 1),
    }  # fmt: skip
    (row,) = await rows(
        ship, "SELECT id, denomination, currency, sealed, key_id, voucher_reference_number,"
        " expires_at, state FROM vouchers WHERE origin = 'shop:c1'",
    )  # fmt: skip
    voucher_id, sealed, key_id = row[0], row[3], row[4]
    assert row[1:3] + row[5:] == (500, "JPY", "VR-1", 1_814_313_600_000_000, "pooled")
    assert ship.vault.reveal(voucher_id, sealed, key_id) == Code(
        None, None, Secret("https://c.example/1")
    )


async def test_the_same_units_again_change_nothing(ship: Ship) -> None:
    """A source that forgot its confirmations offers everything twice; one audit row, not two."""
    await pump(ship, by=BY, sources={"shop": Source(units(5))})
    before = await rows(ship, "SELECT * FROM vouchers ORDER BY id")

    report = await pump(ship, by=BY, sources={"shop": Source(units(5))})

    assert counts(report) == {"already here": 5}
    assert await rows(ship, "SELECT * FROM vouchers ORDER BY id") == before
    assert await rows(ship, "SELECT actor, action FROM audit") == [("operator:test", "stock.pump")]


async def test_nothing_shows_a_code(ship: Ship) -> None:
    """Neither the tables nor the report nor Redis hold one in plain text."""
    canary = Secret("CANARY-1")
    source = Source(
        [unit("a", card_number=canary), unit("b", Sku(9, 1, "EUR"), card_number=canary),
         unit("c", ANY, card_number=canary), unit("d", card_number=canary)]
    )  # fmt: skip
    report = await pump(ship, by=BY, sources={"shop": source})
    tables = [
        await rows(ship, f"SELECT * FROM {name}") for name in ("vouchers", "quarantine", "audit")
    ]
    assert "CANARY" not in repr((report, tables, await ship.pool.suggest([(TEN, 5)])))


async def test_a_rehearsal_tells_the_same_and_writes_nothing(ship: Ship) -> None:
    """Dry run: counts as the real one's; no row, no confirmation, no entry in Redis."""
    units_ = [*units(3), unit("bad", Sku(1, 1, "EUR")), unit("r9", card_number=Secret("card-r1"))]
    source = Source(units_)

    rehearsed = await rehearse(ship, sources={"shop": source})

    assert source.confirmed == []
    assert await states(ship) == {}
    assert await rows(ship, "SELECT name FROM counters WHERE name <> 'catalogue'") == []
    assert await ship.pool.skus() == set()
    real = await pump(ship, by=BY, sources={"shop": source})
    assert counts(rehearsed) == counts(real) == {"taken": 3, "quarantined": 1, "duplicate": 1}


# --- what must stay out --------------------------------------------------------------------------
async def test_what_is_not_sold_is_never_pooled(ship: Ship) -> None:
    """Wrong currency, a denomination not offered, a missing part: kept, but quarantined."""
    source = Source([
        unit("money", Sku(1, 1000, "USD")), unit("value", Sku(1, 1001, "EUR")),
        unit("part", URL), unit("pin", Sku(4, 100, "EUR")), unit("range", Sku(2, 5001, "EUR")),
    ])  # fmt: skip
    report = await pump(ship, by=BY, sources={"shop": source})
    assert counts(report) == {"quarantined": 5}
    assert {(remark.reference, remark.reason) for remark in report.sources[0].remarks} == {
        ("money", "p1 is sold in EUR"),
        ("value", "p1 is not offered in 10.01 EUR"),
        ("part", "p3 needs a claim_url"),
        ("pin", "p4 needs a pin_code"),
        ("range", "p2 is not offered in 50.01 EUR"),
    }
    assert set((await states(ship)).values()) == {"quarantined"}
    assert await ship.pool.skus() == set()
    assert len(source.confirmed) == 5


NOT_VOUCHERS = [
    unit("product", Sku(99, 1000, "EUR")),
    unit("nothing", card_number=None),
    unit("blank", card_number=Secret("  ")),
    unit("nul", card_number=Secret("a\0b")),
    unit("surrogate", card_number=Secret("a\udc80b")),
    unit("long", card_number=Secret("9" * 3000)),
    unit("naive", expires_at=datetime(2030, 1, 1)),  # noqa: DTZ001  # on purpose
    unit("number", voucher_reference_number="a\0"),
    unit("plain", card_number="not a Secret"),
    unit("minor", Sku(1, 10.0, "EUR")),  # type: ignore[arg-type]  # on purpose
    unit("zero", Sku(1, 0, "EUR")),
    unit("huge", Sku(1, 2**70, "EUR")),
    unit("nul\0"),
    unit(""),
    unit("x" * 201),
    {"reference": "a dict"},
    None,
]


async def test_what_is_no_voucher_is_refused_and_spoils_no_neighbour(ship: Ship) -> None:
    """Whatever a plugin hands over, its neighbours are taken, and it is offered again."""
    source = Source([unit("good"), *NOT_VOUCHERS, unit("better")])
    report = await pump(ship, by=BY, sources={"shop": source})
    assert counts(report) == {"taken": 2, "refused": len(NOT_VOUCHERS)}
    assert source.confirmed == ["good", "better"]
    reasons = {remark.reference: remark.reason for remark in report.sources[0].remarks}
    assert reasons["product"] == "there is no product 99"
    assert reasons["nul"] == "has a code with characters that cannot be printed"
    assert reasons["naive"] == "has an expiry without a time zone"
    assert reasons["plain"] == "has a code that is not a Secret"


async def test_a_code_from_another_origin_blocks_both(ship: Ship) -> None:
    """The newcomer goes aside, the older one out of pool and Redis; a sold one stays sold."""
    await pump(ship, by=BY, sources={"shop": Source(units(3))})
    first, second, third = sorted(await on_sale(ship))
    await ship.database.run(sell, second)

    report = await pump(
        ship, by=BY,
        sources={"other": Source([unit("x", card_number=Secret("CARD r1")),
                                  unit("y", card_number=Secret("card-r2"))])},
    )  # fmt: skip

    assert counts(report, "other") == {"duplicate": 2}
    assert report.blocked_as_duplicates == 1
    assert await rows(ship, "SELECT id, state, state_reason FROM vouchers ORDER BY id") == [
        (first, "blocked", "duplicate of other:x"),
        (second, "assigned", None),
        (third, "pooled", None),
    ]
    assert await on_sale(ship) == {third}
    aside = await rows(
        ship,
        "SELECT id, origin, voucher_id, reason, sealed, key_id FROM quarantine ORDER BY origin",
    )
    assert [row[1:4] for row in aside] == [
        ("other:x", first, "duplicate of shop:r1"), ("other:y", second, "duplicate of shop:r2"),
    ]  # fmt: skip
    assert ship.vault.reveal(aside[0][0], aside[0][4], aside[0][5]).card_number == Secret("CARD r1")
    assert await rows(ship, "SELECT subject, after FROM audit WHERE action = 'stock.block'") == [
        (f"voucher:{first}", '{"state":"blocked","reason":"duplicate of other:x"}')
    ]

    again = await pump(
        ship, by=BY, sources={"other": Source([unit("x", card_number=Secret("CARD r1"))])}
    )
    assert counts(again, "other") == {"already here": 1}


async def test_a_code_twice_in_one_delivery_is_a_duplicate(ship: Ship) -> None:
    """Also within one chunk; the first comer is blocked with it."""
    source = Source([unit("a"), unit("b", card_number=Secret("card-a")), unit("c")])
    report = await pump(ship, by=BY, sources={"shop": source})
    assert counts(report) == {"taken": 2, "duplicate": 1}
    assert await states(ship) == {"shop:a": "blocked", "shop:c": "pooled"}
    assert len(await on_sale(ship)) == 1


async def test_a_reference_with_another_code_is_refused_aloud(ship: Ship) -> None:
    """A source that reuses a name would otherwise lose units in silence."""
    await pump(ship, by=BY, sources={"shop": Source([unit("a")])})
    source = Source(
        [unit("a", card_number=Secret("another")), unit("b"), unit("b", card_number=Secret("z"))]
    )
    report = await pump(ship, by=BY, sources={"shop": source})
    assert counts(report) == {"taken": 1, "refused": 2}
    assert "with another code" in report.sources[0].remarks[0].reason
    assert source.confirmed == ["b"]
    assert await states(ship) == {"shop:a": "pooled", "shop:b": "pooled"}


async def test_the_same_reference_from_two_sources_is_two_units(ship: Ship) -> None:
    """A reference is unique within its source only."""
    sources = {"one": Source([unit("a")]), "two": Source([unit("a", card_number=Secret("z"))])}
    await pump(ship, by=BY, sources=sources)
    assert await states(ship) == {"one:a": "pooled", "two:a": "pooled"}


def sell(tx: Any, voucher_id: int) -> None:
    """Assign a voucher the short way: an order with one item."""
    tx.execute("INSERT INTO clients (id, name, created_at) VALUES (1, 'x', 0)")
    tx.execute("INSERT INTO wallets (id, client_id, currency, account, created_at, updated_at)"
               " VALUES (1, 1, 'EUR', 'a', 0, 0)")  # fmt: skip
    tx.execute(
        "INSERT INTO orders (id, client_id, idempotency_key, fingerprint, ref, product_id,"
        " product_name, currency, denomination, quantity, wallet_id, amount_currency, charged,"
        " price, min_expiry, status, delivery_time, placed_at, updated_at)"
        " VALUES (1, 1, 'k', 'f', 'r', 1, 'p', 'EUR', 1000, 1, 1, 'EUR', 1000, '{}', 0,"
        " 'DELIVERED', 'INSTANT', 0, 0)"
    )
    tx.execute("INSERT INTO items (order_id, ordinal, status, share) VALUES (1, 1, 'DELIVERED', 1)")
    tx.execute("UPDATE vouchers SET state = 'assigned', order_id = 1, ordinal = 1 WHERE id = $1",
               voucher_id)  # fmt: skip


# --- expiry and recall ---------------------------------------------------------------------------
async def test_expired_units_leave_stock_and_pool(ship: Ship, clock: ManualClock) -> None:
    """At the very moment, not after it; what came too late is kept as expired."""
    soon = unit("soon", expires_at=clock.advance(days=1))
    later = unit("later", expires_at=clock.advance(days=1))
    clock.advance(days=-2)
    await pump(ship, by=BY, sources={"shop": Source([soon, later, unit("ever")])})
    clock.set(soon.expires_at)
    report = await pump(ship, by=BY, sources={"shop": Source([unit("late", expires_at=clock())])})
    assert (report.expired, counts(report)) == (1, {"expired": 1})
    assert await states(ship) == {
        "shop:soon": "expired", "shop:late": "expired",
        "shop:later": "pooled", "shop:ever": "pooled",
    }  # fmt: skip
    assert len(await on_sale(ship)) == 2


async def test_recalled_units_are_blocked_before_and_after_they_come(ship: Ship) -> None:
    """Undelivered ones leave the pool with their reason; sold ones stay sold."""
    await pump(ship, by=BY, sources={"shop": Source(units(3))})
    first, second, _ = sorted(await on_sale(ship))
    await ship.database.run(sell, second)
    source = Source(units(2, start=4), recalls=["r1", "r2", "r4", "never seen"])
    report = await pump(ship, by=BY, sources={"shop": source})
    assert (report.recalled, counts(report)) == (1, {"recalled": 1, "taken": 1})
    assert dict(await rows(ship, "SELECT origin, state FROM vouchers ORDER BY id")) == {
        "shop:r1": "blocked", "shop:r2": "assigned", "shop:r3": "pooled",
        "shop:r4": "blocked", "shop:r5": "pooled",
    }  # fmt: skip
    reasons = await rows(ship, "SELECT DISTINCT state_reason FROM vouchers WHERE state = 'blocked'")
    assert reasons == [("recalled by shop",)]
    assert first not in await on_sale(ship)


# --- sources that fail ---------------------------------------------------------------------------
async def test_a_source_that_fails_is_reported_and_the_others_go_on(ship: Ship) -> None:
    """What it gave before is kept; the fault's text, which may hold a code, is not told."""

    def explode(at: int) -> None:
        if at == 2:
            raise RuntimeError("while reading card-r3")

    broken, sound = Source(units(5), before=explode), Source(units(1, start=9))
    report = await pump(ship, by=BY, sources={"broken": broken, "sound": sound})
    assert (counts(report, "broken"), counts(report, "sound")) == ({"taken": 2}, {"taken": 1})
    assert [source.fault for source in report.sources] == ["pull: RuntimeError", None]
    assert report.failed


async def test_units_that_cannot_be_confirmed_are_taken_all_the_same(ship: Ship) -> None:
    """They are offered again, and their origin is known then."""
    report = await pump(ship, by=BY, sources={"shop": Source(units(2), unconfirmed=True)})
    assert report.sources[0].fault == "confirm: Unavailable: the source is away"
    assert counts(report) == {"taken": 2}
    assert counts(await pump(ship, by=BY, sources={"shop": Source(units(2))})) == {
        "already here": 2
    }


async def test_a_source_that_hangs_is_left_after_its_deadline(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The units it gave are on sale; it is closed and not waited for."""
    closed = []

    class Hanging(Source):
        async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
            try:
                yield unit("first")
                await asyncio.Event().wait()
            finally:
                closed.append(True)

    monkeypatch.setattr("starship_core.stock.pulling.PORT_SECONDS", 0.2)
    report = await pump(ship, by=BY, sources={"shop": Hanging([])})
    assert report.sources[0].fault == "pull: TimeoutError (no answer in 0.2 s)"
    assert (len(await on_sale(ship)), closed) == (1, [True])


async def test_what_a_source_could_not_read_is_in_the_report(ship: Ship) -> None:
    """Its own words, and the units that it knows to be here."""
    source = Source(units(1), notes=(40, 1, ["stock.csv line 3: has no denomination"]))
    report = await pump(ship, by=BY, sources={"shop": source})
    assert counts(report) == {"taken": 1, "already here": 40}
    assert (report.sources[0].unreadable, report.sources[0].unread) == (
        1, ["stock.csv line 3: has no denomination"],
    )  # fmt: skip


# --- Redis ---------------------------------------------------------------------------------------
async def test_redis_is_made_to_agree_with_the_table(ship: Ship) -> None:
    """Flushed, stale, or with what nobody put there: after the next pump set equals table."""
    await pump(ship, by=BY, sources={"shop": Source(units(6))})
    pooled = sorted(await on_sale(ship))
    await ship.pool.drop(TEN, pooled[:2])
    await ship.pool.load(TEN, [(777, 1)])
    await ship.pool.load(Sku(55, 1, "EUR"), [(888, 1)])

    report = await pump(ship, by=BY, sources={})

    assert (report.pool, report.repaired) == ("repaired", 4)
    assert await on_sale(ship) == set(pooled)
    assert await ship.pool.skus() == {TEN}
    assert (await pump(ship, by=BY, sources={})).pool == "equal"


async def test_without_redis_everything_else_happens(ship: Ship, redis_url: str) -> None:
    """On sale in SQL, where the claim looks; the next pump with a Redis loads it."""
    ship = cast("Ship", SimpleNamespace(**vars(ship)))
    away = Pool("unix:///nowhere/redis.sock", prefix="test")
    there, ship.pool = ship.pool, away  # type: ignore[misc]  # a record, but in this test
    report = await pump(ship, by=BY, sources={"shop": Source(units(3))})
    assert (report.pool, report.pooled, counts(report)) == ("away", 3, {"taken": 3})
    ship.pool = there  # type: ignore[misc]
    report = await pump(ship, by=BY, sources={})
    assert (report.pool, report.repaired, len(await on_sale(ship))) == ("repaired", 3, 3)


# --- two pumps, and crashes ----------------------------------------------------------------------
async def test_two_pumps_do_not_run_at_once(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused; one whose holder died is taken over when its lease is over."""
    monkeypatch.setattr("starship_core.lease.PATIENCE", 0)
    lease = leased("pump", ship.database, ship.now, patience=0)
    await lease.__aenter__()
    with pytest.raises(WrongState, match="another pump is running"):
        await pump(ship, by=BY, sources={})
    await lease.__aexit__(None, None, None)
    assert counts(await pump(ship, by=BY, sources={"shop": Source(units(1))})) == {"taken": 1}


async def test_two_pumps_at_once_are_right_even_without_the_lease(ship: Ship) -> None:
    """The lease is politeness: what both bring is taken once."""
    many = units(300)
    ships = [cast("Ship", SimpleNamespace(**vars(ship))) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for number, one in enumerate(ships):
            one.now = FreeOfLeases(ship.now, number)  # type: ignore[misc]  # a record, but in this test
            group.create_task(pump(one, by=BY, sources={"shop": Source(many)}))
    assert len(await on_sale(ship)) == 300
    assert await rows(ship, "SELECT * FROM quarantine") == []


class FreeOfLeases:
    """A clock so far ahead of the others' that their leases look over."""

    def __init__(self, clock: Callable[[], datetime], days: int) -> None:
        self.clock, self.days = clock, days

    def __call__(self) -> datetime:
        return self.clock().replace(day=1 + self.days)


class Killed(BaseException):
    """As SIGKILL: nothing of this process happens any more."""


class Dying:
    """Wraps what a pump works with; from its n-th call on nothing gets through."""

    def __init__(self, calls: int, *, after: bool) -> None:
        self.left = calls
        self.after = after
        self.made = 0

    def wrap(self, thing: Any, names: Iterable[str]) -> Any:
        dying = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                real = getattr(thing, name)
                return dying.guarded(real) if name in names else real

        return Wrapped()

    def guarded(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            self.made += 1
            if self.made > self.left or (self.made == self.left and not self.after):
                raise Killed
            outcome = await real(*arguments)
            if self.made == self.left:
                self.left = 0
                raise Killed
            return outcome

        return call


async def test_killed_anywhere_and_run_again_it_is_right(ship: Ship, clock: ManualClock) -> None:
    """Before and after every call of database, pool and source: the next run makes it good."""
    await pump(ship, by=BY, sources={"shop": Source([*units(3), unit("dies", expires_at=SOON)])})
    clock.set(SOON)
    points, at = 0, 0
    while True:
        at += 1
        finished = 0
        for after in (False, True):
            new = [unit(f"{at}-{after}-{n}") for n in range(3)]
            twin = unit(f"{at}-{after}-twin", card_number=Secret(f"card-{at}-{after}-0"))
            source = Source([*new, twin], recalls=["r3"])
            dying = Dying(at, after=after)
            mortal = cast("Ship", SimpleNamespace(**vars(ship)))
            mortal.database = dying.wrap(ship.database, ("run", "read"))  # type: ignore[misc]  # a record, but in this test
            mortal.pool = dying.wrap(ship.pool, ("load", "drop", "members", "skus", "ping"))  # type: ignore[misc]
            told = dying.wrap(source, ("confirm", "recalled"))
            try:
                await pump(mortal, by=BY, sources={"shop": told})
                finished += 1
            except Killed:
                points += 1
            clock.advance(seconds=20)  # until the lease of the dead is over
            await pump(ship, by=BY, sources={"shop": source})
            found = await states(ship)
            assert [found[f"shop:{one.reference}"] for one in new] == [
                "blocked",
                "pooled",
                "pooled",
            ]
            assert f"shop:{twin.reference}" not in found
            assert set(source.confirmed) == {one.reference for one in [*new, twin]}
            await on_sale(ship)
        if finished == 2:
            break
    assert points >= 20, "the calls of a pump, before and after each"
    assert found["shop:dies"] == "expired"
    assert found["shop:r3"] == "blocked"
    assert len(await rows(ship, "SELECT id FROM quarantine")) == 2 * at
