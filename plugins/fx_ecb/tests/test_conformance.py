from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import starship_fx_ecb

from starship_core.testing.rates import FxCase, FxConformance

FRIDAY = (Path(__file__).parent / "files" / "friday.xml").read_bytes()


async def bank(_scope: Any, _receive: Any, send: Any) -> None:
    """An ASGI application that has the daily file at every address."""
    head = [(b"content-type", b"text/xml"), (b"content-length", str(len(FRIDAY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": FRIDAY})


@pytest.fixture
def case() -> FxCase:
    """On the evening of the file's day."""
    (registration,) = starship_fx_ecb.register_fx_providers()
    return FxCase(
        registration=registration,
        now=datetime(2027, 1, 8, 18, tzinfo=UTC),
        base="EUR",
        rates={"USD": Decimal("1.2500"), "INR": Decimal("97.5310")},
        other="GBP",
        service=lambda: bank,
        url="url",
    )


class TestEcb(FxConformance):
    """fx-ecb."""
