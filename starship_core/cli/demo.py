"""What `starship init --demo` puts into a new deployment, through the flows that operators use."""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from starship_core.audit import By
from starship_core.config import Config
from starship_core.database import Tx
from starship_core.flows.import_products import import_products
from starship_core.flows.manage_clients import create_client
from starship_core.flows.move_money import credit_wallet, open_wallet
from starship_core.flows.pump_inventory import pump
from starship_core.model import Money
from starship_core.ship import Ship
from starship_core.store.clients import ClientFacts

PRODUCTS: Final = {
    "always": ("Always There Card", 500),
    "never": ("Never There Card", 0),
    "partly": ("Hardly There Card", 2),
}
"""Code → name, and how many vouchers of 10.00 EUR are in stock."""
DENOMINATION: Final = "10.00"
CURRENCY: Final = "EUR"
MONEY: Final = "1000.00"
_BY: Final = By(actor="operator:init", reason="starship init --demo")


class Demo(Struct, frozen=True, kw_only=True):
    """What was added; the secrets are shown once, here."""

    client_id: int
    wallet_id: int
    api_key: str
    secret: str
    signing_secret: str
    products: Mapping[str, int]
    """Code → id."""
    url: str

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def told(self) -> str:
        ids = {code: f"product {number}" for code, number in self.products.items()}
        scarce = PRODUCTS["partly"][1]
        order = {"product_id": self.products["always"], "denomination": DENOMINATION, "quantity": 1}
        return f"""\
{ids["always"]} always delivers, {ids["never"]} never does, of {ids["partly"]} there are {scarce}.
client {self.client_id} has {MONEY} {CURRENCY} in wallet {self.wallet_id}.
Its secrets, shown only now:
  X-API-Key       {self.api_key}
  X-API-Secret    {self.secret}
  signing secret  {self.signing_secret}

An order, when the server is up:
  curl {self.url}/api/v1/orders \\
    -H 'X-API-Key: {self.api_key}' \\
    -H 'X-API-Secret: {self.secret}' \\
    -H 'Idempotency-Key: first-order' \\
    -H 'Content-Type: application/json' \\
    -d '{json.dumps(order)}'"""


async def fill(config: Config) -> Demo:
    """Products, vouchers in the pool, a client with a key, a wallet with money."""
    catalogue = config.folder / "products.csv"
    _write(catalogue, _product_rows())
    _write(config.folder / "vouchers" / "demo.csv", _voucher_rows())
    async with Ship.open(config) as ship:
        await import_products(catalogue, _BY, ship)
        issued = await create_client(ClientFacts(name="demo"), _BY, ship)
        wallet = await open_wallet(ship, issued.client_id, CURRENCY, by=_BY)
        amount = Money.of(MONEY, CURRENCY)
        await credit_wallet(ship, wallet.id, amount, reference="DEMO-1", by=_BY)
        await pump(ship, by=_BY)
        products = await ship.database.read(_ids)
    if issued.secret is None or issued.signing_secret is None:
        raise AssertionError("a new credential has both secrets")
    return Demo(
        client_id=issued.client_id,
        wallet_id=wallet.id,
        api_key=issued.api_key,
        secret=issued.secret.reveal(),
        signing_secret=issued.signing_secret.reveal(),
        products=products,
        url=f"http://{config.server.host}:{config.server.port}",
    )


def _ids(tx: Tx) -> dict[str, int]:
    return dict(tx.execute("SELECT code, id FROM products ORDER BY id"))


def _product_rows() -> list[dict[str, str]]:
    return [
        {
            "code": code,
            "name": name,
            "category": "Demo",
            "currency": CURRENCY,
            "denominations": DENOMINATION,
        }
        for code, (name, _) in PRODUCTS.items()
    ]


def _voucher_rows() -> list[dict[str, str]]:
    return [
        {
            "product": code,
            "denomination": DENOMINATION,
            "currency": CURRENCY,
            "card_number": f"DEMO{secrets.token_hex(6).upper()}",
            "reference": f"{code}-{number}",
        }
        for code, (_, stock) in PRODUCTS.items()
        for number in range(1, stock + 1)
    ]


def _write(file: Path, rows: Sequence[Mapping[str, str]]) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
