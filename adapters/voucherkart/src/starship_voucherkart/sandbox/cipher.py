"""AES-256-CBC with PKCS7 in base64, padded by hand: not the adapter's code."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def encrypted(text: str, key: str, iv: str) -> str:
    plain = text.encode()
    missing = 16 - len(plain) % 16
    work = _cipher(key, iv).encryptor()
    return base64.b64encode(work.update(plain + bytes([missing]) * missing)).decode()


def decrypted(sealed: str, key: str, iv: str) -> str:
    """Raises ValueError for what another key, or nobody, has sealed."""
    ciphertext = base64.b64decode(sealed, validate=True)
    if not ciphertext or len(ciphertext) % 16:
        raise ValueError("no whole blocks")
    padded = _cipher(key, iv).decryptor().update(ciphertext)
    missing = padded[-1]
    if not 1 <= missing <= 16 or padded[-missing:] != bytes([missing]) * missing:
        raise ValueError("wrong padding")
    return padded[:-missing].decode()


def _cipher(key: str, iv: str) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key.encode()), modes.CBC(iv.encode()))
