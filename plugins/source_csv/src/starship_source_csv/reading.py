"""A file, line by line from where it was left, with a digest of all that came before each line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from msgspec import Struct

LONGEST_LINE: Final = 16_384
"""Bytes. A longer line is passed over whole, without holding it in memory."""
_BATCH: Final = 500
_BATCH_BYTES: Final = 1 << 18
_BLOCK: Final = 1 << 16
_BOM: Final = b"\xef\xbb\xbf"


class Place(Struct, frozen=True):
    """How far a file is settled: everything before `offset` is in the stock or empty."""

    offset: int = 0
    line: int = 0
    """Lines before `offset`."""
    digest: str = ""
    """Keyed, of the bytes before `offset`: tells whether it is still the same file."""
    units: int = 0
    """Vouchers among those lines."""
    changed: bool = False
    """The file was changed before this place, so its line numbers name nothing any more."""


class Line(NamedTuple):
    """One physical line."""

    number: int
    end: int
    """Offset behind it."""
    text: bytes
    """Without the byte order mark; empty for one that is too long."""
    too_long: bool
    ended: bool
    """By a line feed; the last line of a file that is still being written is not."""
    digest: str


class Reader:
    """An open file. Blocks: meant for a thread."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._file = path.open("rb")
        self._hash = hashlib.blake2b(key=key, digest_size=16)
        self.offset = 0
        self.line = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def status(self) -> os.stat_result:
        """Of the file that is open, whatever its name means by now."""
        return os.fstat(self._file.fileno())

    def resumes(self, place: Place) -> bool:
        """Go to the place; False (and still at the start) when what lies before it is different."""
        left = place.offset
        digest = self._hash.copy()
        while left and (block := self._file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
        if left or (place.offset and digest.hexdigest() != place.digest):
            self._file.seek(0)
            return False
        self._hash, self.offset, self.line = digest, place.offset, place.line
        return True

    def first_line(self) -> Line | None:
        """The header, wherever the reader stands; it goes on from there."""
        here = self._file.tell()
        self._file.seek(0)
        raw = self._file.readline(LONGEST_LINE + 1)
        self._file.seek(here)
        if not raw:
            return None
        too_long = len(raw) > LONGEST_LINE
        text = b"" if too_long else raw.removeprefix(_BOM)
        return Line(1, len(raw), text, too_long, raw.endswith(b"\n"), "")

    def lines(self) -> Iterator[Line]:
        """The next lines, a few hundred or a few of the longest; none at the end of the file."""
        until = self.offset + _BATCH_BYTES
        for _ in range(_BATCH):
            if self.offset >= until:
                return
            raw = self._file.readline(LONGEST_LINE + 1)
            if not raw:
                return
            self._took(raw)
            too_long = len(raw) > LONGEST_LINE
            while too_long and not raw.endswith(b"\n") and (raw := self._file.readline(_BLOCK)):
                self._took(raw)
            self.line += 1
            yield Line(
                self.line,
                self.offset,
                b"" if too_long else raw.removeprefix(_BOM) if self.line == 1 else raw,
                too_long,
                raw.endswith(b"\n"),
                self._hash.copy().hexdigest(),
            )

    def _took(self, raw: bytes) -> None:
        self._hash.update(raw)
        self.offset += len(raw)
