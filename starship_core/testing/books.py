"""What the author of a wallet backend gives its kit, and the stage that its checks play on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from sqlalchemy.util import await_only

from starship_core import Balance, Entry, Transaction, WalletBackend, WalletRegistration
from starship_core.testing.plug_case import ENOUGH, PlugCase, PlugStage, called, raised

T = TypeVar("T")

_WAITING: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@dataclass(frozen=True, kw_only=True)
class WalletCase(PlugCase):
    """A wallet backend. Its tables are in the database that is given: it is installed."""

    registers: ClassVar = WalletRegistration
    port: ClassVar = WalletBackend

    registration: WalletRegistration[Any]


@dataclass
class Books(PlugStage[WalletCase]):
    """A check's accounts, in a real database."""

    prefix: str = ""
    """Of its accounts and keys, where checks share a database."""

    def account(self, name: str = "a") -> str:
        return f"wallet:{self.prefix}{name}"

    def key(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def entry(self, kind: Any, key: str, minor: int, **others: Any) -> Entry:
        """On account `a`, in pounds, now, unless told otherwise."""
        of = {"of": self.key(others.pop("of"))} if "of" in others else {}
        usual: dict[str, Any] = {
            "account": self.account(),
            "currency": "GBP",
            "at": self.clock(),
        }
        return Entry(kind=kind, key=self.key(key), minor=minor, **(usual | of | others))

    @asynccontextmanager
    async def wallet(self, minor: int = 0, *, floor: int = 0) -> AsyncIterator[Any]:
        """The backend, open, with account `a` of so much."""
        async with self.opened() as wallet:
            await self.made(wallet, floor=floor)
            if minor:
                await self.posted(wallet, self.entry("credit", "start", minor))
            yield wallet

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """In one transaction."""
        done: T = await called(self.database.run(work))
        return done

    async def made(
        self, wallet: Any, name: str = "a", *, currency: str = "GBP", floor: int = 0
    ) -> None:
        """An account."""
        account = self.account(name)
        await self.run(lambda tx: wallet.open_account(tx, account, currency, floor=floor))

    async def posted(self, wallet: Any, *entries: Entry) -> Sequence[int]:
        """In one transaction; the answer."""
        return list(await self.run(lambda tx: wallet.post(tx, entries)))

    async def refused(self, wallet: Any, *entries: Entry) -> BaseException | None:
        """What posting these raises."""
        return await raised(self.database.run(lambda tx: wallet.post(tx, entries)))

    async def holds(self, wallet: Any, name: str = "a") -> int:
        """What the account holds, as a process that has just begun sees it."""
        return (await self.stands(wallet, name)).minor

    async def stands(self, wallet: Any, name: str = "a") -> Balance:
        balance: Balance = await called(wallet.balance(self.account(name)))
        return balance

    async def together(self, wallet: Any, batches: Sequence[Sequence[Entry]]) -> list[Any]:
        """All at once, each in a transaction of its own: the answers, and what was raised."""

        def posting(batch: Sequence[Entry]) -> Any:
            return self.database.run(lambda tx: list(wallet.post(tx, batch)))

        async with asyncio.timeout(ENOUGH):
            return await asyncio.gather(*map(posting, batches), return_exceptions=True)

    @property
    def one_writer(self) -> bool:
        """Where writers take turns, no two can hold a lock, or wait for each other."""
        return getattr(self.database, "dialect", None) == "sqlite"

    @asynccontextmanager
    async def locked(self, wallet: Any, *names: str) -> AsyncIterator[None]:
        """A transaction that has locked these accounts, and commits at the end."""
        taken, released = asyncio.Event(), asyncio.Event()

        def work(tx: Transaction) -> None:
            wallet.lock(tx, [self.account(name) for name in names])
            taken.set()
            await_only(released.wait())

        holder = asyncio.ensure_future(self.database.run(work))
        waits = asyncio.ensure_future(taken.wait())
        try:
            await asyncio.wait({holder, waits}, return_when="FIRST_COMPLETED", timeout=ENOUGH)
            assert not holder.done(), f"nothing was locked: {holder}"
            yield
        finally:
            waits.cancel()
            released.set()
            await holder

    async def waits(self, task: asyncio.Future[Any], waiters: int = 1) -> bool:
        """Whether it waits for a lock, as the last of so many; False once it has ended."""
        async with asyncio.timeout(ENOUGH):
            while not task.done():
                rows = await self.database.read(lambda tx: tx.execute(_WAITING))
                if rows[0][0] >= waiters:
                    return True
                await asyncio.sleep(0.01)
        return False
