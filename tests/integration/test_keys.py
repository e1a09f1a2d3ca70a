"""Rotation while orders go on, resumed after any crash; pruning; the commands and the drill."""

import asyncio
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core import Secret
from starship_core.access import signing_purpose
from starship_core.audit import By
from starship_core.cli import main
from starship_core.database import PostgreSQL, SQLite, opened
from starship_core.flows.rotate_keys import PLACES, list_keys, prune, rotate
from starship_core.keyring import add_key, read_keys
from starship_core.ship import Ship
from starship_core.store.sealed_secrets import raw_purpose
from starship_core.store.webhooks import secret_purpose
from starship_core.testing.clock import ManualClock
from starship_core.vault import Code, MissingKey, Unsealable, Vault, create_keys

BY = By(actor="operator:test", reason="yearly")
COUNT = 1_203
"""More than two chunks."""


def code(number: int) -> Code:
    return Code(Secret(f"card-{number}"), None, None)


def seed(tx: Any, vault: Vault) -> None:
    """A product, its vouchers, two duplicates aside, and two credentials, one of them rotated."""
    tx.execute("INSERT INTO categories (id, name, slug, created_at, updated_at)"
               " VALUES (1, 'c', 'c', 0, 0)")  # fmt: skip
    tx.execute("INSERT INTO products (id, code, name, category_id, currency, created_at,"
               " updated_at) VALUES (1, 'p', 'p', 1, 'EUR', 0, 0)")  # fmt: skip
    for number in range(1, COUNT + 1):
        sealed, key_id = vault.seal(number, code(number))
        tx.execute(
            "INSERT INTO vouchers (id, product_id, denomination, currency, state, sealed, key_id,"
            " fingerprint, origin, expires_at, created_at, updated_at)"
            " VALUES ($1, 1, 1000, 'EUR', 'pooled', $2, $3, $4, $4, 9, 0, 0)",
            number, sealed, key_id, f"x:{number}",
        )  # fmt: skip
    for number in (5001, 5002):
        sealed, key_id = vault.seal(number, code(number))
        tx.execute(
            "INSERT INTO quarantine (id, origin, fingerprint, sealed, key_id, reason, created_at)"
            " VALUES ($1, $2, $2, $3, $4, 'r', 0)",
            number, f"y:{number}", sealed, key_id,
        )  # fmt: skip
    tx.execute("INSERT INTO clients (id, name, created_at) VALUES (1, 'acme', 0)")
    for number, older in ((1, None), (2, "whsec_old")):
        purpose = signing_purpose(number)
        tx.execute(
            "INSERT INTO credentials (id, client_id, api_key, secret_hash, signing_sealed,"
            " older_signing_sealed, created_at) VALUES ($1, 1, $2, 'h', $3, $4, 0)",
            number, f"sk_test_{number}", vault.seal_secret(purpose, f"whsec_{number}"),
            older and vault.seal_secret(purpose, older),
        )  # fmt: skip
    tx.execute(
        "INSERT INTO webhooks (id, client_id, name, url, events, fingerprint, secret_sealed,"
        " created_at, updated_at) VALUES (1, 1, 'w', 'u', '[]', 'f', $1, 0, 0)",
        vault.seal_secret(secret_purpose(1), "whsec_own"),
    )
    _buy(tx, vault)


def _buy(tx: Any, vault: Vault) -> None:
    """A purchase whose vendor's reply was unclear and is kept, and one without."""
    tx.execute(
        "INSERT INTO approvals (id, product_id, denomination, currency, actor, reason, vendors,"
        " ceiling, ceiling_currency, state, expires_at, created_at, updated_at)"
        " VALUES (1, 1, 1, 'EUR', 'a', 'r', '[]', 9, 'EUR', 'STANDING', 9, 0, 0)"
    )
    raw = vault.seal_secret(raw_purpose(1), "HTTP 500")
    for number, kept in ((1, raw), (2, None)):
        tx.execute(
            "INSERT INTO purchases (id, approval_id, vendor, vendor_product, product_id,"
            " denomination, currency, quantity, reference, state, ceiling, ceiling_currency,"
            " raw_sealed, raw_key_id, planned_at, updated_at) VALUES ($1, 1, 'north', 'p', 1, 1,"
            " 'EUR', 1, $2, 'PLANNED', 1, 'EUR', $3, $4, 0, 0)",
            number, f"R{number}", kept, kept and kept.partition(".")[0],
        )  # fmt: skip


@pytest.fixture
async def ship(database: PostgreSQL | SQLite, clock: ManualClock, tmp_path: Path) -> Ship:
    create_keys(tmp_path / "keys")
    vault = Vault.open(tmp_path / "keys")
    await database.run(seed, vault)
    return cast("Ship", SimpleNamespace(database=database, now=clock, vault=vault))


