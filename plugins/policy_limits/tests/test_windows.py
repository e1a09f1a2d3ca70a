from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starship_policy_limits.windows import DAYS, Window, window

MONDAY = datetime(2027, 1, 4, tzinfo=UTC)


def at(day: str, time: str) -> datetime:
    hour, minute = time.split(":")
    return MONDAY + timedelta(days=DAYS.index(day), hours=int(hour), minutes=int(minute))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("08:00-18:00", ["mon 08:00", "sun 17:59"], ["mon 07:59", "mon 18:00", "sat 00:00"]),
        ("00:00-24:00", ["mon 00:00", "sun 23:59"], []),
        ("22:00-02:00", ["mon 22:00", "tue 01:59", "mon 01:59"], ["mon 02:00", "mon 21:59"]),
        ("mon-fri 08:00-18:00", ["mon 08:00", "fri 17:59"], ["sat 08:00", "sun 12:00"]),
        ("wed 09:30-09:31", ["wed 09:30"], ["wed 09:29", "wed 09:31", "thu 09:30"]),
        ("fri-mon 10:00-11:00", ["fri 10:00", "sun 10:59", "mon 10:00"], ["tue 10:00"]),
        ("sun 22:00-02:00", ["sun 22:00", "mon 01:59"], ["sun 01:59", "mon 22:00", "sat 23:00"]),
        ("fri-sat 23:00-00:00", ["fri 23:59", "sat 23:00"], ["sat 00:00", "sun 23:30"]),
    ],
)
def test_what_lies_in_a_window(text: str, inside: list[str], outside: list[str]) -> None:
    """To the minute; its end does not, and what runs past midnight belongs to its first day."""
    held = [moment for moment in inside + outside if window(text).holds(at(*moment.split()))]
    assert held == inside


def test_another_zone_is_converted() -> None:
    """The core's clock is UTC; a case that was recorded elsewhere means the same moment."""
    moment = datetime(2027, 1, 4, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    assert window("07:30-07:31").holds(moment)
    assert not window("09:30-09:31").holds(moment)


@pytest.mark.parametrize(
    "text",
    [
        "", "08:00", "8:00-18:00", "08:00-18:60", "25:00-26:00", "24:00-08:00", "08:00-24:01",
        "08:00-08:00", "mon 08:00", "mo 08:00-18:00", "mon-fri  08:00-18:00", "MON 08:00-18:00",
        "08:00-18:00 ", "mon,tue 08:00-18:00", "٠٨:00-18:00",
    ],
)  # fmt: skip
def test_what_is_no_window(text: str) -> None:
    """Named as it was written."""
    with pytest.raises(ValueError, match=f"^{text!r} "):
        window(text)


@given(
    st.integers(0, 6), st.integers(0, 6), st.integers(0, 1439), st.integers(0, 1439),
    st.integers(0, 7 * 1440 - 1),
)  # fmt: skip
def test_a_window_is_the_minutes_it_lists(
    first: int, length: int, start: int, end: int, minute: int
) -> None:
    """Held against the list of all minutes of the week, written out."""
    days = frozenset((first + i) % 7 for i in range(length + 1))
    long = end - start if end > start else end - start + 1440
    minutes = {(day * 1440 + start + i) % (7 * 1440) for day in days for i in range(long)}
    holds = Window(days, start, end).holds(MONDAY + timedelta(minutes=minute))
    assert holds == (minute in minutes)
