"""The stage that each check of the vendor kit plays on: its cassette, its references, its clock."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from starship_core import Accepted, Money, Purchase, Secret, Sku, VendorReply
from starship_core.testing.case import NOWHERE, Line, VendorCase
from starship_core.testing.cassettes import Facts, facts_of, recorded, replayed
from starship_core.testing.player import Player
from starship_core.testing.plug_case import called
from starship_core.testing.plugs import toolbox
from starship_core.testing.scrub import SHORTEST, Scan, Scrubber, is_fake
from starship_core.testing.serving import served

PURCHASE: Final = "buys_what_was_ordered.yaml"
LOOKS: Final = 40
"""How often an order is looked up until it must have ended."""


@dataclass
class Stage:
    """One check's own: a cassette, references, a clock."""

    case: VendorCase
    file: Path
    """The cassette."""
    recording: bool
    logged: list[str] = field(default_factory=list)
    """What the adapter said to `toolbox.log`."""
    codes: list[str] = field(default_factory=list)
    _facts: Facts | None = None

    @property
    def facts(self) -> Facts:
        """Of this recording, or of the one that is played."""
        if self._facts is None:
            self._facts = self._new_facts() if self.recording else self._taped_facts()
        return self._facts

    def _new_facts(self) -> Facts:
        url, fields, lines = self.case.given()
        secret = self.case.secrets()
        return Facts(
            url=url or NOWHERE,
            salt=secrets.token_hex(8),
            now=datetime.now(UTC).isoformat(),
            section={name: value for name, value in fields.items() if name not in secret},
            lines=lines,
        )

    def _taped_facts(self) -> Facts:
        told = "is not there: run pytest --record-mode=rewrite"
        assert self.file.exists(), f"{self.file.name} {told}"
        return facts_of(self.file)[1]

    def line(self, name: str) -> Line:
        """`good`, `rejected` or `partial`: of the case, or the one given for this recording."""
        given = self.facts.lines.get(name)
        line = Line.read(given) if given else getattr(self.case, name)
        assert isinstance(line, Line), f"the case names no purchase `{name}`"
        return line

    @property
    def tape(self) -> Stage:
        """The stage of the recorded good purchase: what faults are made from."""
        if self.recording:
            pytest.skip("made from the recorded purchase: run again without --record-mode")
        return Stage(self.case, self.file.with_name(PURCHASE), recording=False)

    def purchase(self, line: Line | str = "good", name: str = "") -> Purchase:
        """A purchase with a reference of its own, the same one each time the cassette is played."""
        line = self.line(line) if isinstance(line, str) else line
        salt = self.facts.salt
        digest = hashlib.sha256(f"{salt}:{self.file.stem}:{name}".encode()).hexdigest()
        planned = datetime.fromisoformat(self.facts.now)
        return Purchase(
            reference=reference(self.case.registration.traits.reference, digest),
            sku=Sku(1, line.face.minor, line.face.currency),
            quantity=line.quantity,
            vendor_product=line.product,
            ceiling=Money(10**9, line.face.currency),
            planned_at=planned,
        )

    @asynccontextmanager
    async def vendor(self) -> AsyncIterator[Any]:
        """The adapter, open, talking to the cassette; while recording, to whom it is recorded."""
        if not self.recording:
            with replayed(self.file):
                async with self.opened(self.facts.url, **_typed(self.facts.section)) as vendor:
                    yield vendor
            return
        url, fields, _ = self.case.given()
        async with _somewhere(url, self.case) as (asked, provenance):
            swaps = self._swaps(fields)
            scrubber = Scrubber(self.case.secret_keys, swaps, self.case.envelopes)
            with recorded(self.file, provenance, self.facts, scrubber=scrubber, asked=asked):
                async with self.opened(asked, **_typed(fields)) as vendor:
                    yield vendor
                for code in self.codes:
                    scrubber.learn(code)
            self._scan({*swaps, *self.codes})

    def _scan(self, known: Collection[str]) -> None:
        """A cassette that holds what it must not does not stay."""
        keys = frozenset(key.lower() for key in self.case.secret_keys)
        real = tuple(one for one in known if len(one) >= SHORTEST and not is_fake(one))
        scan = Scan(keys, real, tuple(self.case.envelopes))
        found = list(scan.cassette(self.file.read_text(encoding="utf-8")))
        if found:
            self.file.unlink()
        assert not found, f"not clean, and removed: {found}"

    @asynccontextmanager
    async def opened(self, url: str, **changed: Any) -> AsyncIterator[Any]:
        """The adapter, open, talking to `url`."""
        now = datetime.fromisoformat(self.facts.now)
        tools = replace(
            toolbox(self.file.parent, self.case.name),
            now=lambda: now,
            log=lambda *said, **ids: self.logged.append(f"{said} {ids}"),
        )
        async with self.case.registration.open(self.case.config(url, **changed), tools) as vendor:
            yield vendor

    @asynccontextmanager
    async def opened_anywhere(self) -> AsyncIterator[Any]:
        """The adapter, open; nobody is at its address."""
        tools = toolbox(self.file.parent, self.case.name)
        async with self.case.registration.open(self.case.config(NOWHERE), tools) as vendor:
            yield vendor

    @asynccontextmanager
    async def against(self, player: Player, **changed: Any) -> AsyncIterator[Any]:
        """The adapter, open, talking to a player of this cassette."""
        url = player.url + urlsplit(self.facts.url).path
        async with self.opened(url, **_typed(self.facts.section), **changed) as vendor:
            yield vendor

    async def ended(self, vendor: Any, purchase: Purchase) -> VendorReply | None:
        """What `find` says once the order is no longer open."""
        reply: VendorReply | None = None
        for _ in range(LOOKS):
            reply = await self.call(vendor.find(purchase))
            if reply is not None and not isinstance(reply, Accepted):
                break
            if self.recording and self.facts.url != NOWHERE:
                await asyncio.sleep(2)
        return reply

    async def bought(self, vendor: Any, purchase: Purchase) -> VendorReply | None:
        """Bought, and looked up until it has ended."""
        reply: VendorReply | None = await self.call(vendor.buy(purchase))
        if isinstance(reply, Accepted):
            return await self.bought_later(vendor, purchase)
        return self._noted(reply)

    async def bought_later(self, vendor: Any, purchase: Purchase) -> VendorReply | None:
        """What was accepted, once it has ended."""
        return self._noted(await self.ended(vendor, purchase))

    def _noted(self, reply: VendorReply | None) -> VendorReply | None:
        for voucher in getattr(reply, "vouchers", ()):
            parts = (voucher.card_number, voucher.pin_code, voucher.claim_url)
            self.codes += [part.reveal() for part in parts if part is not None]
        return reply

    async def call(self, asked: Any) -> Any:
        """Its result, or what it raises; TimeoutError after a while, which no check expects."""
        return await called(asked)

    def _swaps(self, given: Mapping[str, Any]) -> dict[str, str]:
        fakes = self.case.secrets()
        return {str(given[name]): value for name, value in fakes.items() if name in given}


def reference(rule: Any, digest: str) -> str:
    """One that the vendor's rule admits, made from a digest."""
    if rule.form == "text":
        number, made = int(digest, 16), ""
        while number and len(made) < rule.longest:
            number, place = divmod(number, len(rule.alphabet))
            made += rule.alphabet[place]
        return made
    return str(UUID(hex=digest[:32], version=4))


def _typed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Text of the environment fills a field of any type, as `{ env = … }` does."""
    return {
        name: Secret(value) if isinstance(value, str) else value for name, value in fields.items()
    }


@asynccontextmanager
async def _somewhere(url: str | None, case: VendorCase) -> AsyncIterator[tuple[str, str]]:
    """Where to record, and what the cassette says of it."""
    if url is not None:
        yield url, f"{case.name}, recorded at the vendor"
        return
    async with served(case.sandbox()) as own:
        yield own, f"{case.name}'s sandbox, after {case.source}"
