"""The seventeen faults, by the names that the table and the documentation use."""

from __future__ import annotations

from typing import Any, Final

from tests.matrix.front import Exchange, Fault
from tests.matrix.shops import Answer, Shop

_HTML: Final = Answer(200, b"<!DOCTYPE html><html><body>Just a moment</body></html>", "text/html")


async def _cut_before(exchange: Exchange) -> None:
    exchange.cut()


async def _cut_after(exchange: Exchange) -> None:
    await exchange.forward()
    exchange.cut()


async def _drip(exchange: Exchange) -> None:
    await exchange.drip(await exchange.forward())


async def _error_after(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.answer(Answer(500, b""))


async def _error_before(exchange: Exchange) -> None:
    await exchange.answer(Answer(500, b""))


async def _gateway(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.answer(Answer(503, b"upstream timed out", "text/plain"))


async def _too_early(exchange: Exchange) -> None:
    await exchange.forward("hidden")
    await exchange.answer(Answer(500, b""))


async def _too_many(exchange: Exchange) -> None:
    await exchange.answer(Answer(429, b"Too many requests", "text/plain"))


async def _half(exchange: Exchange) -> None:
    answer = await exchange.forward()
    half = answer.body[: len(answer.body) // 2]
    await exchange.answer(Answer(answer.status, half, answer.media))


async def _html(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.answer(_HTML)


async def _duplicate(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.answer(exchange.shop.duplicate)


async def _error_body(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.answer(exchange.shop.error)


async def _fewer(exchange: Exchange) -> None:
    """Where a vendor sells in parts, it does; elsewhere only its answer is short."""
    shop = exchange.shop
    answer = await exchange.forward("partial" if shop.parts else "")
    if not shop.parts:
        goods = shop.opened(answer.body)
        shop.cards(goods).pop()
        answer = Answer(answer.status, shop.closed(answer.body, goods), answer.media)
    await exchange.answer(answer)


def _unknown_word(shop: Shop, goods: Any) -> None:
    goods[shop.word] = "Under Review"


def _repeated(shop: Shop, goods: Any) -> None:
    """The second unit has the first one's code, under a number of its own."""
    first, *others = shop.cards(goods)
    for other in others:
        other.update({name: first[name] for name in shop.codes})


def _other_price(shop: Shop, goods: Any) -> None:
    shop.dearer(goods)


FAULTS: Final[dict[str, Fault]] = {
    "connection refused": Fault("nobody listens at the vendor's address", absent=True),
    "cut before send": Fault("the connection ends, and the vendor was asked nothing", _cut_before),
    "cut after send": Fault("the vendor sold, and the connection ends", _cut_after),
    "slow drip": Fault("the vendor sold; its answer never ends", _drip, seconds=1.0),
    "500, bought": Fault("the vendor sold, and answers 500", _error_after),
    "500, not bought": Fault("the vendor did not sell, and answers 500", _error_before),
    "503, bought": Fault("the vendor sold, and a gateway answers 503", _gateway),
    "404 too early": Fault("the vendor sold, and at first does not know the order", _too_early),
    "429": Fault("too many requests", _too_many),
    "truncated JSON": Fault("the vendor sold; its answer is half of itself", _half),
    "HTML 200": Fault("the vendor sold, and a page of HTML is answered with 200", _html),
    "unknown status": Fault(
        "the order has a status that is not documented", alters=_unknown_word, first=True
    ),
    "duplicate reference": Fault(
        "the vendor sold, and answers that the reference was used before", _duplicate
    ),
    "error in a 200": Fault("the vendor sold, and answers 200 with an error", _error_body),
    "fewer codes": Fault("two were ordered; the answer has one", _fewer),
    "repeated code": Fault("two units have the same code", alters=_repeated),
    "other price": Fault(
        "more is charged than approved; where the charge is not told, units have another value",
        alters=_other_price,
    ),
}
