"""The six ports: what a plug must do. Structural types; nobody inherits from these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from starship_core.model import (
    Balance,
    Entry,
    FallbackCase,
    FxTable,
    Money,
    OrderEvent,
    Purchase,
    Secret,
    Target,
    Token,
    VendorOrder,
    VendorProduct,
    VendorReply,
    Verdict,
    Voucher,
    Want,
)

T = TypeVar("T")


Query = tuple[str, tuple[Any, ...]]
"""A statement and its parameters."""
Rows = Sequence[tuple[Any, ...]]


class Transaction(Protocol):
    """An open database transaction, handed to a plugin that must commit together with the core."""

    dialect: Literal["postgresql", "sqlite"]

    def execute(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Run one statement (parameters `$1`, `$2`, … on either database) and return its rows."""
        ...

    def together(self, statements: Sequence[Query]) -> Sequence[Rows]:
        """Run (statement, parameters) each, none of which reads what another one writes.

        The rows of each: numbers, texts and null, each under a name of its own. On PostgreSQL it is
        one round trip, and constraints between their rows hold at its end.
        """
        ...


class Database(Protocol):
    """How a plugin reads and writes its own tables outside the core's transactions."""

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one write transaction; it may be run again whole after a conflict."""
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one read snapshot."""
        ...


class Tokens(Protocol):
    """What a vendor lets us in with for a while: one for all processes, fetched by one of them."""

    async def get(
        self, name: str, fetch: Callable[[], Awaitable[Token]], *, stale: Secret | None = None
    ) -> Secret:
        """The token of that name; `fetch` gets a new one when there is none that still holds.

        `stale`: the vendor has just refused this one; whoever comes after the renewal is given
        the new one and fetches nothing. What `fetch` raises passes; Unavailable when another
        process keeps fetching.
        """
        ...


class InventorySource(Protocol):
    """Where pre-purchased vouchers come from when the pump runs."""

    def pull(self, wants: Sequence[Want]) -> AsyncIterator[Voucher]:
        """Yield vouchers, at least once each until confirmed; the same `reference` is the same
        unit. `wants` is a hint: of a sku with a target, what comes beyond it is not taken, and not
        confirmed.
        """
        ...

    async def confirm(self, references: Sequence[str]) -> None:
        """These are in the stock now. Idempotent; references are the source's own."""
        ...


class RecallingSource(InventorySource, Protocol):
    """A source that can take units back (a vendor's audit)."""

    async def recalled(self) -> Sequence[str]:
        """References that must leave the pool; those already delivered stay delivered."""
        ...


class ReportingSource(InventorySource, Protocol):
    """A source that tells what the last pull did not hand over."""

    def passed_over(self) -> tuple[int, int, Sequence[str]]:
        """How many units are confirmed already and were not offered again; how many cannot be
        read; and a sentence on each of these (the first thousand), with its place, without a code.
        """
        ...


class VendorFulfiller(Protocol):
    """A vendor that can be asked for vouchers once a fallback is approved."""

    async def buy(self, purchase: Purchase) -> VendorReply:
        """Send the purchase once, under its reference.

        Raises Unavailable (nothing accepted) or Ambiguous.
        """
        ...

    async def find(self, purchase: Purchase) -> VendorReply | None:
        """What the vendor knows of the reference; None: no such reference. Never buys."""
        ...

    def catalogue(self) -> AsyncIterator[VendorProduct]:
        """Everything on offer, page by page."""
        ...


class BalanceReporting(Protocol):
    """A vendor that tells our float with it."""

    async def balance(self) -> Sequence[Money]:
        """One amount a currency. Advisory."""
        ...


class ReadsCallbacks(Protocol):
    """A vendor that calls us back; its word is only a hint to `find`."""

    def reference(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Which of our references the callback is about, if any."""
        ...


class Reversing(Protocol):
    """A vendor that can undo a purchase; operators only."""

    async def reverse(self, purchase: Purchase) -> VendorReply:
        """Refused: it stays bought."""
        ...


class ListsOrders(Protocol):
    """A vendor that lists our orders with it, to reconcile with."""

    async def orders(self, since: datetime, until: datetime) -> Sequence[VendorOrder]:
        """All that were placed in this time, each once; others may be among them.

        Raises Unavailable.
        """
        ...


class FxProvider(Protocol):
    """Exchange rates used to price an order in the wallet's currency."""

    async def rates(self, base: str) -> FxTable:
        """Decimal rates of one unit of `base`, with source and time. Raises Unavailable."""
        ...


class WalletBackend(Protocol):
    """A ledger in our database, inside our transaction."""

    def lock(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        """Lock the accounts, in order of name, until commit.

        An unknown account is absent from the answer.
        """
        ...

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> Sequence[int]:
        """Post all entries in order; return the account's balance (minor units) after each.

        Idempotent by key: a key that was posted before moves nothing. A refund or reversal never
        exceeds what is left of the entry it is `of`; a debit never passes the floor. Raises
        InsufficientFunds or WrongState; the caller's transaction is then rolled back.
        """
        ...

    def open_account(self, tx: Transaction, account: str, currency: str, *, floor: int) -> None:
        """Make the account, or set its floor (≤ 0, minor units). Idempotent."""
        ...

    async def balance(self, account: str) -> Balance:
        """The balance now. Raises NotFound."""
        ...


class PlainRows(Protocol):
    """A wallet backend whose `lock` and `post` may share round trips with the core's statements.

    The rows of all that they execute are numbers, texts and null, each under a name of its own.
    """

    plain_rows: Literal[True]


class StatementLine(Protocol):
    """One line of a statement, in minor units."""

    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def minor(self) -> int: ...
    @property
    def balance_after(self) -> int: ...


class Statements(Protocol):
    """A wallet backend that lists what happened in a window."""

    async def statement(
        self, account: str, since: datetime, until: datetime
    ) -> tuple[int, Sequence[StatementLine], int]:
        """Opening balance, lines in posting order, closing balance: they add up."""
        ...


class Verifies(Protocol):
    """A plugin that can check its own tables (`starship verify`, `starship ledger verify`)."""

    def violations(self, tx: Transaction) -> Sequence[str]:
        """One sentence a broken invariant, naming it (`I2 …`) and the row; empty when all hold."""
        ...


class Reconciles(Protocol):
    """A wallet backend whose entries can be held against the transactions that clients see."""

    def entries(self, tx: Transaction, keys: Sequence[str]) -> Mapping[str, Entry]:
        """What was posted under each of these keys; a key that never was is absent."""
        ...

    def balances(self, tx: Transaction, accounts: Sequence[str]) -> Mapping[str, Balance]:
        """As `WalletBackend.lock` answers, and locks nothing."""
        ...


class Notifier(Protocol):
    """A transport that tells one target of one event."""

    async def notify(self, event: OrderEvent, to: Target) -> None:
        """Deliver once. Raises Unavailable to be asked again."""
        ...


class FulfilPolicy(Protocol):
    """Says whether a vendor may be bought from without an operator."""

    def decide(self, case: FallbackCase) -> Verdict:
        """Pure and quick; the core records the case and the verdict."""
        ...
