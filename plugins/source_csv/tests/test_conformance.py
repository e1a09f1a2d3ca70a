import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import starship_source_csv

from starship_core import Secret, Sku, Transaction, Voucher
from starship_core.testing.sources import SourceCase, SourceConformance

HEAD = "product,denomination,currency,card_number,pin_code,claim_url,reference,expires_at\n"


def catalogue(tx: Transaction) -> None:
    """Two products."""
    tx.execute(
        "INSERT INTO categories (id, name, slug, created_at, updated_at) VALUES (1, 'c', 'c', 0, 0)"
    )
    for number, code, currency in ((7, "coffee", "EUR"), (8, "books", "JPY")):
        tx.execute(
            "INSERT INTO products (id, code, name, category_id, currency, created_at, updated_at)"
            " VALUES ($1, $2, $2, 1, $3, 0, 0)",
            number, code, currency,
        )  # fmt: skip


def fill(folder: Path) -> Sequence[Voucher]:
    """Two files; of what is in them, all three codes, an expiry, and a name of its own."""
    (folder / "incoming").mkdir()
    (folder / "incoming" / "a.csv").write_text(
        HEAD + "coffee,10.00,EUR,6330 1111,4711,,R1,2031-02-28\n"
        "coffee,10.00,EUR,6330 2222,4712,,,\n"
    )
    (folder / "incoming" / "b.csv").write_text(
        HEAD + "books,500,JPY,,,https://c.example/?a=1,,2031-02-28T12:00:00+02:00\n"
    )
    return [
        Voucher(
            sku=Sku(7, 1000, "EUR"),
            reference="a.csv#R1",
            card_number=Secret("6330 1111"),
            pin_code=Secret("4711"),
            expires_at=datetime(2031, 2, 28, 23, 59, 59, tzinfo=UTC),
        ),
        Voucher(
            sku=Sku(7, 1000, "EUR"),
            reference="a.csv:3",
            card_number=Secret("6330 2222"),
            pin_code=Secret("4712"),
        ),
        Voucher(
            sku=Sku(8, 500, "JPY"),
            reference="b.csv:2",
            claim_url=Secret("https://c.example/?a=1"),
            expires_at=datetime(2031, 2, 28, 10, tzinfo=UTC),
        ),
    ]


def unreadable(folder: Path) -> str:
    """A product that does not exist."""
    (folder / "incoming" / "c.csv").write_text(HEAD + "tea,10.00,EUR,6330 3333,4713,,,\n")
    return "6330 3333"


@pytest.fixture
async def case(database: Any) -> SourceCase:
    """A folder of files."""
    await database.run(catalogue)
    (registration,) = starship_source_csv.register_inventory_sources()
    return SourceCase(
        registration=registration,
        section={"folder": "incoming"},
        database=database,
        fill=fill,
        away=lambda folder: shutil.rmtree(folder / "incoming"),
        unreadable=unreadable,
    )


class TestCsv(SourceConformance):
    """source-csv."""
