from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from starship_core import catalogue as catalogue_module
from starship_core.audit import By
from starship_core.catalogue import Catalogue, Denomination, Snapshot, touch
from starship_core.errors import InvalidInput, Unavailable
from starship_core.flows.import_products import Imported, Refused, import_products
from starship_core.ship import Ship
from starship_core.snapshot import build, read_rows
from starship_core.testing.clock import ManualClock

BY = By(actor="operator:ana", reason="spring range", request_id="r-1")
EXAMPLE = Path(__file__).parents[2] / "examples" / "catalogue" / "products.csv"
HEADER = "code,name,category,subcategory,country,currency,denominations,discount\n"
TEA = "tea,Tea House,Food & drink,Tea,GB,GBP,10.00;20.00@3;50-100,2.5\n"
YEN = "yen,Kissaten,food & DRINK,,JP,JPY,500;1000,\n"

Write = Callable[[str], Path]


@pytest.fixture
def ship(database: Any, clock: ManualClock) -> Ship:
    return cast("Ship", SimpleNamespace(database=database, now=clock))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str, name: str = "products.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


async def snapshot(ship: Ship) -> Snapshot:
    return build(await ship.database.read(read_rows), ship.now())


async def table(ship: Ship, statement: str) -> list[tuple[Any, ...]]:
    rows = await ship.database.read(lambda tx: tx.execute(statement))
    return [tuple(row) for row in rows]


# --- import ---------------------------------------------------------------------------------------


async def test_the_example_catalogue_is_imported_once(ship: Ship) -> None:
    """200 products; the same file again changes nothing, and says so."""
    assert await import_products(EXAMPLE, BY, ship) == Imported(200, 0, 0)
    first = await snapshot(ship)
    assert await import_products(EXAMPLE, BY, ship) == Imported(0, 0, 200)
    second = await snapshot(ship)
    assert (len(first.products), first.products == second.products) == (200, True)
    assert (first.version, second.version) == (1, 2)


async def test_an_imported_product_is_what_the_line_says(ship: Ship, write: Write) -> None:
    """Currencies, countries and categories come into being with their names and stay one each."""
    await import_products(write(HEADER + TEA + YEN), BY, ship)
    found = await snapshot(ship)
    tea, yen = found.products.values()
    assert tea.denominations == (
        Denomination(1000, 1000),
        Denomination(2000, 2000, Decimal(3)),
        Denomination(5000, 10000),
    )
    assert (tea.code, tea.currency, tea.discount) == ("tea", "GBP", Decimal("2.5"))
    assert yen.denominations == (Denomination(500, 500), Denomination(1000, 1000))
    assert (yen.category_id, yen.subcategory_id) == (tea.category_id, None)
    shelves = [(c.name, c.slug, c.parent_id, c.product_count) for c in found.categories.values()]
    assert shelves == [
        ("Food & drink", "food-drink", None, 2),
        ("Tea", "food-drink--tea", tea.category_id, 1),
    ]
    assert {(c.code, c.name, c.currency_code) for c in found.countries.values()} == {
        ("GB", "United Kingdom", "GBP"),
        ("JP", "Japan", "JPY"),
    }
    assert {
        (c.code, c.name, c.symbol, c.decimal_places, c.denominations)
        for c in found.currencies.values()
    } == {
        ("GBP", "British Pound", "£", 2, (1000, 2000)),
        ("JPY", "Japanese Yen", "¥", 0, (500, 1000)),
    }


async def test_a_second_import_keeps_ids_and_what_its_file_leaves_out(
    ship: Ship, write: Write, clock: ManualClock
) -> None:
    """Upsert by code: absent columns and absent products stay; an empty cell is emptied."""
    await import_products(write(HEADER + TEA + YEN), BY, ship)
    before = await snapshot(ship)
    clock.advance(days=1)
    changed = "code,name,category,currency,denominations,discount\ntea,Tea,Food & drink,GBP,10,\n"
    assert await import_products(write(changed), BY, ship) == Imported(0, 1, 0)
    after = await snapshot(ship)
    old, new = before.products[1], after.products[1]
    assert (new.id, new.name, new.discount) == (old.id, "Tea", None)
    assert new.denominations == (Denomination(1000, 1000),)
    assert (new.country_id, new.subcategory_id) == (old.country_id, old.subcategory_id)
    assert after.products[2] == before.products[2]
    assert await table(ship, "SELECT created_at, updated_at FROM products ORDER BY id") == [
        (1_798_761_600_000_000, 1_798_848_000_000_000),
        (1_798_761_600_000_000, 1_798_761_600_000_000),
    ]


