"""Encrypt and reveal voucher codes; seal secrets of ours; sign; find duplicates by fingerprint.

AES-256-GCM under sub-keys derived per purpose (HKDF). What a ciphertext belongs to (voucher id,
purpose) is associated data, so one moved to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import time
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from starship_core.errors import ConfigError, StarshipError, Unavailable
from starship_core.keyring import Keyring, RootKey, create_keys, read_keys
from starship_core.model import Secret, Voucher

__all__ = ["Code", "MissingKey", "Unsealable", "Vault", "create_keys"]

LONGEST_CODE: Final = 2048
_NONCE: Final = (
    12  # random: 2³² seals under one key keep a repeat below one in 2³² (NIST SP 800-38D)
)
_TICK_NS: Final = 1_000_000_000
_SPACES_AND_DASHES: Final = re.compile(r"[\s\-\u2010-\u2015\u2212]+")
_ORIGIN_OF_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")


class Unsealable(StarshipError):  # named by what to do next, like all of ours
    """Do: quarantine the row; it was altered, or belongs to another. Never holds content."""


class MissingKey(Unavailable):
    """Do: bring the key file to this machine; the row may be sound, and must not be quarantined."""


class Code(Struct, frozen=True, gc=False):
    """What a voucher is worth: whoever has it can spend it."""

    card_number: Secret | None
    pin_code: Secret | None
    claim_url: Secret | None

    @classmethod
    def of(cls, voucher: Voucher) -> Code:
        return cls(voucher.card_number, voucher.pin_code, voucher.claim_url)

    @property
    def fault(self) -> str | None:
        """Why this cannot be anybody's voucher code; nothing of it is told."""
        parts = [part.reveal() for part in self if part is not None]
        together = "".join(parts)
        if not together.strip():
            return "holds no code"
        if len(together) > LONGEST_CODE and max(map(len, parts)) > LONGEST_CODE:
            return f"has a code of more than {LONGEST_CODE} characters"
        if not together.isprintable():
            return "has a code with characters that cannot be printed"
        return None

    def __iter__(self) -> Iterator[Secret | None]:
        return iter((self.card_number, self.pin_code, self.claim_url))


class _Plain(Struct, frozen=True, array_like=True, gc=False):
    card_number: str | None
    pin_code: str | None
    claim_url: str | None

    def __repr__(self) -> str:
        return "_Plain(•••)"


_encode = msgspec.msgpack.Encoder().encode
_as_json = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Plain).decode


class _Derived:
    """One root key's working parts, made once."""

    __slots__ = ("_signing", "codes", "root", "secrets")

    def __init__(self, root: RootKey) -> None:
        self.root = root
        self.codes = AESGCM(root.derive("voucher codes"))
        self.secrets = AESGCM(root.derive("secrets"))
        self._signing: dict[str, bytes] = {}

    def signing(self, purpose: str) -> bytes:
        key = self._signing.get(purpose)
        if key is None:
            key = self._signing[purpose] = self.root.derive(f"signature/{purpose}")
        return key


