"""`starship keys …`: the files that everything sealed depends on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.config import Config
    from starship_core.flows.rotate_keys import KeyUse
    from starship_core.model import Secret

_PASSPHRASE = "STARSHIP_KEYS_PASSPHRASE"  # noqa: S105  # the name of a variable


@click.group()
def keys() -> None:
    """Rotate, back up and restore the keys that encrypt voucher codes.

    Without its keys a deployment's vouchers are noise: keep a backup apart from the database's.

    \b
    Examples:
      starship keys backup /mnt/safe/shop.keys --as ana
      starship keys rotate --as ana
      starship keys list
    """


@keys.command("list")
@reading
async def list_(call: Call) -> None:
    """Every key and how many rows need it. Exit 1 when rows need one that is not there.

    \b
    Examples:
      starship keys list
      starship keys list --json
    """
    from starship_core.flows.rotate_keys import list_keys

    async with deployed(call) as ship:
        uses = await list_keys(ship)
    call.answer(uses, _grid(uses))
    if any(use.state == "missing" for use in uses):
        raise Exit(1)


@keys.command()
@changing
async def prepare(call: Call) -> None:
    """Make the next key without using it, to be copied to every machine before a rotation.

    Only where several machines have folders of their own. It opens what it is given, and seals
    nothing until `rotate` is called where it lies.

    \b
    Examples:
      starship keys prepare --as ana
    """
    from starship_core.flows.rotate_keys import prepare as prepared

    async with deployed(call) as ship:
        path = await prepared(ship, by=call.by)
    call.answer({"file": path}, f"{path}: copy it to every machine, then `starship keys rotate`")


@keys.command()
@changing
async def rotate(call: Call) -> None:
    """Bring a new key into use, and re-encrypt every row with it while orders go on.

    May be killed at any moment: run it again, and it finishes what it began. Old keys stay until
    `prune`. Exit 1 while rows remain that it could not re-encrypt.

    \b
    Examples:
      starship keys rotate --as ana --reason "yearly"
    """
    from starship_core.flows.rotate_keys import list_keys
    from starship_core.flows.rotate_keys import rotate as rotated

    async with deployed(call) as ship:
        total = sum(use.rows for use in await list_keys(ship))
        with call.progress("Re-encrypting", total) as progress:
            done = await rotated(ship, by=call.by, progress=progress)
    call.answer(done, grid("", "", rows=_rotated(done)))
    if done.damaged or done.remaining:
        raise Exit(1)


@keys.command()
@changing
async def prune(call: Call) -> None:
    """Remove old keys that no row needs and that have rested for a day.

    Where several machines have folders of their own: after `rotate` was called on all of them.

    \b
    Examples:
      starship keys prune --as ana
    """
    from starship_core.flows.rotate_keys import prune as pruned

    async with deployed(call) as ship:
        done = await pruned(ship, by=call.by)
    rows = [(key, "removed") for key in done.removed]
    rows += [(key, f"kept: {why}") for key, why in done.kept.items()]
    call.answer(done, grid("key", "", rows=rows or [("–", "there is no old key")]))


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@changing
async def backup(call: Call, file: Path) -> None:
    """Write every key into one file that a passphrase opens.

    The passphrase is asked for, or taken from STARSHIP_KEYS_PASSPHRASE. Try the restore.

    \b
    Examples:
      starship keys backup /mnt/safe/shop.keys --as ana
    """
    from starship_core.keybackup import back_up
    from starship_core.keyring import read_keys

    config = call.config()
    folder = _folder(config)
    content = back_up(folder, _passphrase(confirm=True))
    await _write_down(call, config, "keys.backup", {"file": file.name})
    _write(file, content)
    ids = ["index", *read_keys(folder).vault]
    call.answer({"file": file, "keys": ids}, f"{file}: {', '.join(ids)}")


@keys.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@changing
async def restore(call: Call, file: Path) -> None:
    """Put back every key that is not there; one that is there is never overwritten.

    \b
    Examples:
      starship keys restore /mnt/safe/shop.keys --as ana
    """
    from starship_core.errors import StarshipError
    from starship_core.keybackup import restore as restored

    config = call.config()
    folder = _folder(config)
    ids = restored(_content(file), _passphrase(confirm=False), folder)
    try:
        await _write_down(call, config, "keys.restore", {"keys": ids})
    except StarshipError as error:  # the keys may be wanted before the database is back
        call.note(f"The restore is not in the audit: {error}")
    told = f"{folder}: {', '.join(ids)}" if ids else f"{folder}: nothing was missing"
    call.answer({"folder": folder, "restored": ids}, told)


def _folder(config: Config) -> Path:
    return config.folder / config.vault.keys


def _passphrase(*, confirm: bool) -> Secret:
    from starship_core.model import Secret

    given = os.environ.get(_PASSPHRASE)
    if given is None:
        given = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    return Secret(given)


def _content(file: Path) -> bytes:
    return file.read_bytes()


def _write(file: Path, content: bytes) -> None:
    """Whole, for its owner only, and never over something else."""
    from starship_core.errors import InvalidInput

    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


async def _write_down(call: Call, config: Config, action: str, after: Any) -> None:
    """Without the deployment's vault, which may just not open."""
    from starship_core.audit import record
    from starship_core.clock import utc_now
    from starship_core.database import opened

    url = config.database.url
    async with opened(url, folder=config.folder, connections=1) as database:
        await database.run(
            lambda tx: record(tx, call.by, action, "keys", at=utc_now(), after=after)
        )


def _grid(uses: list[KeyUse]) -> Any:
    from starship_core.clock import moment
    from starship_core.flows.rotate_keys import PLACES

    rows = [
        (use.id, use.state, use.created_at and f"{moment(use.created_at):%Y-%m-%d}",
         use.vouchers, use.quarantine, use.credentials, use.webhooks, use.purchases)
        for use in uses
    ]  # fmt: skip
    return grid("key", "", "made", *PLACES, rows=rows)


def _rotated(done: Any) -> list[tuple[str, Any]]:
    rows = [("key", done.key), ("", "new" if done.added else "finished an earlier rotation")]
    rows += [(f"re-encrypted {place}", count) for place, count in done.resealed.items()]
    rows += [("does not open", row) for row in done.damaged]
    return [*rows, ("remaining", done.remaining)] if done.remaining else rows
