"""AES-256-CBC, against a vector that was computed by another program."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starship_voucherkart.sandbox.cipher import decrypted, encrypted
from starship_voucherkart.seal import Seal

KEY, IV = "0123456789abcdef0123456789abcdef", "fedcba9876543210"
PLAIN = '{"BrandProductCode":"DEMO1","Denomination":"100"}'
SEALED = "xbdBUkpG8xjdk01zBDgV5Vjo/s2czTlN6iajks3+54ZiQyhasvu47HsoY0ccI2Sqga06jBSVvMXEebAp3TSaVA=="


def test_the_vector() -> None:
    """Both ways."""
    seal = Seal(KEY, IV)
    assert seal.seal(PLAIN.encode()) == SEALED
    assert seal.open(SEALED) == PLAIN.encode()


def test_the_sandbox_seals_the_same() -> None:
    """By code of its own."""
    assert encrypted(PLAIN, KEY, IV) == SEALED
    assert decrypted(SEALED, KEY, IV) == PLAIN


@given(st.text())
def test_the_two_understand_each_other(text: str) -> None:
    """For any text, full blocks included."""
    sealed = encrypted(text, KEY, IV)
    assert Seal(KEY, IV).seal(text.encode()) == sealed
    assert Seal(KEY, IV).open(sealed).decode() == text
    assert decrypted(sealed, KEY, IV) == text


SPOILT = {
    "another key": encrypted(PLAIN, KEY[::-1], IV),
    "a block that is cut": base64.b64encode(base64.b64decode(SEALED)[:-1]).decode(),
    "no base64": "!" + SEALED,
    "nothing": "",
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_was_not_sealed(what: str) -> None:
    """Refused by both."""
    with pytest.raises(ValueError, match=r".*"):
        Seal(KEY, IV).open(SPOILT[what])
    with pytest.raises(ValueError, match=r".*"):
        decrypted(SPOILT[what], KEY, IV)


@pytest.mark.parametrize(
    ("key", "iv", "told"),
    [
        ("short", IV, "aes_key: must be of 32"),
        (KEY, "short", "aes_iv: must be of 16"),
        ("é" * 32, IV, "aes_key: must be of 32"),
    ],
)
def test_keys_of_another_length(key: str, iv: str, told: str) -> None:
    """Said with the field's name, and without the key."""
    with pytest.raises(ValueError, match=told) as raised:
        Seal(key, iv)
    assert key not in str(raised.value)
