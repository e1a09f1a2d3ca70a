"""What the European Central Bank's daily file says: pure translation."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, NamedTuple
from xml.parsers import expat
from zoneinfo import ZoneInfo

_CUBE: Final = "http://www.ecb.int/vocabulary/2002-08-01/eurofxref Cube"
_PUBLISHED: Final = time(16, tzinfo=ZoneInfo("Europe/Berlin"))
"""Frankfurt's own time, in summer too, when the ECB still writes "CET"."""
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CODE: Final = re.compile(r"[A-Z]{3}")
_RATE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Daily(NamedTuple):
    """One day's reference rates: what one euro buys."""

    rates: dict[str, Decimal]
    published: datetime
    """16:00 in Frankfurt on the day of the file, in UTC."""


class _Reading:
    """Expat's callbacks. A DOCTYPE is refused before anything in it is read, so that no entity,
    parameter or outside file exists that could be expanded.
    """

    def __init__(self) -> None:
        self.day: date | None = None
        self.rates: dict[str, Decimal] = {}

    def doctype(self, *_declared: object) -> None:
        raise ValueError("it has a DOCTYPE")

    def element(self, name: str, attributes: dict[str, str]) -> None:
        if name != _CUBE:
            return
        if "time" in attributes:
            if self.day is not None:
                raise ValueError("it is of several days")
            self.day = _day(attributes["time"])
        elif "currency" in attributes:
            self._rate(attributes["currency"], attributes.get("rate", ""))

    def _rate(self, currency: str, text: str) -> None:
        if not _CODE.fullmatch(currency) or currency in self.rates or currency == "EUR":
            raise ValueError("a currency is no code, or is there twice")
        if not _RATE.fullmatch(text) or not Decimal(text):
            raise ValueError(f"the rate of {currency} is no positive number")
        self.rates[currency] = Decimal(text)


def read(content: bytes) -> Daily:
    """Raises ValueError for anything that is not the daily file of one day, and says what."""
    reading = _Reading()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = reading.doctype
    parser.StartElementHandler = reading.element
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is not XML: {expat.ErrorString(error.code)}") from None
    except LookupError:
        raise ValueError("its encoding is unknown") from None
    if reading.day is None:
        raise ValueError("there is no day in it")
    if not reading.rates:
        raise ValueError("there is no rate in it")
    published = datetime.combine(reading.day, _PUBLISHED)
    return Daily(reading.rates, published.astimezone(UTC))


def _day(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError("its day is no date")
    return date.fromisoformat(text)
