from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from starship_core.config import PricingSection
from starship_core.errors import InvalidInput
from starship_core.keyring import add_key, create_keys
from starship_core.model import Money, Price
from starship_core.pricing import Conversion, cascade
from starship_core.quotes import LONGEST, issue, redeem
from starship_core.vault import Vault

NOW = datetime(2027, 1, 1, tzinfo=UTC)
EXPIRES = NOW + timedelta(seconds=300)
ASKED: dict[str, Any] = {
    "client_id": 7,
    "product_id": 310,
    "denomination": 2000,
    "quantity": 3,
    "wallet_id": 12,
}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return keys_in(tmp_path / "keys")


def keys_in(folder: Path) -> Vault:
    create_keys(folder)
    return Vault.open(folder)


@pytest.fixture
def price() -> Price:
    return cascade(
        Money(2000, "GBP"),
        3,
        wallet_currency="KWD",
        conversion=Conversion(rate=Decimal("0.3887654"), source="ecb", as_of=NOW),
        discount=Decimal("2.5"),
        fees=PricingSection(handling_percent=Decimal(1), tax_percent=Decimal(5)),
    )


def issued(price: Price, vault: Vault) -> str:
    return issue(price, **ASKED, expires_at=EXPIRES, vault=vault)


def reason(token: str, vault: Vault, now: datetime = NOW, **asked: Any) -> str | None:
    with pytest.raises(InvalidInput) as refused:
        redeem(token, **{**ASKED, **asked}, now=now, vault=vault)
    return refused.value.reason


def test_a_quote_gives_back_the_very_price(price: Price, vault: Vault) -> None:
    """Every line, the rate, its source and its time come back as they were quoted."""
    assert redeem(issued(price, vault), **ASKED, now=NOW, vault=vault) == price


def test_a_quote_is_good_until_the_moment_it_expires(price: Price, vault: Vault) -> None:
    """Before `expires_at` yes, at `expires_at` no."""
    token = issued(price, vault)
    last = EXPIRES - timedelta(microseconds=1)
    assert redeem(token, **ASKED, now=last, vault=vault) == price
    assert reason(token, vault, EXPIRES) == "quote_expired"


@pytest.mark.parametrize("name", ASKED)
def test_a_quote_is_bound_to_what_it_was_made_for(name: str, price: Price, vault: Vault) -> None:
    """Another client, product, denomination, quantity or wallet is a mismatch, not a new price."""
    assert reason(issued(price, vault), vault, **{name: ASKED[name] + 1}) == "quote_mismatch"


def test_every_changed_character_is_noticed(price: Price, vault: Vault) -> None:
    """No byte of a token can be changed, the key's id and the signature's last one included."""
    token = issued(price, vault)
    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        assert reason(changed, vault) == "quote_mismatch", place


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é.x.y", "\x00", "A" * 5000, "A" * LONGEST + "." * 2]
)
def test_what_is_no_token_at_all_is_a_mismatch(token: str, vault: Vault) -> None:
    """Whatever a client sends, the answer is the same refusal."""
    assert reason(token, vault) == "quote_mismatch"


def test_a_signature_of_another_deployment_is_a_mismatch(
    price: Price, vault: Vault, tmp_path: Path
) -> None:
    """Keys are a deployment's own, though their ids may be the same."""
    assert reason(issued(price, keys_in(tmp_path / "other")), vault) == "quote_mismatch"


def test_a_signature_for_another_purpose_is_a_mismatch(price: Price, vault: Vault) -> None:
    """What the vault signed for something else is no quote."""
    payload, _, _ = issued(price, vault).partition(".")
    assert reason(f"{payload}.{vault.sign('else', payload.encode())}", vault) == "quote_mismatch"


def test_a_quote_survives_the_rotation_of_keys(price: Price, tmp_path: Path) -> None:
    """A key that is no longer the newest still vouches for the quotes it signed."""
    token = issued(price, keys_in(tmp_path / "keys"))
    add_key(tmp_path / "keys")
    assert redeem(token, **ASKED, now=NOW, vault=Vault.open(tmp_path / "keys")) == price


def test_a_payload_of_another_release_is_a_mismatch(vault: Vault) -> None:
    """Signed by us but unreadable: refused as any other, never a fault."""
    for payload in ("W10", "e30", "WzIsMV0", "!!!!", "A"):
        token = f"{payload}.{vault.sign('quote', payload.encode())}"
        assert reason(token, vault) == "quote_mismatch"
