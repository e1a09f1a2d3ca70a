"""What is settled, file by file, in `data_dir`. Losing it costs one more reading, nothing else."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from starship_source_csv.reading import Line, Place

AHEAD: Final = 20_000
"""Lines followed behind one that is not settled; later ones are read again next time."""


class Seen(Struct, frozen=True):
    """A file that was read: how far it is settled, and how it looked then."""

    place: Place
    size: int = -1
    mtime_ns: int = -1

    def done(self, status: os.stat_result) -> bool:
        """Settled to its end, and not touched since."""
        same = (self.size, self.mtime_ns) == (status.st_size, status.st_mtime_ns)
        return same and self.place.offset == status.st_size


class _Remembered(Struct):
    key: str
    files: dict[str, Seen] = field(default_factory=dict)


class Memory:
    """`progress.json`, replaced whole at each change."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.json"
        try:
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=_Remembered)
            self.key = bytes.fromhex(self._kept.key)
        except (OSError, ValueError):
            self.key = secrets.token_bytes(32)
            self._kept = _Remembered(self.key.hex())

    def knows(self, path: Path) -> bool:
        """Whether anything of the file was ever confirmed."""
        return str(path) in self._kept.files

    def of(self, path: Path) -> Seen:
        return self._kept.files.get(str(path), Seen(Place()))

    def keep(self, path: Path, seen: Seen) -> None:
        """Remember it, on disk before returning, whole or not at all."""
        if self._kept.files.get(str(path)) == seen:
            return
        self._kept.files[str(path)] = seen
        self._write()

    def forget_but(self, paths: Iterable[Path]) -> None:
        """Files that are gone."""
        there = {str(path) for path in paths}
        if gone := self._kept.files.keys() - there:
            for name in gone:
                del self._kept.files[name]
            self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(self._kept))
        draft.replace(self._path)


class _Open:
    """A line that was read and may be settled later."""

    __slots__ = ("digest", "end", "number", "settled", "units")

    def __init__(self, line: Line, *, settled: bool, units: int) -> None:
        self.end, self.number, self.digest = line.end, line.number, line.digest  # not its text
        self.settled = settled
        self.units = units


class Trail:
    """The lines of one file from its settled place on, in order."""

    def __init__(self, path: Path, seen: Seen) -> None:
        self.path = path
        self.seen = seen
        self._open: deque[_Open] = deque()
        self._by_reference: dict[str, _Open] = {}
        self._stuck = False

    def blank(self, line: Line) -> None:
        """Nothing there: settled as it is."""
        self._follow(_Open(line, settled=True, units=0))

    def stuck(self) -> None:
        """A line that cannot be settled: it will be read again, and so will all behind it."""
        self._stuck = True

    def begin(self, status: os.stat_result, *, same: bool) -> None:
        """The file is open, and is, or is not, what it was up to the settled place."""
        place = self.seen.place if same else Place(changed=True)
        self.seen = Seen(place, status.st_size, status.st_mtime_ns)

    def offered(self, line: Line, reference: str) -> bool:
        """Whether the line is followed, so that its confirmation will count."""
        one = _Open(line, settled=False, units=1)
        if not self._follow(one):
            return False
        self._by_reference[reference] = one  # one that is not settled is not offered twice
        return True

    def settle(self, reference: str) -> None:
        if one := self._by_reference.pop(reference, None):
            one.settled = True

    def advance(self) -> Seen:
        """How far all is settled now."""
        place, last = self.seen.place, None
        units = place.units
        while self._open and self._open[0].settled:
            last = self._open.popleft()
            units += last.units
        if last is not None:
            place = Place(last.end, last.number, last.digest, units, place.changed)
            self.seen = msgspec.structs.replace(self.seen, place=place)
        return self.seen

    def _follow(self, one: _Open) -> bool:
        if len(self._open) >= AHEAD:
            self._stuck = True
        if not self._stuck:
            self._open.append(one)
        return not self._stuck
