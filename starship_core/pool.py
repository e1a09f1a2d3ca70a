"""Redis: which vouchers to try next. One sorted set a sku, scored by expiry, ids only; SQL decides.

Nothing here is believed: a lost, stale, hung or empty Redis only makes the claim look in SQL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from starship_core.errors import ConfigError, Unavailable
from starship_core.model import Sku

DEADLINE: Final = 0.05
"""Seconds that an order waits for Redis; a hung one must cost no more."""
BULK_DEADLINE: Final = 2.0
"""Seconds for one chunk of loading, reading or rebuilding; no order waits for these."""
FAILURES: Final = 3
SKIP_SECONDS: Final = 5.0
_CHUNK: Final = 1000
"""Elements a command: Redis answers nobody else meanwhile, so it has to be short."""

T = TypeVar("T")
_FAULTS: Final = (RedisError, OSError, TimeoutError)
Command = tuple[str | bytes | int, ...]
_PLAIN: Final[dict[str, Any]] = {"lib_name": None, "lib_version": None}
"""Connecting is one round trip fewer when the library does not introduce itself."""
_log = structlog.get_logger("starship.pool")


class Pool:
    """`url` None: there is no Redis, and the pool is degraded for good."""

    def __init__(
        self, url: str | None, *, prefix: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            self._server = None if url is None else ConnectionPool.from_url(url, **_PLAIN)
        except ValueError as error:
            raise ConfigError(f"[redis] url: {error}") from None
        self._prefix = prefix
        self._monotonic = monotonic
        self._idle: list[AbstractConnection] = []
        self._failures = 0
        self._skip_until = 0.0

    @property
    def degraded(self) -> bool:
        """Orders go without suggestions: no Redis, or it failed and has not answered since."""
        return not self._server or self._failures >= FAILURES

    async def suggest(self, wants: Sequence[tuple[Sku, int]]) -> list[tuple[Sku, int, int]]:
        """Take up to so many a want, first expired first: (sku, voucher id, expiry in µs).

        One round trip; never raises; nothing when degraded. An id taken and not used should be
        put back; if that is lost, the voucher is still found in SQL.
        """
        asked = [(sku, count) for sku, count in wants if count > 0]
        replies = await self.attempt([("ZPOPMIN", self._key(sku), n) for sku, n in asked])
        return [
            (sku, voucher_id, expires_at)
            for (sku, _), reply in zip(asked, replies or (), strict=False)
            for voucher_id, expires_at in _scored(reply)
        ]

    async def put_back(self, entries: Sequence[tuple[Sku, int, int]]) -> None:
        """Return suggestions that were not used: (sku, voucher id, expiry in µs). Never raises."""
        by_key: dict[str, list[int]] = {}
        for sku, voucher_id, expires_at in entries:
            by_key.setdefault(self._key(sku), []).extend((_score(expires_at), voucher_id))
        await self.attempt([("ZADD", key, *flat) for key, flat in by_key.items()])

    async def load(self, sku: Sku, entries: Iterable[tuple[int, int]]) -> None:
        """Add pooled vouchers: (id, expiry in µs). Idempotent. Raises Unavailable."""
        await self.load_all({sku: entries})

    async def load_all(self, entries: Mapping[Sku, Iterable[tuple[int, int]]]) -> None:
        """As `load`, of several skus."""
        await self._ask_all(
            ("ZADD", self._key(sku), *[text for entry in chunk for text in _added(*entry)])
            for sku, some in entries.items()
            for chunk in _chunks(some)
        )

    async def drop(self, sku: Sku, ids: Iterable[int]) -> None:
        """Remove vouchers, present or not. Raises Unavailable."""
        await self.drop_all({sku: ids})

    async def drop_all(self, ids: Mapping[Sku, Iterable[int]]) -> None:
        """As `drop`, of several skus."""
        await self._ask_all(
            ("ZREM", self._key(sku), *chunk) for sku, some in ids.items() for chunk in _chunks(some)
        )

    async def members(self, sku: Sku) -> set[int]:
        """All ids, read while others write: what stays all the time is in. Raises Unavailable."""
        key, cursor = self._key(sku), 0
        found: set[int] = set()
        while True:
            (reply,) = await self._ask([("ZSCAN", key, cursor, "COUNT", _CHUNK)])
            cursor = int(reply[0])
            found.update(_members(reply[1]))
            if not cursor:
                return found

    async def replace(self, sku: Sku, entries: Iterable[tuple[int, int]]) -> None:
        """Make the set equal to these entries while orders go on. Raises Unavailable.

        What changed meanwhile may be off by those ids; SQL refuses or finds them.
        """
        surplus = await self.members(sku)
        wanted = dict(entries)
        await self.load(sku, wanted.items())
        await self.drop(sku, surplus - wanted.keys())

    async def skus(self) -> set[Sku]:
        """Every sku that has a set. Raises Unavailable."""
        found: set[Sku | None] = set()
        cursor = 0
        while True:
            pattern = self._key(None)
            (reply,) = await self._ask([("SCAN", cursor, "MATCH", pattern, "COUNT", _CHUNK)])
            cursor = int(reply[0])
            found.update(self._sku(key) for key in reply[1])
            if not cursor:
                return {sku for sku in found if sku}

    async def ping(self) -> bool:
        """Whether Redis answers in time now; asks even while it is being skipped. Never raises."""
        if not self._server:
            return False
        try:
            return bool(await self._watched([("PING",)], DEADLINE))
        except _FAULTS:
            return False

    async def close(self) -> None:
        """Close every connection. The pool may be used again."""
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)
        await asyncio.sleep(0)  # lets the transports close before the loop may end

    # --- one exchange ---------------------------------------------------------------------------

    async def attempt(self, commands: Sequence[Command]) -> list[Any] | None:
        """One exchange on the hot path (rate limits, too): None when Redis is away or skipped."""
        if not self._server or not commands or not self._may_ask():
            return None
        try:
            return await self._watched(commands, DEADLINE)
        except _FAULTS:
            return None

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        if not self._server:
            raise Unavailable("there is no Redis for the pool", retry_after=60)
        try:
            replies = await self._watched(commands, BULK_DEADLINE)
        except _FAULTS as error:
            raise Unavailable("the pool's Redis cannot be reached", retry_after=5) from error
        for reply in replies:
            if isinstance(reply, RedisError):
                raise Unavailable("the pool's Redis refused a command", retry_after=5) from reply
        return replies

    async def _ask_all(self, commands: Iterable[Command]) -> None:
        """So many commands an exchange that they hold about a chunk of elements."""
        together: list[Command] = []
        for command in commands:
            together.append(command)
            if sum(map(len, together)) >= _CHUNK:
                await self._ask(together)
                together = []
        if together:
            await self._ask(together)

    def _may_ask(self) -> bool:
        """No while skipping; when that time is over, yes to the one caller who finds out."""
        if self._failures < FAILURES:
            return True
        now = self._monotonic()
        if now < self._skip_until:
            return False
        self._skip_until = now + SKIP_SECONDS
        return True

    async def _watched(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        """An exchange that counts as a failure or a success of Redis."""
        try:
            replies = await self._exchange(commands, seconds)
            if all(isinstance(reply, RedisError) for reply in replies):
                raise replies[0]  # a replica, no permission: it answers, but is of no use
        except _FAULTS as error:
            self._failures += 1
            if self._failures >= FAILURES:
                self._skip_until = self._monotonic() + SKIP_SECONDS
            if self._failures == FAILURES:
                _log.warning("pool.skipped", seconds=SKIP_SECONDS, error=type(error).__name__)
            raise
        if self._failures >= FAILURES:
            _log.info("pool.back")
        self._failures = 0
        return replies

    async def _exchange(self, commands: Sequence[Command], seconds: float) -> list[Any]:
        async with asyncio.timeout(seconds):
            while self._idle:
                try:
                    return await self._once(self._idle.pop(), commands)
                except ConnectionLost:  # closed while idle (Redis restarted): so are the others
                    continue
            if not self._server:
                raise ConnectionLost("there is no Redis")
            fresh: AbstractConnection = self._server.make_connection()  # type: ignore[no-untyped-call]  # redis-py
            return await self._once(fresh, commands)

    async def _once(self, connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
            packed = connection.pack_commands(commands)
            await connection.send_packed_command(packed, check_health=False)
            replies = [await _reply(connection) for _ in commands]
        except BaseException:
            # a reply that comes late must never be read as the answer to another call
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return replies

    # --- names ----------------------------------------------------------------------------------

    def _key(self, sku: Sku | None) -> str:
        what = "*" if sku is None else f"{sku.product_id}:{sku.denomination}:{sku.currency}"
        return f"{self._prefix}:pool:{what}"

    @staticmethod
    def _sku(key: bytes) -> Sku | None:
        try:
            product, denomination, currency = key.decode().rsplit(":", 3)[1:]
            return Sku(int(product), int(denomination), currency)
        except ValueError:
            return None


async def _reply(connection: AbstractConnection) -> Any:
    """One reply; a refused command is a value, so that the replies behind it are read too."""
    try:
        return await connection.read_response()
    except ConnectionLost:
        raise
    except RedisError as refusal:
        return refusal


def _members(reply: Any) -> list[int]:
    """Ids of a flat `member, score, …` reply; what is not an id was not put there by us."""
    if not isinstance(reply, list):
        return []
    return [int(id_) for id_ in reply[::2] if isinstance(id_, bytes) and id_.isdigit()]


def _scored(reply: Any) -> list[tuple[int, int]]:
    """(id, expiry in µs) of a flat `member, score, …` reply."""
    if not isinstance(reply, list):
        return []
    pairs = zip(reply[::2], reply[1::2], strict=False)
    return [
        (int(id_), int(score) * 1_000_000)
        for id_, score in pairs
        if isinstance(id_, bytes) and id_.isdigit() and score.isdigit()
    ]


def _score(expires_at: int) -> int:
    """Whole seconds: microseconds of the year 9999 would not be exact in Redis' doubles."""
    return expires_at // 1_000_000


def _added(voucher_id: int, expires_at: int) -> tuple[bytes, bytes]:
    """Score and member, as bytes: what is not yet text costs the library far more time."""
    return b"%d" % _score(expires_at), b"%d" % voucher_id


def _chunks(entries: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(entries)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
