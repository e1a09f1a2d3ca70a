"""A catalogue file, CSV or JSON, read row by row; every problem comes with its line number.

The same columns in both. In JSON the file is an array of objects, and lists are lists.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from starship_core.catalogue_columns import COLUMNS, REQUIRED, Offer, WrongCell, read_offers
from starship_core.errors import InvalidInput

Row = tuple[int, Mapping[str, str] | str]
"""The number of its first line, and its cells, or what is wrong with it."""


class Line(Struct, frozen=True, kw_only=True):
    """One product as the file has it, checked."""

    number: int
    code: str
    name: str
    category: str
    currency: str
    offers: tuple[Offer, ...]
    given: dict[str, Any]
    """The optional columns that the file has; what it leaves out stays as it is."""


def read_lines(path: Path) -> Iterator[Line | str]:
    """Each row as a checked line, or as a text that says what is wrong with it and where.

    Raises InvalidInput when it is no such file at all.
    """
    rows = {".csv": _csv_rows, ".json": _json_rows}.get(path.suffix.lower())
    if rows is None:
        raise InvalidInput(f"{path.name}: a catalogue file is a .csv or a .json")
    seen: dict[str, int] = {}
    try:
        for number, cells in rows(path):
            if isinstance(cells, str):
                yield f"line {number}: {cells}"
            else:
                yield from _checked(number, cells, seen)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name} is not UTF-8") from None


def _checked(number: int, cells: Mapping[str, str], seen: dict[str, int]) -> Iterator[Line | str]:
    missing = [column for column in REQUIRED if not cells.get(column)]
    problems = [f"{column} is missing" for column in missing]
    values: dict[str, Any] = {}
    for column, text in cells.items():
        parse = COLUMNS.get(column)
        if parse is None:
            problems.append(f"there is no column {column!r}")
        elif column not in missing:
            _read(column, partial(parse, text), values, problems)
    if "currency" in values and "denominations" in values:
        names, currency = values["denominations"], values["currency"]
        _read("denominations", partial(read_offers, names, currency), values, problems)
    if "code" in values and (first := seen.setdefault(values["code"], number)) != number:
        problems.append(f"code {values['code']} is on line {first}, too")
    if problems:
        yield from (f"line {number}: {problem}" for problem in problems)
        return
    yield Line(
        number=number, code=values["code"], name=values["name"], category=values["category"],
        currency=values["currency"], offers=values["denominations"],
        given={column: value for column, value in values.items() if column not in REQUIRED},
    )  # fmt: skip


def _read(
    column: str, parse: Callable[[], Any], values: dict[str, Any], problems: list[str]
) -> None:
    try:
        values[column] = parse()
    except WrongCell as problem:
        problems.append(f"{column}: {problem}")


# --- the two formats ------------------------------------------------------------------------------


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(path, header)
            before = reader.line_num
            for cells in reader:
                number, before = before + 1, reader.line_num
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    yield number, f"{len(cells)} cells, but the header has {len(header)}"
                    continue
                yield number, dict(zip(header, (cell.strip() for cell in cells), strict=True))
        except csv.Error as error:
            raise InvalidInput(f"line {reader.line_num}: {error}") from None


def _check_header(path: Path, header: list[str]) -> None:
    if absent := [column for column in REQUIRED if column not in header]:
        raise InvalidInput(
            f"{path.name}: the first line must name the columns; missing: {', '.join(absent)}"
        )
    if unknown := [column for column in header if column not in COLUMNS]:
        raise InvalidInput(
            f"line 1: no such column: {', '.join(unknown)}; there are {', '.join(COLUMNS)}"
        )
    if len(set(header)) != len(header):
        raise InvalidInput("line 1: a column is there twice")


def _json_rows(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    # numbers stay the text that was written, so that 20.00 keeps its decimals
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
    place = _skip(text, 0)
    if text[place : place + 1] != "[":
        raise InvalidInput(f"{path.name}: must be a JSON array of products")
    place, number, counted = _skip(text, place + 1), 1, 0
    while text[place : place + 1] != "]":
        number, counted = number + text.count("\n", counted, place), place
        try:
            row, place = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError) as error:
            line = getattr(error, "lineno", number)
            raise InvalidInput(f"line {line}: this is not JSON") from None
        if isinstance(row, dict):
            yield number, {column: _cell(value) for column, value in row.items()}
        else:
            yield number, "a product must be a JSON object"
        place = _skip(text, place)
        if text[place : place + 1] == ",":
            place = _skip(text, place + 1)
        elif text[place : place + 1] != "]":
            raise InvalidInput(f"line {number}: a product must be followed by , or ]")
    if _skip(text, place + 1) != len(text):
        raise InvalidInput(f"{path.name}: something follows the array of products")


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(map(_cell, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{…}"  # no column takes an object, and its own check will say so
    return "" if value is None else str(value).strip()
