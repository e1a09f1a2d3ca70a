"""All keys of a folder in one file that a passphrase opens: scrypt, then AES-256-GCM.

Without its keys a deployment's vouchers are noise, and no backup of the database helps.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct
from msgspec.structs import replace

from starship_core.errors import InvalidInput, WrongState
from starship_core.keyring import RootKey, checked, file_of, read_key, read_keys, write_keys
from starship_core.model import Secret

SHORTEST_PASSPHRASE: Final = 12
_FORMAT: Final = "starship-keys-1"
_COST: Final = 2**17
"""128 MiB and about half a second a guess."""


class _Kept(Struct, frozen=True):
    id: str
    created_at: int
    key: str
    prepared: bool = False

    def __repr__(self) -> str:
        return f"_Kept({self.id})"


class _Backup(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    salt: bytes
    nonce: bytes
    sealed: bytes
    cost: int = _COST


def back_up(folder: Path, passphrase: Secret) -> bytes:
    """Every key of the folder, sealed. Raises ConfigError; InvalidInput for a short passphrase."""
    keys = read_keys(folder)
    kept = [
        _Kept(key.id, key.created_at, key.root.reveal(), key.prepared)
        for key in (keys.index, *keys.vault.values())
    ]
    salt, nonce = os.urandom(16), os.urandom(12)
    cipher = _cipher(passphrase, salt, _COST)
    sealed = cipher.encrypt(nonce, msgspec.json.encode(kept), _FORMAT.encode())
    backup = _Backup(format=_FORMAT, salt=salt, nonce=nonce, sealed=sealed)
    return msgspec.json.format(msgspec.json.encode(backup), indent=2) + b"\n"


def restore(content: bytes, passphrase: Secret, folder: Path) -> list[str]:
    """Put back every key that the folder lacks; their ids. What is there is never overwritten.

    Raises InvalidInput (no backup, or not its passphrase), WrongState (another deployment's keys).
    """
    keys = _opened(content, passphrase)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lacking = [key for key in keys if not _there(folder, key)]
    write_keys(folder, lacking)
    read_keys(folder)
    return [key.id for key in lacking]


def _opened(content: bytes, passphrase: Secret) -> list[RootKey]:
    try:
        backup = msgspec.json.decode(content, type=_Backup)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise InvalidInput("this is not a backup of keys") from None
    if backup.format != _FORMAT or backup.cost != _COST:
        raise InvalidInput("this backup of keys is of a format that this release does not read")
    try:
        cipher = _cipher(passphrase, backup.salt, backup.cost)
        plain = cipher.decrypt(backup.nonce, backup.sealed, _FORMAT.encode())
    except (InvalidTag, ValueError):
        raise InvalidInput("the passphrase is another one, or the backup was altered") from None
    return [
        replace(checked(one.id, one.created_at, one.key), prepared=one.prepared)
        for one in msgspec.json.decode(plain, type=list[_Kept])
    ]


def _there(folder: Path, key: RootKey) -> bool:
    """Whether the folder has this very key. Raises WrongState when it has another in its place."""
    for path in {file_of(folder, replace(key, prepared=each)) for each in (True, False)}:
        if not path.exists():
            continue
        try:
            found = read_key(path)
        except ValueError as error:
            raise WrongState(f"{path}: {error}; move it away first", found="damaged key") from None
        if found.root != key.root:
            raise WrongState(f"{path} is a key of another deployment", found="other keys")
        return True
    return False


def _cipher(passphrase: Secret, salt: bytes, cost: int) -> AESGCM:
    text = passphrase.reveal()
    if len(text) < SHORTEST_PASSPHRASE:
        raise InvalidInput(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
    return AESGCM(Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(text.encode()))
