"""What the file means."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starship_fx_ecb.daily import Daily, read

FRIDAY = (Path(__file__).parent / "files" / "friday.xml").read_bytes()


def test_a_day_as_it_is_written() -> None:
    """Every digit is kept, trailing zeros included."""
    assert read(FRIDAY) == Daily(
        rates={
            "USD": Decimal("1.2500"),
            "JPY": Decimal("160.40"),
            "GBP": Decimal("0.80000"),
            "INR": Decimal("97.5310"),
            "CHF": Decimal("0.9377"),
        },
        published=datetime(2027, 1, 8, 15, tzinfo=UTC),
    )
    assert str(read(FRIDAY).rates["GBP"]) == "0.80000"


@pytest.mark.parametrize(
    ("day", "hour"),
    [("2027-03-27", 15), ("2027-03-28", 14), ("2027-10-30", 14), ("2027-10-31", 15)],
)
def test_published_at_four_in_frankfurt(day: str, hour: int) -> None:
    """Also while there is summer time, whose first and last day these are."""
    found = read(FRIDAY.replace(b"2027-01-08", day.encode())).published
    assert found == datetime.fromisoformat(f"{day}T{hour}:00:00+00:00")
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is not XML: no element found"),
        (b"<html><body>Service unavailable<br></body></html>", "it is not XML: mismatched tag"),
        (b"<html><body>Service unavailable</body></html>", "there is no day in it"),
        (FRIDAY[:-40], "it is not XML: unclosed token"),
        (FRIDAY.replace(b"UTF-8", b"EBCDIC-1"), "its encoding is unknown"),
        (FRIDAY.replace(b"European", b"Europ\xe9en"), "it is not XML: not well-formed"),
        (FRIDAY.replace(b"/eurofxref", b"/eurofx"), "there is no day in it"),
        (FRIDAY.replace(b" time='2027-01-08'", b""), "there is no day in it"),
        (FRIDAY.replace(b"2027-01-08", b"08.01.2027"), "its day is no date"),
        (FRIDAY.replace(b"2027-01-08", b"20270108"), "its day is no date"),
        (FRIDAY.replace(b"2027-01-08", b"2027-02-30"), "day is out of range for month"),
        (FRIDAY.replace(b"'INR'", b"'USD'"), "a currency is no code, or is there twice"),
        (FRIDAY.replace(b"'INR'", b"'EUR'"), "a currency is no code, or is there twice"),
        (FRIDAY.replace(b"'INR'", b"'inr'"), "a currency is no code, or is there twice"),
        (FRIDAY.replace(b"97.5310", b"0.0000"), "the rate of INR is no positive number"),
        (FRIDAY.replace(b"97.5310", b"-97.5"), "the rate of INR is no positive number"),
        (FRIDAY.replace(b"97.5310", b"97,531"), "the rate of INR is no positive number"),
        (FRIDAY.replace(b"97.5310", b"N/A"), "the rate of INR is no positive number"),
        (FRIDAY.replace(b"97.5310", b"NaN"), "the rate of INR is no positive number"),
        (FRIDAY.replace(b"97.5310", b"1E5"), "the rate of INR is no positive number"),
        (FRIDAY.replace(b" rate='97.5310'", b""), "the rate of INR is no positive number"),
        (FRIDAY.replace(b"currency=", b"money="), "there is no rate in it"),
    ],
)
def test_what_is_not_the_daily_file(content: bytes, complaint: str) -> None:
    """All or nothing: one rate that cannot be read, and none is believed."""
    with pytest.raises(ValueError, match=complaint):
        read(content)


def test_the_history_is_not_the_daily_file() -> None:
    """A deployer who takes the wrong address is told, instead of being given some day's rates."""
    start, end = FRIDAY.index(b"\t\t<Cube time"), FRIDAY.index(b"\t</Cube>\n</gesmes")
    with pytest.raises(ValueError, match="it is of several days"):
        read(FRIDAY[:end] + FRIDAY[start:end].replace(b"2027-01-08", b"2027-01-07") + FRIDAY[end:])


BOMB = b"""<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>"""
PARAMETER = b"""<!DOCTYPE x [<!ENTITY % d SYSTEM "http://127.0.0.1:9/x.dtd"> %d;]>"""


@pytest.mark.parametrize(
    ("doctype", "used"),
    [(BOMB, b"&b;"), (OUTSIDE, b"&f;"), (PARAMETER, b""), (b"<!DOCTYPE x>", b"")],
)
def test_nothing_is_expanded(doctype: bytes, used: bytes) -> None:
    """No entity can exist, because nothing that could declare one is let in."""
    head, _, rest = FRIDAY.partition(b"\n")
    content = head + doctype + rest.replace(b"Reference rates", used)
    with pytest.raises(ValueError, match="it has a DOCTYPE"):
        read(content)


@given(st.binary(max_size=200), st.integers(0, len(FRIDAY)), st.integers(0, 40))
def test_garbage_is_refused_and_never_anything_else(piece: bytes, at: int, gone: int) -> None:
    """Whatever a proxy makes of the file: rates that pass, or ValueError."""
    try:
        daily = read(FRIDAY[:at] + piece + FRIDAY[at + gone :])
    except ValueError:
        return
    assert all(rate > 0 for rate in daily.rates.values())