class Vault:
    """Open once per process. A key added by another process is found when it is first needed."""

    def __init__(self, folder: Path, keyring: Keyring, seen: int) -> None:
        self.folder = folder
        self._seen = seen
        self._index = keyring.index.derive("fingerprints")
        self._printing = hmac.new(self._index, digestmod="sha256")
        self._keys = {key.id: _Derived(key) for key in keyring.vault.values()}
        self._current = self._keys[keyring.current.id]

    @classmethod
    def open(cls, folder: Path) -> Vault:
        """Read the folder's keys. Raises ConfigError: missing, readable by others, or malformed."""
        seen = _settled(folder.stat().st_mtime_ns) if folder.is_dir() else 0
        return cls(folder, read_keys(folder), seen)

    @property
    def current_key(self) -> str:
        """Id of the key that new rows are sealed with, looked up in the folder."""
        self._reread()
        return self._current.root.id

    def seal(self, voucher_id: int, code: Code) -> tuple[str, str]:
        """Encrypt for this voucher's row and no other: (text, key id)."""
        return self.seal_all([(voucher_id, code)])[0]

    def seal_all(self, codes: Iterable[tuple[int, Code]]) -> list[tuple[str, str]]:
        """As `seal`, each for its own row, all with one key."""
        key_id = self.current_key  # asks the folder: nothing new may hang on a key that was retired
        cipher = self._current.codes
        return [
            (_seal(cipher, _encode(_Plain(*map(_open, code))), b"voucher:%d" % voucher_id), key_id)
            for voucher_id, code in codes
        ]

    def reveal(self, voucher_id: int, sealed: str, key_id: str) -> Code:
        """The one way back to a code. Raises Unsealable, or MissingKey; neither holds content."""
        plain = _unseal(self._key(key_id).codes, sealed, b"voucher:%d" % voucher_id)
        try:
            code = _decode(plain)
        except msgspec.MsgspecError:
            raise Unsealable("the content is not a voucher code") from None
        return Code(*map(_wrap, (code.card_number, code.pin_code, code.claim_url)))

    def fingerprint(self, brand: str, code: Code) -> str:
        """Equal for equal codes of one brand, however they are spaced; its key never rotates."""
        parts = [
            brand.strip().casefold(),
            *(normalised(_open(part)) for part in (code.card_number, code.pin_code)),
            normalised_url(_open(code.claim_url)),
        ]
        digest = self._printing.copy()  # the key is not set up again: half the time
        digest.update(_as_json(parts))
        return _text(digest.digest())

    def derive(self, name: str) -> bytes:
        """32 bytes of this deployment's own for a name; the same for ever, as this key never
        rotates.
        """
        return hmac.digest(self._index, b"derived:" + name.encode(), "sha256")

    def seal_secret(self, purpose: str, value: str) -> str:
        """Encrypt a secret of ours for one purpose (`signing:12`); the text carries its key id."""
        key_id = self.current_key
        bound_to = b"secret:" + purpose.encode()
        return f"{key_id}.{_seal(self._current.secrets, value.encode(), bound_to)}"

    def open_secret(self, purpose: str, sealed: str) -> Secret:
        """Raises Unsealable (also for another purpose), or MissingKey."""
        key_id, _, text = sealed.partition(".")
        plain = _unseal(self._key(key_id).secrets, text, b"secret:" + purpose.encode())
        return Secret(plain.decode())

    def sign(self, purpose: str, message: bytes) -> str:
        """A signature that names its key; the key is not looked up, so it costs a microsecond."""
        key = self._current
        return f"{key.root.id}.{_text(hmac.digest(key.signing(purpose), message, 'sha256'))}"

    def check(self, purpose: str, message: bytes, signature: str) -> bool:
        """Whether any key of ours, current or old, signed this message for this purpose."""
        key_id, _, given = signature.partition(".")
        try:
            key = self._key(key_id)
        except MissingKey:
            return False
        right = _text(hmac.digest(key.signing(purpose), message, "sha256"))
        return hmac.compare_digest(right.encode(), given.encode(errors="replace"))

    def _key(self, key_id: str) -> _Derived:
        known = self._keys.get(key_id)
        if known is None:
            self._reread()
            known = self._keys.get(key_id)
        if known is None:
            raise MissingKey("a key that this needs is not in the folder of keys", retry_after=60)
        return known

    def _reread(self) -> None:
        """Costs two microseconds when nothing changed. An unreadable folder changes nothing."""
        try:
            seen = os.stat(self.folder).st_mtime_ns  # noqa: PTH116  # Path.stat costs twice as much
            if seen == self._seen:
                return
            seen = _settled(seen)
            fresh = read_keys(self.folder)
        except (OSError, ConfigError):
            return
        for key in fresh.vault.values():
            if key.id not in self._keys:
                self._keys[key.id] = _Derived(key)
        self._current = self._keys[fresh.current.id]
        self._seen = seen


def _settled(changed: int) -> int:
    """0 for a folder changed just now: a file added in the same tick would not show as a change."""
    return changed if time.time_ns() - changed > _TICK_NS else 0


def normalised(code: str | None) -> str | None:
    """Without spaces, dashes and case, in which the same code differs from list to list."""
    if code is None:
        return None
    if code.isascii():  # what is below makes of it, in a quarter of the time
        return "".join(code.replace("-", " ").split()).casefold() or code
    text = unicodedata.normalize("NFKC", code)
    return _SPACES_AND_DASHES.sub("", text).casefold() or text


def normalised_url(url: str | None) -> str | None:
    """Scheme and host without case; the rest as it is, since paths may hold the code."""
    if url is None:
        return None
    return _ORIGIN_OF_URL.sub(lambda found: found[0].lower(), url.strip())


def _seal(cipher: AESGCM, plain: bytes, bound_to: bytes) -> str:
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + cipher.encrypt(nonce, plain, bound_to)).decode()


def _unseal(cipher: AESGCM, sealed: str, bound_to: bytes) -> bytes:
    try:
        raw = base64.b64decode(sealed, validate=True)
        return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound_to)
    except (binascii.Error, ValueError, InvalidTag):
        raise Unsealable("does not open: altered, cut off, or moved from another row") from None


def _open(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _wrap(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
