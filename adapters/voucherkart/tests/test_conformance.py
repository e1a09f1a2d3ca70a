"""The adapter for VoucherKart under the vendor kit, once for each style of duplicates."""

import json
import os
from typing import Final

import pytest
import starship_voucherkart
from starship_voucherkart.sandbox import Settings, World, sandbox_app
from starship_voucherkart.sandbox.cipher import decrypted, encrypted
from starship_voucherkart.sandbox.world import Duplicates

from starship_core import Money
from starship_core.testing.vendors import Envelope, Line, VendorCase, VendorConformance

PASSWORD: Final = "FAKE-FAKE-0002"
KEY: Final = "0000000000facefa0000000000ceaaab"
IV: Final = "facefa0000000002"


def envelope(name: str) -> Envelope:
    """Opens what our fakes sealed, or the vendor while it is recorded; seals with our fakes."""
    start = f"STARSHIP_VENDOR_{name.upper().replace('-', '_')}_AES_"
    keys = {(KEY, IV), (os.environ.get(start + "KEY", KEY), os.environ.get(start + "IV", IV))}

    def opened(text: str) -> str | None:
        for key, iv in keys:
            try:
                plain = decrypted(text, key, iv)
            except ValueError:
                continue
            if plain.isprintable():
                return plain
        return None

    return Envelope(open=opened, seal=lambda text: encrypted(text, KEY, IV))


def made(name: str, duplicates: Duplicates) -> VendorCase:
    found = starship_voucherkart.register_vendor_fulfillers()
    settings = Settings(password=PASSWORD, aes_key=KEY, aes_iv=IV, duplicates=duplicates)
    return VendorCase(
        registration={one.name: one for one in found}[name],
        section={
            "username": "sandbox-user",
            "password": PASSWORD,
            "aes_key": KEY,
            "aes_iv": IV,
        },
        good=Line("DEMO1", Money.of("100", "INR"), 2),
        rejected=Line("INACTIVE", Money.of("100", "INR")),
        partial=Line("PARTIAL", Money.of("500", "INR"), 3),
        sandbox=lambda: sandbox_app(World(settings)),
        source="descriptions of an Indian aggregator's pull API (VoucherKart publishes none)",
        secret_keys=frozenset({"VoucherNo", "Voucherpin", "VoucherGCcode"}),
        envelopes=[envelope(name)],
    )


class TestVoucherKart(VendorConformance):
    """Nothing is known of duplicates: at a vendor that sells again."""

    @pytest.fixture
    def case(self) -> VendorCase:
        return made("voucherkart", "sells again")


class TestVoucherKartRejects(VendorConformance):
    """A vendor that refuses an order id it knows."""

    @pytest.fixture
    def case(self) -> VendorCase:
        return made("voucherkart-rejects", "rejects")


class TestVoucherKartReplays(VendorConformance):
    """A vendor that refuses it and shows the first order's vouchers: the harder way to replay."""

    @pytest.fixture
    def case(self) -> VendorCase:
        return made("voucherkart-replays", "rejects and replays")


def test_no_two_styles_are_the_same() -> None:
    """Whoever writes `use = …` says what a vendor does; all else is one adapter."""
    found = {one.name: one.traits for one in starship_voucherkart.register_vendor_fulfillers()}
    assert {name: traits.duplicates for name, traits in found.items()} == {
        "voucherkart": "unsafe",
        "voucherkart-rejects": "rejects",
        "voucherkart-replays": "replays",
    }


def test_the_kit_can_read_what_it_recorded() -> None:
    """Or its look for codes would be a look at noise."""
    text = json.dumps({"sv_ex_order_id": "A1"})
    one = envelope("voucherkart")
    assert one.open(one.seal(text)) == text
    assert one.open("bm90IHNlYWxlZCBieSBhbnlib2R5") is None
