"""Notices: told once, in the transaction of the finding, and sent until operators have them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import msgspec
import pytest

from starship_core.access import Client
from starship_core.database import Tx
from starship_core.errors import Unavailable
from starship_core.flows.move_money import credit_wallet
from starship_core.flows.send_notices import RETRY_SECONDS, oldest_due, sweep_notices
from starship_core.model import Money, OrderEvent, Secret, Target
from starship_core.store.notices import Notice, list_notices, notify
from starship_core.testing.clock import ManualClock
from tests.integration.ships import ANA, CARD, Dock


@dataclass
class Mail:
    """A notifier to operators."""

    away: bool = False
    letters: list[OrderEvent] = field(default_factory=list)

    async def notify(self, event: OrderEvent, to: Target) -> None:
        assert (to.address, to.secrets) == ("", ())
        if self.away:
            raise Unavailable("the mail server is away")
        self.letters.append(event)


def manned(dock: Dock, **mails: Mail) -> Dock:
    """With these notifiers for its operators."""
    config = dock.ship.config
    events = msgspec.structs.replace(config.events, operators=list(mails))
    config = msgspec.structs.replace(config, events=events)
    return replace(dock, ship=replace(dock.ship, config=config, notifiers=mails))


def found(tx: Tx, at: datetime, key: str = "k") -> bool:
    return notify(
        tx, "test.found", subject="thing:7", summary="it is found", text="look\nstarship verify",
        key=key, at=at, data={"thing": 7},
    )  # fmt: skip


async def notices(dock: Dock) -> list[Notice]:
    return await dock.ship.database.read(lambda tx: list_notices(tx, limit=99))


async def test_a_finding_is_told_once_to_every_notifier(dock: Dock) -> None:
    """The same key again is nothing new; each notifier gets it once."""
    first, second = Mail(), Mail()
    dock = manned(dock, first=first, second=second)
    run, now = dock.ship.database.run, dock.ship.now()
    assert [await run(found, now), await run(found, now)] == [True, False]
    assert await sweep_notices(dock.ship) == 1
    assert await sweep_notices(dock.ship) == 0
    (letter,) = first.letters
    assert second.letters == [letter]
    assert (letter.event_id, letter.event_type) == ("ntc_1_test.found", "test.found")
    assert letter.data == {
        "summary": "it is found", "text": "look\nstarship verify", "subject": "thing:7", "thing": 7,
    }  # fmt: skip
    (notice,) = await notices(dock)
    assert (notice.status, notice.sent_to) == ("SENT", ("first", "second"))


async def test_it_is_sent_until_it_is_taken(dock: Dock, clock: ManualClock) -> None:
    """The one that is away is asked again, later and later; the one that took it is not."""
    here, away = Mail(), Mail(away=True)
    dock = manned(dock, here=here, away=away)
    await dock.ship.database.run(found, dock.ship.now())
    assert await sweep_notices(dock.ship) == 1
    clock.advance(seconds=59)
    assert await sweep_notices(dock.ship) == 0
    clock.advance(seconds=1)
    assert await sweep_notices(dock.ship) == 1
    (notice,) = await notices(dock)
    assert (notice.status, notice.attempts, notice.error) == (
        "PENDING", 2, "away: the mail server is away",
    )  # fmt: skip
    away.away = False
    clock.advance(seconds=300)
    await sweep_notices(dock.ship)
    assert [each.status for each in await notices(dock)] == ["SENT"]
    assert (len(here.letters), len(away.letters)) == (1, 1)


async def test_what_reaches_nobody_is_seen_as_failed(dock: Dock, clock: ManualClock) -> None:
    """After more than a day of attempts."""
    dock = manned(dock, away=Mail(away=True))
    await dock.ship.database.run(found, dock.ship.now())
    for pause in (0, *RETRY_SECONDS):
        clock.advance(seconds=pause)
        assert await sweep_notices(dock.ship) == 1
    assert sum(RETRY_SECONDS) > 86_400
    assert [each.status for each in await notices(dock)] == ["FAILED"]


async def test_without_a_notifier_they_wait(dock: Dock) -> None:
    """Nothing is lost before anybody is named."""
    await dock.ship.database.run(found, dock.ship.now())
    assert await sweep_notices(dock.ship) == 0
    assert await dock.ship.database.read(oldest_due, 2**62) is not None
    mail = Mail()
    assert await sweep_notices(manned(dock, mail=mail).ship) == 1
    assert len(mail.letters) == 1


async def test_a_secret_is_in_no_notice(dock: Dock) -> None:
    """By its type: the finding's transaction fails."""
    with pytest.raises(TypeError):
        await dock.ship.database.run(
            lambda tx: notify(
                tx, "k", subject="s", summary="s", text="t", key="k", at=dock.ship.now(),
                data={"code": Secret("CODE-1")},
            )
        )  # fmt: skip
    assert await notices(dock) == []


async def test_a_low_balance_is_told_until_money_comes(dock: Dock, acme: Client) -> None:
    """Once; after a credit that still is too little, once more."""
    section = msgspec.structs.replace(
        dock.ship.config.notices, low_balance={"EUR": Decimal(990), "JPY": Decimal(1)}
    )
    dock = noticing(dock, section)
    await sweep_notices(dock.ship)
    assert await notices(dock) == []
    await dock.place(acme, "order-1")
    await sweep_notices(dock.ship)
    await dock.place(acme, "order-2")
    await sweep_notices(dock.ship)
    (notice,) = await notices(dock)
    assert notice.summary == "client 1 has 975.00 EUR left to spend, less than 990.00"
    await credit_wallet(dock.ship, 1, Money(1, "EUR"), reference="T-9", by=ANA)
    await sweep_notices(dock.ship)
    assert [each.summary for each in await notices(dock)] == [
        "client 1 has 950.01 EUR left to spend, less than 990.00", notice.summary,
    ]  # fmt: skip


async def test_a_low_stock_is_told_until_more_comes(dock: Dock, acme: Client) -> None:
    """Of what was stocked once: what never was is no finding."""
    dock = noticing(dock, msgspec.structs.replace(dock.ship.config.notices, low_stock=2))
    await dock.stock(2, CARD)
    await sweep_notices(dock.ship)
    assert await notices(dock) == []
    await dock.place(acme, "order-1")
    await sweep_notices(dock.ship)
    await sweep_notices(dock.ship)
    (notice,) = await notices(dock)
    assert notice.summary == "1/25.00/EUR has 1 vouchers in the pool, less than 2"


def noticing(dock: Dock, section: object) -> Dock:
    config = msgspec.structs.replace(dock.ship.config, notices=section)
    return replace(dock, ship=replace(dock.ship, config=config))
