"""What a plugin author writes, as a type checker sees it. Never executed.

A line without a comment must pass; a line with `type: ignore` must fail with that very code, since
an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, assert_type

from msgspec import Struct

from starship_core import (
    Balance,
    Bought,
    Database,
    Entry,
    FallbackCase,
    FulfilPolicy,
    FxProvider,
    FxRegistration,
    FxTable,
    InventorySource,
    Money,
    Notifier,
    OrderEvent,
    PolicyRegistration,
    Purchase,
    RecallingSource,
    Secret,
    Sku,
    SourceRegistration,
    Target,
    Toolbox,
    Transaction,
    VendorFulfiller,
    VendorProduct,
    VendorRegistration,
    VendorReply,
    VendorTraits,
    Verdict,
    Voucher,
    WalletBackend,
    WalletRegistration,
    Want,
    hookimpl,
)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    base_url: str
    token: Secret


# A vendor: three methods, no base class.


class Vendor:
    def __init__(self, config: Config) -> None:
        self.token = config.token.reveal()

    async def buy(self, purchase: Purchase) -> VendorReply:
        return Bought(vouchers=(), charged=Money.of("1.50", "EUR"))

    async def find(self, purchase: Purchase) -> VendorReply | None:
        return None

    async def catalogue(self) -> AsyncIterator[VendorProduct]:
        raise NotImplementedError
        yield


@asynccontextmanager
async def open_vendor(config: Config, toolbox: Toolbox) -> AsyncIterator[VendorFulfiller]:
    assert_type(toolbox.now(), datetime)
    yield Vendor(config)


@hookimpl
def register_vendor_fulfillers() -> Iterable[VendorRegistration[Config]]:
    yield VendorRegistration(name="acme", api=1, config=Config, open=open_vendor)
    yield VendorRegistration(
        name="acme-slow",
        api=1,
        config=Config,
        open=open_vendor,
        traits=VendorTraits(lookup=True, duplicates="replays"),
    )


def registrations_that_are_refused() -> None:
    VendorRegistration(name="acme", config=Config, open=open_vendor)  # type: ignore[call-arg]
    VendorRegistration("acme", 1, Config, open_vendor)  # type: ignore[call-arg]
    VendorRegistration(name="acme", api="1", config=Config, open=open_vendor)  # type: ignore[arg-type]
    VendorRegistration(name="acme", api=1, config=Other, open=open_vendor)  # type: ignore[arg-type]
    SourceRegistration(name="acme", api=1, config=Config, open=open_vendor)  # type: ignore[arg-type]
    VendorRegistration(name="acme", api=1, config=Config, open=Vendor)  # type: ignore[arg-type]
    VendorTraits(duplicates="maybe")  # type: ignore[arg-type]


class Other(Struct):
    pass


# A source, and one that recalls as well.


class Source:
    async def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        for want in wants:
            yield Voucher(sku=want.sku, reference="1", card_number=Secret("x"))

    async def confirm(self, references: Sequence[str]) -> None: ...


class Recalling(Source):
    async def recalled(self) -> Sequence[str]:
        return ()


class OldSource:
    async def pull(self, wants: Sequence[Want]) -> list[Voucher]:
        return []

    async def confirm(self, references: Sequence[str]) -> None: ...


plain: InventorySource = Source()
recalling: RecallingSource = Recalling()
still_a_source: InventorySource = Recalling()
not_recalling: RecallingSource = Source()  # type: ignore[assignment]
a_list_is_no_stream: InventorySource = OldSource()  # type: ignore[assignment]


# The other four ports.


class Rates:
    async def rates(self, base: str) -> FxTable:
        raise NotImplementedError


class Wallet:
    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        assert_type(tx.execute("SELECT 1", 2), Sequence[tuple[Any, ...]])
        return {}

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        return ()

    def open_account(self, tx: Transaction, account: str, currency: str, *, floor: int) -> None: ...

    async def balance(self, account: str) -> Balance:
        raise NotImplementedError


class Told:
    async def notify(self, event: OrderEvent, to: Target) -> None: ...


class Policy:
    def decide(self, case: FallbackCase) -> Verdict:
        return Verdict(says="NoObjection", reason="not my product")


class AsyncPolicy:
    async def decide(self, case: FallbackCase) -> Verdict:
        return Verdict(says="Perhaps", reason="")  # type: ignore[arg-type]


rates: FxProvider = Rates()
wallet: WalletBackend = Wallet()
notifier: Notifier = Told()
policy: FulfilPolicy = Policy()
decides_at_once: FulfilPolicy = AsyncPolicy()  # type: ignore[assignment]
not_a_wallet: WalletBackend = Rates()  # type: ignore[assignment]


@asynccontextmanager
async def open_wallet(config: Other, toolbox: Toolbox) -> AsyncIterator[WalletBackend]:
    yield Wallet()


WalletRegistration(name="w", api=1, config=Other, open=open_wallet, migrations="w:migrations")
PolicyRegistration(name="w", api=1, config=Other, open=open_wallet)  # type: ignore[arg-type]
FxRegistration(name="w", api=1, config=Other, open=open_wallet, migrations="x")  # type: ignore[call-arg, arg-type]


# Values: exact, frozen, and closed about secrets.


async def database(held: Database) -> None:
    assert_type(await held.run(lambda tx: len(tx.execute("SELECT 1"))), int)
    assert_type(await held.read(lambda tx: tx.dialect == "sqlite"), bool)


def values(sku: Sku, voucher: Voucher, secret: Secret) -> None:
    assert_type(sku.face, Money)
    assert_type(secret.reveal(), str)
    Money.of(1.5, "EUR")  # type: ignore[arg-type]
    Money.of("1.50", "EUR").minor = 2  # type: ignore[misc]
    Voucher(sku=sku, reference="1", card_number="1234")  # type: ignore[arg-type]
    voucher.reference + secret  # type: ignore[operator]
