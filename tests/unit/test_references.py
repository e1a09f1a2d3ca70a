"""Our references for purchases: derived, unique, in the vendor's form, never truncated."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starship_core.buying.references import reference_of
from starship_core.errors import ConfigError
from starship_core.registration import ReferenceRule


def derive(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@given(
    st.sets(st.integers(1, 10**12 - 1), min_size=2, max_size=20),
    st.integers(12, 60),
    st.sampled_from(["0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"]),
)
def test_text_references_fit_and_differ(ids: set[int], longest: int, alphabet: str) -> None:
    """Of every id another one, the same each time, within length and alphabet."""
    rule = ReferenceRule(form="text", longest=longest + 1, alphabet=alphabet)
    made = [reference_of(n, rule, derive) for n in ids]
    assert len(set(made)) == len(ids)
    assert made == [reference_of(n, rule, derive) for n in ids]
    assert all(len(one) <= longest + 1 and set(one) <= set(alphabet) for one in made)


@pytest.mark.parametrize("form", ["guid", "uuid4"])
def test_uuids_are_of_version_four(form: str) -> None:
    """As strict vendors check them."""
    rule = ReferenceRule(form=form)  # type: ignore[arg-type]  # one of the literals
    assert {uuid.UUID(reference_of(n, rule, derive)).version for n in range(1, 50)} == {4}


def test_no_room_is_refused() -> None:
    """Rather than a reference cut short, which could be another purchase's."""
    with pytest.raises(ConfigError, match="has no reference of 3 characters"):
        reference_of(12_345, ReferenceRule(longest=3, alphabet="0123456789"), derive)
