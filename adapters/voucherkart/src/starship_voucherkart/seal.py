"""AES-256-CBC under one key and one IV, both fixed, PKCS7, in base64."""

from __future__ import annotations

import base64
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

_BLOCK: Final = 128
"""Bits."""


class Seal:
    """The same text is sealed to the same letters each time, and nothing proves who sealed it:
    that is HTTPS's part.
    """

    def __init__(self, key: str, iv: str) -> None:
        """Raises ValueError for a key that is not of 32 bytes or an IV that is not of 16."""
        if len(key.encode()) != 32:
            raise ValueError("aes_key: must be of 32 characters")
        if len(iv.encode()) != 16:
            raise ValueError("aes_iv: must be of 16 characters")
        self._cipher = Cipher(AES256(key.encode()), CBC(iv.encode()))

    def seal(self, plain: bytes) -> str:
        padder, encryptor = PKCS7(_BLOCK).padder(), self._cipher.encryptor()
        padded = padder.update(plain) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def open(self, sealed: str) -> bytes:
        """Raises ValueError for what was not sealed; most often also under another key."""
        decryptor, unpadder = self._cipher.decryptor(), PKCS7(_BLOCK).unpadder()
        padded = decryptor.update(base64.b64decode(sealed, validate=True)) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
