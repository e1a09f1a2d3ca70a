"""The vault's key files: one root key a file, mode 0600, in a folder apart from the database.

`index.key` is made once and never changes: fingerprints made with it must stay comparable.
Every other file is a vault key; the `.key` with the highest number is current, older ones stay
until no row uses them. A `.next` opens and checks like the others, but nothing is sealed with it
yet: so it can be brought to every machine before the first row needs it.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct
from msgspec.structs import replace

from starship_core.clock import micros, utc_now
from starship_core.errors import ConfigError, WrongState
from starship_core.model import Secret

_SUFFIX: Final = ".key"
_NEXT: Final = ".next"
_INDEX: Final = "index"
_VAULT_ID: Final = re.compile(r"k([1-9]\d*)-[0-9a-f]{8}")
_KEY_BYTES: Final = 32


class _KeyFile(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    created_at: int
    key: str

    def __repr__(self) -> str:
        return f"_KeyFile({self.id})"


class RootKey(Struct, frozen=True, kw_only=True):
    """One key file, read. Sub-keys come out of it by purpose; the root itself encrypts nothing."""

    id: str
    """`k3-9f2c01ab`: its number and a check value of the key; or `index`."""
    created_at: int
    root: Secret
    """Base64, as the file has it."""
    prepared: bool = False
    """A `.next`."""

    @property
    def number(self) -> int:
        found = _VAULT_ID.fullmatch(self.id)
        return int(found[1]) if found else 0

    def derive(self, purpose: str) -> bytes:
        """32 bytes that serve this purpose and no other."""
        return _derive(base64.b64decode(self.root.reveal()), purpose)


class Keyring(Struct, frozen=True):
    """All keys of a folder, as read at one moment."""

    index: RootKey
    vault: dict[str, RootKey]
    """By id, in order of number."""

    @property
    def current(self) -> RootKey:
        """The key that new rows are sealed with."""
        in_use = (key for key in self.vault.values() if not key.prepared)
        return max(in_use, key=lambda key: key.number)


def create_keys(folder: Path) -> None:
    """Make the folder with its first keys. Refuses (WrongState) when it holds any key already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.glob(f"*{_SUFFIX}")):
        raise WrongState(f"{folder} already holds keys; they are never overwritten", found="keys")
    folder.chmod(0o700)
    write_keys(folder, [_new(_INDEX), _new_vault_key(1)])


def prepare_key(folder: Path) -> RootKey:
    """The next key, made if there is none: to be brought to every machine before its use."""
    keys = read_keys(folder)
    newest = list(keys.vault.values())[-1]
    if not newest.prepared:
        newest = replace(_new_vault_key(newest.number + 1), prepared=True)
        write_keys(folder, [newest])
    return newest


def add_key(folder: Path) -> RootKey:
    """Bring the next key into use: from now on it is current wherever this folder is looked at."""
    key = replace(prepare_key(folder), prepared=False)
    write_keys(folder, [key])
    file_of(folder, replace(key, prepared=True)).unlink(missing_ok=True)
    return key


def write_keys(folder: Path, keys: Iterable[RootKey]) -> None:
    """Write each key whole or not at all, on disk before returning; an existing file is refused."""
    for key in keys:
        final = file_of(folder, key)
        unfinished = folder / f".{key.id}.{secrets.token_hex(4)}"
        content = msgspec.json.encode(_KeyFile(key.id, key.created_at, key.root.reveal()))
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(unfinished, final)  # unlike a rename, never replaces a key
        except FileExistsError:
            raise WrongState(f"{final} exists; keys are never overwritten", found=key.id) from None
        finally:
            unfinished.unlink()
    _sync_folder(folder)


def remove_key(folder: Path, key_id: str) -> None:
    """Forget an old vault key for good. Whoever calls this has made sure that no row needs it."""
    keys = read_keys(folder)
    key = keys.vault.get(key_id)
    if key is None or key.number >= keys.current.number:
        raise WrongState(f"{key_id} is not an old key of {folder}", found=keys.current.id)
    file_of(folder, key).unlink()
    _sync_folder(folder)


def read_keys(folder: Path) -> Keyring:
    """Read and check every key. Raises ConfigError with all that is wrong, never with content."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of keys; `starship init` makes it")
    problems = _exposed(folder)
    keys: dict[str, RootKey] = {}
    for path in [*sorted(folder.glob(f"*{_NEXT}")), *sorted(folder.glob(f"*{_SUFFIX}"))]:
        problems += _exposed(path)
        try:
            keys[path.stem] = read_key(path)
        except ValueError as error:
            problems.append(f"{path}: {error}")
    index = keys.pop(_INDEX, None)
    if not problems and index is None:
        problems.append(f"{folder / (_INDEX + _SUFFIX)}: missing; restore it from a backup")
    if not problems and all(key.prepared for key in keys.values()):
        problems.append(f"{folder}: holds no vault key; restore it from a backup")
    if problems or index is None:
        raise ConfigError(problems)
    return Keyring(index, dict(sorted(keys.items(), key=lambda pair: pair[1].number)))


def checked(key_id: str, created_at: int, text: str) -> RootKey:
    """A root key from its parts. Raises ValueError when they do not belong together."""
    try:
        root = base64.b64decode(text, validate=True)
    except binascii.Error:
        _malformed()
    if len(root) != _KEY_BYTES:
        _malformed()
    if key_id != _INDEX and not _VAULT_ID.fullmatch(key_id):
        raise ValueError("not the name of a key")
    if key_id != _INDEX and not key_id.endswith(f"-{_check_value(root)}"):
        _malformed()
    return RootKey(id=key_id, created_at=created_at, root=Secret(text))


def _malformed() -> NoReturn:
    raise ValueError("malformed, or not the key its name says; restore it from a backup") from None


def read_key(path: Path) -> RootKey:
    """One key file. Raises ValueError, without content."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        _malformed()
    if content.id != path.stem:
        raise ValueError(f"holds key {content.id}; file and key must have one name")
    key = checked(content.id, content.created_at, content.key)
    return replace(key, prepared=path.suffix == _NEXT)


def _exposed(path: Path) -> list[str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return []
    wanted = "700" if path.is_dir() else "600"
    return [f"{path}: mode {mode:03o} lets others in; `chmod {wanted} {path}`"]


def _new(key_id: str) -> RootKey:
    root = secrets.token_bytes(_KEY_BYTES)
    text = base64.b64encode(root).decode()
    return RootKey(id=key_id, created_at=micros(utc_now()), root=Secret(text))


def _new_vault_key(number: int) -> RootKey:
    key = _new("")
    check = _check_value(base64.b64decode(key.root.reveal()))
    return replace(key, id=f"k{number}-{check}")


def file_of(folder: Path, key: RootKey) -> Path:
    return folder / f"{key.id}{_NEXT if key.prepared else _SUFFIX}"


def _check_value(root: bytes) -> str:
    return _derive(root, "name of the key")[:4].hex()


def _derive(root: bytes, purpose: str) -> bytes:
    info = b"starship/1/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(root)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