async def test_an_import_leaves_one_audit_row_with_before_and_after(
    ship: Ship, write: Write
) -> None:
    """Who, why, from which file, and what was changed from what to what."""
    await import_products(write(HEADER + TEA), BY, ship)
    await import_products(write(HEADER + TEA.replace("2.5", "4") + YEN), BY, ship)
    rows = await table(
        ship, "SELECT actor, action, subject, reason, before, after, request_id FROM audit"
    )
    actor, action, subject, reason, before, after, request_id = rows[1]
    assert (len(rows), actor, action, subject, reason, request_id) == (
        2, "operator:ana", "product.import", "catalogue", "spring range", "r-1",
    )  # fmt: skip
    facts = json.loads(after)
    assert len(facts.pop("sha256")) == 64
    assert json.loads(before) == {"tea": {"discount": "2.5"}}
    assert facts == {
        "file": "products.csv",
        "added": ["yen"],
        "changed": {"tea": {"discount": "4"}},
    }


async def test_all_problems_are_told_with_their_lines_and_nothing_is_written(
    ship: Ship, write: Write
) -> None:
    """One bad line keeps the whole file out, and whoever wrote it sees every problem at once."""
    rows = (
        "good,Good,Food,,GB,GBP,10.00,",
        "two,,Food,,GB,GBP,10.00,",
        'three,"a\nname",Food,,XX,GBP,10.001,',
        "four,Four,Food,,GB,XXZ,10,101",
        "bad code,Five,!!!,,GB,GBP,10;10.0,-1",
        "six,Six,Food,,GB,GBP,5-10;10-20,",
        "seven,Seven,Food,,GB,GBP,20-10;1e3;0,",
        "good,Again,Food,,GB,GBP,10.00,",
        "short,Short",
        "eleven,Eleven,Food,,gb,JPY,10.50,2.55555",
    )
    with pytest.raises(Refused) as refused:
        await import_products(write(HEADER + "\n".join(rows)), BY, ship)
    assert refused.value.problems == [
        "line 3: name is missing",
        "line 4: country: 'XX' is no ISO 3166 country of two capital letters",
        "line 4: denominations: 10.001 has more than the 2 decimals of GBP",
        "line 6: currency: 'XXZ' is no ISO 4217 currency",
        "line 6: discount: '101' is no percentage from 0 to 100",
        "line 7: code: 'bad code' must be letters, digits and . _ -, at most 64",
        "line 7: category: '!!!' has no letter or digit in it",
        "line 7: discount: '-1' is no percentage from 0 to 100",
        "line 7: denominations: one is there twice",
        "line 8: denominations: two ranges overlap",
        "line 9: denominations: '20-10' begins above its end",
        "line 10: code good is on line 2, too",
        "line 11: 2 cells, but the header has 8",
        "line 12: country: 'gb' is no ISO 3166 country of two capital letters",
        "line 12: discount: '2.55555' is no percentage from 0 to 100",
        "line 12: denominations: 10.50 has more than the 0 decimals of JPY",
    ]
    for name in ("products", "categories", "countries", "currencies", "audit", "counters"):
        assert await table(ship, f"SELECT count(*) FROM {name}") == [(0,)], name


