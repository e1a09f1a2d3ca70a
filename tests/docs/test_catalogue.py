"""The example catalogue is what its script writes, and as large and as varied as the demo says."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

CATALOGUE = Path(__file__).parents[2] / "examples" / "catalogue"
Rows = list[dict[str, str]]


def _rows(name: str) -> Rows:
    with (CATALOGUE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def products() -> Rows:
    return _rows("products.csv")


@pytest.fixture(scope="module")
def vouchers() -> Rows:
    files = sorted((CATALOGUE / "vouchers").glob("*.csv"))
    return [row for file in files for row in _rows(f"vouchers/{file.name}")]


def test_files_are_what_the_script_writes(tmp_path: Path) -> None:
    """Run in a folder of its own, it writes the very bytes that are committed, and nothing else."""
    for name in ("make.py", "brands.py"):
        (tmp_path / name).write_bytes((CATALOGUE / name).read_bytes())
    subprocess.run([sys.executable, str(tmp_path / "make.py")], check=True)
    written = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*.csv")}
    committed = {p.relative_to(CATALOGUE): p.read_bytes() for p in CATALOGUE.rglob("*.csv")}
    assert written == committed


def test_size_of_the_catalogue(products: Rows, vouchers: Rows) -> None:
    """200 products in 8 currencies, with 0, 2 and 3 decimals, and 20,000 vouchers."""
    assert len({row["code"] for row in products}) == len(products) == 200
    currencies = {row["currency"] for row in products}
    assert currencies == {"EUR", "USD", "GBP", "JPY", "KWD", "INR", "AED", "AUD"}
    assert {row["delivery_type"] for row in products} == {"code", "code_with_pin", "claim_url"}
    assert len(vouchers) == 20_000
    assert len(_rows("later/restock.csv")) == 100


def test_every_voucher_is_one_of_a_kind(vouchers: Rows) -> None:
    """No code and no reference twice, and nobody can take one for a real code."""
    every = vouchers + _rows("later/restock.csv")
    codes = [row["card_number"] or row["claim_url"] for row in every]
    assert len(set(codes)) == len(codes)
    assert len({row["reference"] for row in every}) == len(every)
    assert all(code.startswith(("DEMO", "https://demo.example/")) for code in codes)
    assert {row["expires_at"] for row in every} == {"2035-06-30"}


def test_every_voucher_is_of_a_product_that_offers_it(products: Rows, vouchers: Rows) -> None:
    """Its product exists in its currency; a fixed denomination is one of the product's."""
    by_code = {row["code"]: row for row in products}
    for voucher in vouchers:
        product = by_code[voucher["product"]]
        assert voucher["currency"] == product["currency"]
        face, offered = voucher["denomination"], product["denominations"]
        lowest, _, highest = offered.partition("-")
        if highest:
            assert Decimal(lowest) <= Decimal(face) <= Decimal(highest)
        else:
            assert face in offered.split(";")


def test_stock_that_the_demo_counts_on(vouchers: Rows) -> None:
    """1,500 for the burst, 700 for the bulk order, none for the misses."""
    stock = Counter((row["product"], row["denomination"]) for row in vouchers)
    assert stock["bluefin-coffee-de", "10.00"] == 1_500
    assert stock["kestrel-and-thyme-jp", "1000"] == 700
    assert stock["lantern-games-gb", "20.00"] == 0
    assert stock["saltmarsh-outdoor-kw", "5.000"] == 0
    assert min(stock.values()) >= 20
