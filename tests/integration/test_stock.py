"""`starship pump` and `starship stock …` as an operator calls them, on files as they arrive."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main
from starship_core.database import opened
from starship_core.keyring import create_keys
from starship_core.model import Sku
from starship_core.pool import Pool

TOML = """
[database]
url = "{url}"
[redis]
url = "{redis}"
[plugins]
enabled = ["wallet-ledger", "fx-fixed"{reader}]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
rates = {{ EUR = "0.92" }}
"""
READER = '\n[sources.shelf]\nuse = "source-csv"\nfolder = "shelf"\n'
HEAD = "product,denomination,currency,card_number,pin_code,claim_url,reference,expires_at\n"
EXAMPLES = Path(__file__).parents[2] / "examples" / "catalogue"


class Shop:
    """A deployment in a folder: two products, a CSV source, and the command line."""

    def __init__(self, folder: Path, url: str, redis: str) -> None:
        self.folder, self.url, self.redis = folder, url, redis
        create_keys(folder / "keys")
        (folder / "shelf").mkdir()
        self.config = folder / "starship.toml"
        self.config.write_text(TOML.format(url=url, redis=redis, reader=', "source-csv"') + READER)
        self.catalogue("code,name,category,currency,denominations,discount,delivery_type\n"
                       "coffee,Coffee,Shops,EUR,10.00;20.00,,code\n"
                       "books,Books,Shops,JPY,1000,,code_with_pin\n")  # fmt: skip

    def catalogue(self, text: str) -> None:
        path = self.folder / "products.csv"
        path.write_text(text)
        self.answer("product", "import", str(path))

    def run(self, *arguments: str) -> Result:
        environment = {"STARSHIP_CONFIG": str(self.config), "STARSHIP_OPERATOR": "ana"}
        return CliRunner().invoke(main, arguments, env=environment)

    def answer(self, *arguments: str, code: int = 0) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        return msgspec.json.decode(result.stdout)

    def sql(self, statement: str) -> Sequence[tuple[Any, ...]]:
        async def run() -> Any:
            async with opened(self.url, folder=self.folder, connections=1) as database:
                return await database.run(lambda tx: tx.execute(statement))

        return [tuple(row) for row in asyncio.run(run())]

    def put(self, name: str, text: str, folder: str = "shelf") -> Path:
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + text)
        return path

    def in_redis(self, sku: Sku) -> set[int]:
        async def members() -> set[int]:
            pool = Pool(self.redis, prefix="starship")
            found = await pool.members(sku)
            await pool.close()
            return found

        return asyncio.run(members())


@pytest.fixture
def shop(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    monkeypatch.setattr("starship_core.pool.DEADLINE", 30)
    return Shop(tmp_path, database_url, redis_url)


def coffee(card: str, reference: str = "") -> str:
    return f"coffee,10.00,EUR,{card},,,{reference},\n"


def outcomes(report: Any) -> dict[str, int]:
    (source,) = report["sources"]
    return dict(source["counts"])


def test_every_line_of_every_file_is_accounted_for(shop: Shop) -> None:
    """Taken, here already, duplicate, unreadable with its line; and on sale in table and Redis."""
    shop.put("a.csv", coffee("1") + coffee("2", "R2") + "coffee,10.00,EUR,,,,,\n")
    shop.put("b.csv", coffee("3") + "tea,10.00,EUR,4,,,,\n" + "books,1000,JPY,5,,,,\n")

    report = shop.answer("pump")

    assert outcomes(report) == {"taken": 3, "quarantined": 1}
    assert report["sources"][0]["unread"] == [
        "a.csv line 4: holds no code",
        "b.csv line 3: names a product that does not exist in `product`",
    ]
    assert report["sources"][0]["remarks"] == [
        {"reference": "b.csv:4", "outcome": "quarantined", "reason": "books needs a pin_code"}
    ]
    assert (report["pooled"], report["pool"]) == (3, "equal")
    assert report["skus"] == [{"sku": "1/10.00/EUR", "taken": 3, "on_sale": 3}]
    assert len(shop.in_redis(Sku(1, 1000, "EUR"))) == 3

    shop.put("c.csv", coffee("1") + coffee("6"))
    again = shop.answer("pump", "--source", "shelf")
    assert outcomes(again) == {"duplicate": 1, "taken": 1, "already here": 4}
    assert again["blocked_as_duplicates"] == 1
    told = shop.run("pump").stdout
    assert "already here" in told
    assert "unreadable: a.csv line 4: holds no code" in told


def test_a_dry_run_changes_nothing(shop: Shop) -> None:
    """And tells what the pump then does."""
    shop.put("a.csv", coffee("1") + coffee("2"))
    rehearsed = shop.answer("pump", "--dry-run")
    assert (outcomes(rehearsed), rehearsed["pool"]) == ({"taken": 2}, "untouched")
    assert shop.sql("SELECT count(*) FROM vouchers") == [(0,)]
    assert not (shop.folder / "data").exists()
    assert outcomes(shop.answer("pump")) == {"taken": 2}


def test_a_file_is_imported_by_hand_once(shop: Shop) -> None:
    """The same command again finds everything here; a grown file gives what is new."""
    path = shop.put("delivery.csv", coffee("1") + coffee("2"), folder="mail")
    assert outcomes(shop.answer("stock", "import", str(path))) == {"taken": 2}
    assert outcomes(shop.answer("stock", "import", str(path))) == {"already here": 2}
    with path.open("a") as file:
        file.write(coffee("3"))
    assert outcomes(shop.answer("stock", "import", str(path))) == {"already here": 2, "taken": 1}
    assert shop.sql("SELECT origin, state FROM vouchers ORDER BY id") == [
        (f"import:delivery.csv:{line}", "pooled") for line in (2, 3, 4)
    ]
    other = shop.put("delivery.csv", coffee("9"), folder="other mail")
    report = shop.answer("stock", "import", str(other))
    assert outcomes(report) == {"refused": 1}, "another file of that name: nothing is lost unseen"


def test_what_a_source_reads_is_not_imported_by_hand(shop: Shop) -> None:
    """One unit under two origins would block itself."""
    path = shop.put("a.csv", coffee("1"))
    for named in (path, shop.folder / "shelf", shop.folder):
        refused = shop.run("stock", "import", str(named))
        assert (refused.exit_code, "starship pump --source shelf" in refused.stderr) == (1, True)
    assert outcomes(shop.answer("stock", "import", "--source", "shelf")) == {"taken": 1}


def test_misuse_is_told_clearly(shop: Shop) -> None:
    """Unknown source, unknown file, both or neither named, no plugin that reads files."""
    assert "configured are: shelf" in shop.run("pump", "--source", "shed").stderr
    assert "there is no file nowhere.csv" in shop.run("stock", "import", "nowhere.csv").stderr
    assert shop.run("stock", "import").exit_code == 2
    assert shop.run("stock", "import", "x.csv", "--source", "shelf").exit_code == 2
    assert "there is no product tea" in shop.run("stock", "list", "--product", "tea").stderr
    shop.config.write_text(TOML.format(url=shop.url, redis=shop.redis, reader=""))
    refused = shop.run("stock", "import", str(shop.config))
    assert (refused.exit_code, "needs source-csv" in refused.stderr) == (2, True)


def test_a_source_that_fails_makes_the_command_fail(shop: Shop) -> None:
    """With the report printed all the same."""
    (shop.folder / "shelf").rmdir()
    report = shop.answer("pump", code=1)
    assert "there is no folder" in report["sources"][0]["fault"]
    assert "not read to its end" in shop.run("pump").stdout


def test_blocked_and_let_back_in(shop: Shop) -> None:
    """Out of table and Redis at once, with a reason; back in by the next pump; audited."""
    shop.put("a.csv", coffee("1") + coffee("2") + "books,1000,JPY,5,,,,\n")
    shop.answer("pump")
    first, second, pinless = (row[0] for row in shop.sql("SELECT id FROM vouchers ORDER BY id"))
    assert "say why" in shop.run("stock", "block", str(first)).stderr

    reason = ("--reason", "reported as used")
    blocked = shop.answer("stock", "block", str(first), "999", str(pinless), *reason, code=1)

    assert blocked == {
        "done": [first],
        "refused": {"999": "there is no such voucher",
                    str(pinless): "it is quarantined (books needs a pin_code)"},
    }  # fmt: skip
    assert shop.sql(f"SELECT state, state_reason FROM vouchers WHERE id = {first}") == [
        ("blocked", "reported as used")
    ]
    assert shop.in_redis(Sku(1, 1000, "EUR")) == {second}
    again = shop.answer("stock", "block", str(first), *reason, code=1)
    assert again["refused"] == {str(first): "it is blocked (reported as used)"}

    back = shop.answer("stock", "unblock", str(first), str(second), str(pinless), *reason, code=1)
    assert back == {
        "done": [first],
        "refused": {str(second): "it is pooled", str(pinless): "books needs a pin_code"},
    }  # fmt: skip
    assert shop.answer("pump")["pooled"] == 1
    assert shop.in_redis(Sku(1, 1000, "EUR")) == {first, second}
    audit = "SELECT actor, action, subject, reason FROM audit WHERE action LIKE 'stock.%lock'"
    assert shop.sql(f"{audit} ORDER BY id") == [
        ("operator:ana", "stock.block", f"voucher:{first}", "reported as used"),
        ("operator:ana", "stock.unblock", f"voucher:{first}", "reported as used"),
    ]


def test_only_what_is_in_order_is_let_back_in(shop: Shop) -> None:
    """Sold or replaced, expired, altered, no longer offered: each refused with its reason."""
    shop.put("a.csv", "".join(coffee(str(n)) for n in range(5)))
    shop.answer("pump")
    ids = [row[0] for row in shop.sql("SELECT id FROM vouchers ORDER BY id")]
    shop.answer("stock", "block", *map(str, ids), "--reason", "all of them")
    assert shop.sql("SELECT count(*) FROM vouchers WHERE state = 'blocked'") == [(5,)]
    shop.sql(f"UPDATE vouchers SET expires_at = 1 WHERE id = {ids[0]}")
    shop.sql(f"UPDATE vouchers SET sealed = 'AAAA' WHERE id = {ids[1]}")
    shop.sql(f"UPDATE vouchers SET denomination = 999 WHERE id = {ids[2]}")
    shop.sql(f"UPDATE vouchers SET state = 'quarantined' WHERE id = {ids[3]}")
    back = shop.answer("stock", "unblock", *map(str, ids), "--reason", "mended", code=1)
    assert back == {
        "done": [ids[3], ids[4]],
        "refused": {
            str(ids[0]): "it has expired",
            str(ids[1]): "its code does not open",
            str(ids[2]): "coffee is not offered in 9.99 EUR",
        },
    }


def test_the_stock_is_counted(shop: Shop) -> None:
    """By product, value and state, with what expires soon; filters narrow it."""
    shop.put("a.csv", coffee("1") + coffee("2") + "coffee,20.00,EUR,3,,,,2099-12-31\n"
             "books,1000,JPY,5,77,,,2098-01-01\n" + coffee("2"))  # fmt: skip
    shop.answer("pump")
    listed = shop.answer("stock", "list")
    by = {(row["product"], row["denomination"], row["state"]): row for row in listed["counts"]}
    assert {key: row["count"] for key, row in by.items()} == {
        ("coffee", "10.00", "pooled"): 1, ("coffee", "10.00", "blocked"): 1,
        ("coffee", "20.00", "pooled"): 1, ("books", "1000", "pooled"): 1,
    }  # fmt: skip
    assert listed["duplicates"] == 1
    assert by["coffee", "10.00", "pooled"]["next_expiry"] is None
    assert by["coffee", "20.00", "pooled"]["next_expiry"] == "2099-12-31T23:59:59Z"
    assert by["coffee", "20.00", "pooled"]["expiring"] == 0
    soon = shop.answer("stock", "list", "--product", "coffee", "--state", "blocked")
    assert [row["count"] for row in soon["counts"]] == [1]
    assert shop.answer("stock", "list", "--product", "2") == {
        "counts": [by["books", "1000", "pooled"]], "duplicates": 1,
    }  # fmt: skip
    told = shop.run("stock", "list").stdout
    assert "4 vouchers; 1 duplicates kept out" in told


def test_the_example_catalogue_fills_the_stock(shop: Shop) -> None:
    """20,000 vouchers of 200 products in eight files, every one on sale."""
    shop.answer("product", "import", str(EXAMPLES / "products.csv"))
    report = shop.answer("stock", "import", str(EXAMPLES / "vouchers"))
    assert outcomes(report) == {"taken": 20_000}
    assert (report["pooled"], report["pool"], report["sources"][0]["unreadable"]) == (
        20_000, "equal", 0,
    )  # fmt: skip
    later = shop.answer("stock", "import", str(EXAMPLES / "later"))
    assert outcomes(later) == {"taken": 100}