async def test_a_product_keeps_its_currency_for_life(ship: Ship, write: Write) -> None:
    """Vouchers and orders hold the currency, so a file that changes it is refused as a whole."""
    await import_products(write(HEADER + TEA), BY, ship)
    with pytest.raises(Refused) as refused:
        await import_products(write(HEADER + YEN + TEA.replace("GBP", "EUR")), BY, ship)
    assert refused.value.problems == [
        (
            "line 3: currency: tea is in GBP, and that cannot change; "
            "give the EUR one a code of its own"
        )
    ]
    assert await table(ship, "SELECT code FROM products") == [("tea",)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "", "p.txt: a catalogue file is a .csv or a .json"),
        ("p.csv", "", "p.csv: the first line must name the columns; missing: code, name, "),
        ("p.csv", "code;name\n", "p.csv: the first line must name the columns; missing: "),
        ("p.csv", HEADER.replace("country", "land"), "line 1: no such column: land; there are "),
        ("p.csv", HEADER.replace("discount", "name"), "line 1: a column is there twice"),
        ("p.csv", HEADER + 'a,"b"c,d', "line 2: "),
        ("p.json", "{}", "p.json: must be a JSON array of products"),
        ("p.json", '[\n{"code": "a"},\n{"code" "b"}]', "line 3: this is not JSON"),
        ("p.json", '[{"code": "a"}\n', "line 1: a product must be followed by , or ]"),
        ("p.json", "[] []", "p.json: something follows the array of products"),
    ],
)
async def test_what_is_no_catalogue_file_is_said_in_one_line(
    ship: Ship, tmp_path: Path, name: str, text: str, message: str
) -> None:
    """A file that cannot be read row by row is refused by what is wrong with it as a whole."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as refused:
        await import_products(tmp_path / name, BY, ship)
    assert str(refused.value).startswith(message)


async def test_json_says_the_same_as_csv(ship: Ship, tmp_path: Path, write: Write) -> None:
    """Same columns; lists are lists; a number keeps the decimals it was written with."""
    await import_products(write(HEADER + TEA), BY, ship)
    (tmp_path / "p.json").write_text(
        """[
  {"code": "tea", "name": "Tea House", "category": "Food & drink", "subcategory": "Tea",
   "country": "GB", "currency": "GBP", "denominations": [10.00, "20.00@3", "50-100"],
   "discount": 2.5},
  {"code": "new", "name": "New", "category": "Food & drink", "currency": "KWD",
   "denominations": [1.250], "vendors": ["Bamboo", "PineLabs"], "active": false}
]""",
        encoding="utf-8",
    )
    assert await import_products(tmp_path / "p.json", BY, ship) == Imported(1, 0, 1)
    new = (await snapshot(ship)).products[2]
    assert (new.denominations, new.vendors, new.is_active) == (
        (Denomination(1250, 1250),),
        ("Bamboo", "PineLabs"),
        False,
    )


async def test_json_problems_have_line_numbers(ship: Ship, tmp_path: Path) -> None:
    """The line on which the product begins."""
    (tmp_path / "p.json").write_text(
        '[\n  {"code": "a", "name": "A", "category": "C", "currency": "GBP",\n'
        '   "denominations": [10.001]},\n  7,\n  {"code": "b", "colour": "red", "name": "B",\n'
        '   "category": "C", "currency": "GBP", "denominations": {"a": 1}}]',
        encoding="utf-8",
    )
    with pytest.raises(Refused) as refused:
        await import_products(tmp_path / "p.json", BY, ship)
    assert refused.value.problems == [
        "line 2: denominations: 10.001 has more than the 2 decimals of GBP",
        "line 4: a product must be a JSON object",
        "line 5: there is no column 'colour'",
        "line 5: denominations: '{…}' is no amount such as 10 or 10.00",
    ]


async def test_what_no_database_can_hold_is_refused_by_its_cell(ship: Ship, tmp_path: Path) -> None:
    """NUL and half a surrogate pair can be written in JSON, and in nothing behind it."""
    product = '"category": "C", "currency": "GBP", "denominations": [1]'
    (tmp_path / "p.json").write_text(
        f'[{{"code": "a", "name": "\\u0000", {product}}},\n'
        f'{{"code": "b", "name": "B", "vendors": ["\\ud800"], {product}}}]',
        encoding="utf-8",
    )
    with pytest.raises(Refused) as refused:
        await import_products(tmp_path / "p.json", BY, ship)
    assert refused.value.problems == [
        "line 1: name: holds what is no text",
        "line 2: vendors: holds what is no text",
    ]


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_two_imports_at_once_both_succeed(ship: Ship, write: Write) -> None:
    """The second waits for the first, and then sees its products and shelves."""
    one, two = write(HEADER + TEA + YEN), write(HEADER + YEN + TEA)
    outcomes = await asyncio.gather(*(import_products(p, BY, ship) for p in (one, two) * 3))
    assert sum(each.added for each in outcomes) == 2
    assert await table(ship, "SELECT count(*) FROM products") == [(2,)]
    assert await table(ship, "SELECT value FROM counters WHERE name = 'catalogue'") == [(6,)]


# --- the snapshot ---------------------------------------------------------------------------------


class Monotonic:
    """A stop-watch set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Watched:
    """A database that counts its reads, and can be taken away."""

    def __init__(self, database: Any) -> None:
        self.inner = database
        self.reads: list[str] = []
        self.away = False

    async def read(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self.reads.append(work.__name__)
        if self.away:
            raise Unavailable("away")
        return await self.inner.read(work, *arguments)


async def settled(catalogue: Catalogue) -> Snapshot:
    """The snapshot once the look that the last call began is over."""
    if catalogue._looking is not None:
        await asyncio.wait({catalogue._looking})
    return await catalogue.current()


async def test_the_counter_is_looked_at_once_a_second_and_the_tables_only_when_it_moved(
    ship: Ship, write: Write
) -> None:
    """A thousand orders a second read no catalogue rows; a change is seen a second later."""
    database, watch = Watched(ship.database), Monotonic()
    catalogue = Catalogue(cast("Any", database), ship.now, monotonic=watch)
    await import_products(write(HEADER + TEA), BY, ship)
    for _ in range(100):
        assert len((await catalogue.current()).products) == 1
    assert database.reads == ["read_rows"]
    await import_products(write(HEADER + YEN), BY, ship)
    watch.seconds += 0.99
    assert len((await catalogue.current()).products) == 1
    assert database.reads == ["read_rows"]
    watch.seconds += 0.02
    assert len((await catalogue.current()).products) == 1, "nobody waits for a look that is due"
    assert len((await settled(catalogue)).products) == 2
    watch.seconds += 1
    await catalogue.current()
    await settled(catalogue)
    assert database.reads == ["read_rows", "version", "read_rows", "version"]


async def test_after_a_quiet_time_the_first_call_waits_for_the_truth(
    ship: Ship, write: Write
) -> None:
    """What was switched off while nobody asked is not sold to the first who does."""
    watch = Monotonic()
    catalogue = Catalogue(ship.database, ship.now, monotonic=watch)
    assert (await catalogue.current()).products == {}
    await import_products(write(HEADER + TEA), BY, ship)
    watch.seconds += 2
    assert len((await catalogue.current()).products) == 1


async def test_many_callers_share_one_load(ship: Ship) -> None:
    """At start a burst of orders reads the tables once."""
    database = Watched(ship.database)
    catalogue = Catalogue(cast("Any", database), ship.now)
    found = await asyncio.gather(*(catalogue.current() for _ in range(50)))
    assert (len({id(each) for each in found}), database.reads) == (1, ["read_rows"])


async def test_a_database_that_is_away_leaves_the_old_snapshot_for_30_seconds(ship: Ship) -> None:
    """Then there is no catalogue any more, and after it came back there is one again."""
    database, watch = Watched(ship.database), Monotonic()
    catalogue = Catalogue(cast("Any", database), ship.now, monotonic=watch)
    old = await catalogue.current()
    database.away = True
    watch.seconds += 29.9
    assert await catalogue.current() is old
    watch.seconds += 0.2
    with pytest.raises(Unavailable, match="the catalogue cannot be read"):
        await catalogue.current()
    database.away = False
    watch.seconds += 1
    assert (await catalogue.current()).version == 0


async def test_a_database_that_hangs_is_not_waited_for(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old snapshot must do while a look takes longer than it may."""
    monkeypatch.setattr(catalogue_module, "WAIT_FOR_LOOK", 0.01)
    watch, hung = Monotonic(), asyncio.Event()
    database = Watched(ship.database)
    catalogue = Catalogue(cast("Any", database), ship.now, monotonic=watch)
    old = await catalogue.current()

    async def never(*_: Any) -> Any:
        await hung.wait()
        raise Unavailable("gave up")

    monkeypatch.setattr(database, "read", never)
    watch.seconds += 5
    assert await catalogue.current() is old
    hung.set()
    assert await settled(catalogue) is old


async def test_a_change_that_is_rolled_back_is_no_change(ship: Ship) -> None:
    """The counter moves in the transaction of the change, so it cannot move alone."""

    def change(tx: Any) -> None:
        touch(tx)
        raise InvalidInput("no")

    with pytest.raises(InvalidInput):
        await ship.database.run(change)
    assert (await snapshot(ship)).version == 0