async def rows(ship: Ship, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    return [
        tuple(row) for row in await ship.database.read(lambda tx: tx.execute(text, *parameters))
    ]


async def everything_opens(ship: Ship) -> set[str]:
    """Read every sealed thing with a vault opened afresh; the keys that were needed."""
    vault = Vault.open(ship.vault.folder)
    needed = set()
    for place in PLACES[:2]:
        for number, sealed, key_id in await rows(ship, f"SELECT id, sealed, key_id FROM {place}"):
            assert vault.reveal(number, sealed, key_id) == code(number)
            needed.add(key_id)
    secrets = await rows(ship, "SELECT id, signing_sealed, older_signing_sealed FROM credentials")
    for number, sealed, older in secrets:
        purpose = signing_purpose(number)
        assert vault.open_secret(purpose, sealed) == Secret(f"whsec_{number}")
        assert older is None or vault.open_secret(purpose, older) == Secret("whsec_old")
        needed |= {text.partition(".")[0] for text in (sealed, older) if text}
    ((sealed,),) = await rows(ship, "SELECT secret_sealed FROM webhooks")
    assert vault.open_secret(secret_purpose(1), sealed) == Secret("whsec_own")
    needed.add(sealed.partition(".")[0])
    replies = "SELECT raw_sealed, raw_key_id FROM purchases WHERE raw_sealed IS NOT NULL"
    ((sealed, key_id),) = await rows(ship, replies)
    assert vault.open_secret(raw_purpose(1), sealed) == Secret("HTTP 500")
    assert sealed.partition(".")[0] == key_id
    return needed | {key_id}


async def test_a_rotation_leaves_everything_under_the_new_key(ship: Ship) -> None:
    """Vouchers, duplicates aside and both signing secrets; nothing else changed; audited."""
    old = ship.vault.current_key
    prints = await rows(ship, "SELECT id, fingerprint, updated_at FROM vouchers ORDER BY id")
    seen: list[int] = []

    done = await rotate(ship, by=BY, progress=seen.append)

    assert done.added
    assert done.key == ship.vault.current_key != old
    few = {"quarantine": 2, "credentials": 2, "webhooks": 1, "purchases": 1}
    assert done.resealed == {"vouchers": COUNT} | few
    assert (done.damaged, done.remaining, sum(seen)) == ([], 0, COUNT + 6)
    assert await everything_opens(ship) == {done.key}
    assert (
        await rows(ship, "SELECT id, fingerprint, updated_at FROM vouchers ORDER BY id") == prints
    )
    assert await rows(ship, "SELECT actor, action, subject, reason FROM audit ORDER BY id") == [
        ("operator:test", "keys.add", f"key:{done.key}", "yearly"),
        ("operator:test", "keys.rotate", f"key:{done.key}", "yearly"),
    ]
    assert [(use.id, use.state, use.rows) for use in await list_keys(ship)] == [
        (old, "old", 0), (done.key, "current", COUNT + 6),
    ]  # fmt: skip


async def test_a_server_that_runs_goes_on_reading(ship: Ship) -> None:
    """Its vault was opened before; rows under the new key open in it, new rows get the new key."""
    server = Vault.open(ship.vault.folder)
    done = await rotate(ship, by=BY)
    ((number, sealed, key_id),) = await rows(
        ship, "SELECT id, sealed, key_id FROM vouchers WHERE id = 7"
    )
    assert server.reveal(number, sealed, key_id) == code(7)
    assert server.seal(9999, code(1))[1] == done.key


class Killed(BaseException):
    """As SIGKILL."""


async def test_killed_anywhere_and_run_again_it_finishes(
    ship: Ship, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after every transaction: all opens at once, and no key is made twice."""
    monkeypatch.setattr("starship_core.flows.rotate_keys._CHUNK", 3)
    await ship.database.run(lambda tx: tx.execute("DELETE FROM vouchers WHERE id > 4"))
    keys, at, finished = 1, 0, False
    while not finished:
        at += 1
        for after in (False, True):
            mortal = cast("Ship", SimpleNamespace(**vars(ship)))
            mortal.database = Dying(ship.database, at, after=after)  # type: ignore[misc,assignment]  # a record, but in this test
            finished = True
            try:
                await rotate(mortal, by=BY)
            except Killed:
                finished = False
            clock.advance(seconds=20)  # until the lease of the dead is over
            await everything_opens(ship)
            begun = len(read_keys(ship.vault.folder).vault) > keys
            partly = len(await everything_opens(ship)) > 1
            done = await rotate(ship, by=BY)
            if begun and partly:
                assert not done.added
            assert await everything_opens(ship) == {done.key}
            clock.advance(days=2)
            await prune(ship, by=BY)  # what no row needs; or each round would read more keys
            keys = len(read_keys(ship.vault.folder).vault)
    assert at > 10


class Dying:
    """A database whose n-th call of this process is its last."""

    def __init__(self, database: Any, last: int, *, after: bool) -> None:
        self.database, self.last, self.after, self.made = database, last, after, 0

    async def run(self, *what: Any) -> Any:
        return await self._call(self.database.run, *what)

    async def read(self, *what: Any) -> Any:
        return await self._call(self.database.read, *what)

    async def _call(self, call: Callable[..., Any], *what: Any) -> Any:
        self.made += 1
        if self.made > self.last or (self.made == self.last and not self.after):
            raise Killed
        outcome = await call(*what)
        if self.made == self.last:
            self.last = 0
            raise Killed
        return outcome


async def test_what_does_not_open_is_named_and_left_alone(ship: Ship) -> None:
    """A swapped pair and a row whose key is lost: the others are rotated, these reported."""
    first, second = await rows(
        ship, "SELECT sealed, key_id FROM vouchers WHERE id IN (3, 4) ORDER BY id"
    )

    def swap(tx: Any) -> None:
        for number, (sealed, _) in ((3, second), (4, first)):
            tx.execute("UPDATE vouchers SET sealed = $1 WHERE id = $2", sealed, number)
        tx.execute("UPDATE vouchers SET key_id = 'k9-00000000' WHERE id = 5")

    await ship.database.run(swap)

    done = await rotate(ship, by=BY)

    assert done.damaged == ["vouchers 3", "vouchers 4"]
    assert (done.resealed["vouchers"], done.remaining) == (COUNT - 3, 1)
    assert await rows(ship, "SELECT sealed FROM vouchers WHERE id IN (3, 4) ORDER BY id") == [
        (second[0],), (first[0],),
    ]  # fmt: skip
    assert [(use.state, use.vouchers) for use in await list_keys(ship)] == [
        ("missing", 1), ("old", 2), ("current", COUNT - 3),
    ]  # fmt: skip
    for number, sealed in ((3, second[0]), (4, first[0])):
        with pytest.raises(Unsealable):
            ship.vault.reveal(number, sealed, first[1])
    assert (await rotate(ship, by=BY)).added, "damaged rows do not keep a key from being replaced"


@pytest.mark.parametrize("database_kind", ["postgresql"])
async def test_rows_that_an_order_holds_are_passed_over_and_done_later(ship: Ship) -> None:
    """SKIP LOCKED: neither waits for the other; what was held is reported as remaining."""
    held, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def order() -> None:
        engine = ship.database.engine  # type: ignore[attr-defined]  # PostgreSQL's
        async with engine.connect() as connection:
            await connection.exec_driver_sql("BEGIN")
            await connection.exec_driver_sql("SELECT 1 FROM vouchers WHERE id = 7 FOR UPDATE")
            held.set()
            await done.wait()
            await connection.exec_driver_sql("COMMIT")

    holding = loop.create_task(order())
    await held.wait()
    assert (await rotate(ship, by=BY)).remaining == 1
    done.set()
    await holding
    again = await rotate(ship, by=BY)
    assert (again.added, again.remaining) == (False, 0)
    assert await everything_opens(ship) == {again.key}


async def test_a_key_is_kept_while_a_raw_reply_needs_it(ship: Ship, clock: ManualClock) -> None:
    """`prune` counts purchases' replies, whose rows nothing else locks or reads."""
    first = ship.vault.current_key
    await rotate(ship, by=BY)
    await ship.database.run(
        lambda tx: tx.execute("UPDATE purchases SET raw_sealed = $1 WHERE id = 2", f"{first}.late")
    )
    clock.advance(hours=48)
    assert (await prune(ship, by=BY)).kept == {first: "1 rows need it; rotate first"}


async def test_old_keys_are_pruned_when_nothing_needs_them(ship: Ship, clock: ManualClock) -> None:
    """Not while rows name them, not within a day of their successor, never the current one."""
    folder = ship.vault.folder
    first = ship.vault.current_key
    second = add_key(folder).id
    for path in folder.iterdir():
        os.utime(path, (clock().timestamp(), clock().timestamp()))

    kept = await prune(ship, by=BY)
    assert (kept.removed, list(kept.kept)) == ([], [first])
    assert "rows need it" in kept.kept[first]

    assert (await rotate(ship, by=BY)).key == second
    clock.advance(hours=23)
    assert "less than 24 h ago" in (await prune(ship, by=BY)).kept[first]
    clock.advance(hours=2)
    assert await prune(ship, by=BY) == msgspec.convert({"removed": [first], "kept": {}}, type(kept))
    assert list(read_keys(folder).vault) == [second]
    assert await everything_opens(ship) == {second}
    assert (await rows(ship, "SELECT action, subject FROM audit ORDER BY id DESC LIMIT 1")) == [
        ("keys.prune", f"key:{first}")
    ]


async def test_a_row_of_a_lost_key_waits_for_it(ship: Ship) -> None:
    """It is not taken for damaged: with the file back, it opens."""
    lost = next(ship.vault.folder.glob("k1-*"))
    add_key(ship.vault.folder)
    lost.rename(lost.with_suffix(".away"))
    ((sealed, key_id),) = await rows(ship, "SELECT sealed, key_id FROM vouchers WHERE id = 7")
    with pytest.raises(MissingKey):
        Vault.open(ship.vault.folder).reveal(7, sealed, key_id)
    lost.with_suffix(".away").rename(lost)
    assert len(await everything_opens(ship)) == 1


# --- the commands -----------------------------------------------------------------------------
TOML = """
[database]
url = "{url}"
[plugins]
enabled = ["wallet-ledger", "fx-fixed"]
[wallet]
use = "wallet-ledger"
[fx]
use = "fx-fixed"
rates = {{ EUR = "0.92" }}
"""
PHRASE = "a horse, a battery"


@pytest.fixture
def starship(database_url: str, tmp_path: Path) -> Callable[..., Result]:
    """`starship("keys", "list")` in a deployment with sealed rows; ana is the operator."""
    create_keys(tmp_path / "keys")
    config = tmp_path / "starship.toml"
    config.write_text(TOML.format(url=database_url))

    async def fill() -> None:
        async with opened(database_url, folder=tmp_path, connections=1) as database:
            await database.run(seed, Vault.open(tmp_path / "keys"))

    asyncio.run(fill())

    def run(*arguments: str, phrase: str = PHRASE) -> Result:
        environment = {
            "STARSHIP_CONFIG": str(config),
            "STARSHIP_OPERATOR": "ana",
            "STARSHIP_KEYS_PASSPHRASE": phrase,
        }
        return CliRunner().invoke(main, arguments, env=environment)

    return run


def document(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return msgspec.json.decode(result.stdout)


def test_the_drill_by_command(starship: Callable[..., Result], tmp_path: Path) -> None:
    """Back up, lose the folder, see that nothing works, restore: everything opens again."""
    file = tmp_path / "shop.keys"
    ids = document(starship("keys", "backup", str(file), "--json"))["keys"]
    shutil.rmtree(tmp_path / "keys")
    assert starship("keys", "list").exit_code == 2

    wrong = starship("keys", "restore", str(file), phrase="another horse, another battery")
    assert (wrong.exit_code, "passphrase" in wrong.stderr) == (1, True)
    restored = document(starship("keys", "restore", str(file), "--json"))["restored"]

    assert (restored, file.stat().st_mode & 0o777) == (ids, 0o600)
    (use,) = document(starship("keys", "list", "--json"))
    assert (use["state"], use["vouchers"], use["quarantine"], use["credentials"]) == (
        "current", COUNT, 2, 2,
    )  # fmt: skip
    rotated = document(starship("keys", "rotate", "--json"))
    assert rotated["resealed"] == {
        "vouchers": COUNT,
        "quarantine": 2,
        "credentials": 2,
        "webhooks": 1,
        "purchases": 1,
    }
    assert starship("keys", "backup", str(file)).exit_code == 1, "a backup is never overwritten"


def test_the_commands_tell_a_person(starship: Callable[..., Result], tmp_path: Path) -> None:
    """Without --json: short tables, and where to go from there."""
    prepared = starship("keys", "prepare")
    assert "copy it to every machine" in prepared.stdout
    assert "prepared" in starship("keys", "list").stdout
    assert "re-encrypted vouchers" in starship("keys", "rotate").stdout
    assert "kept: its successor" in starship("keys", "prune").stdout
    for path in (tmp_path / "keys").iterdir():
        before = (path.stat().st_mtime - timedelta(days=2).total_seconds(),) * 2
        os.utime(path, before)
    assert "removed" in starship("keys", "prune").stdout
    assert "there is no old key" in starship("keys", "prune").stdout


def test_a_lost_key_is_seen(starship: Callable[..., Result], tmp_path: Path) -> None:
    """Rows that name a key which is not there: exit 1, and the key is named."""
    first = next((tmp_path / "keys").glob("k1-*"))
    add_key(tmp_path / "keys")
    first.unlink()
    uses = document(starship("keys", "list", "--json"), code=1)
    assert (uses[0]["id"], uses[0]["state"], uses[0]["vouchers"]) == (first.stem, "missing", COUNT)
