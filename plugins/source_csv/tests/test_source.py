"""The CSV source: every line is handed over, complained about by its number, or known."""

import contextlib
import csv
import io
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starship_source_csv import CsvConfig, CsvSource, register_inventory_sources
from starship_source_csv.memory import Memory, Seen
from starship_source_csv.reading import LONGEST_LINE, Place
from starship_source_csv.rows import Malformed, header, read

from starship_core import (
    NO_EXPIRY,
    PLUGIN_API,
    Secret,
    Sku,
    Toolbox,
    Unavailable,
    Voucher,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
"""Later than any file is written, so that files are at rest."""
HEAD = "product,denomination,currency,card_number,pin_code,claim_url,reference,expires_at\n"
PRODUCTS = [("coffee", 7), ("books", 8), ("8", 9)]


class Catalogue:
    """The core's database, as far as this plugin reads it."""

    dialect = "sqlite"

    async def read(self, work: Callable[[Any], Any]) -> Any:
        return work(self)

    async def run(self, work: Callable[[Any], Any]) -> Any:
        raise AssertionError("the source writes nothing")

    def execute(self, statement: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        assert (statement, parameters) == ("SELECT code, id FROM products", ())
        return PRODUCTS


class Bench:
    """A folder of files and the source on it; `again` is a new process on the same folders."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.folder = folder / "incoming"
        self.folder.mkdir()
        self.now = NOW
        self.logged: list[Any] = []
        self.again()

    def again(self) -> None:
        toolbox = Toolbox(
            instance="csv",
            environment="test",
            now=lambda: self.now,
            log=lambda *what, **which: self.logged.append((what, which)),
            database=Catalogue(),
            data_dir=self.home / "data" / "csv",
            folder=self.home,
        )
        self.source = CsvSource(self.folder, toolbox)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    async def pull(self) -> list[Voucher]:
        return [voucher async for voucher in self.source.pull([])]

    async def take(self) -> list[str]:
        """Pull and confirm everything; the references."""
        references = [voucher.reference for voucher in await self.pull()]
        await self.source.confirm(references)
        return references

    @property
    def complaints(self) -> list[str]:
        return list(self.source.passed_over()[2])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def row(card: str, reference: str = "", product: str = "coffee") -> str:
    return f"{product},10.00,EUR,{card},,,{reference},\n"


# --- reading ----------------------------------------------------------------------------------
async def test_a_line_becomes_a_voucher(bench: Bench) -> None:
    """All columns; product by code or by id; a day lasts until its last second."""
    bench.write(
        "b.csv",
        HEAD + "coffee,10.00,EUR,1234 5678,42,,R1,2031-02-28\n"
        "7,0.5,USD,,,https://c.example/?a=1,,2031-02-28T12:00:00+02:00\n"
        '8,1000,JPY,"a,""b""",,,,\n',
    )
    assert await bench.pull() == [
        Voucher(sku=Sku(7, 1000, "EUR"), reference="b.csv#R1", card_number=Secret("1234 5678"),
                pin_code=Secret("42"), expires_at=datetime(2031, 2, 28, 23, 59, 59, tzinfo=UTC)),
        Voucher(sku=Sku(7, 50, "USD"), reference="b.csv:3",
                claim_url=Secret("https://c.example/?a=1"),
                expires_at=datetime(2031, 2, 28, 10, tzinfo=UTC)),
        Voucher(sku=Sku(9, 1000, "JPY"), reference="b.csv:4", card_number=Secret('a,"b"'),
                expires_at=NO_EXPIRY),
    ]  # fmt: skip
    assert bench.source.passed_over() == (0, 0, ())


async def test_a_spreadsheets_habits_are_tolerated(bench: Bench) -> None:
    """Byte order mark, CRLF, blanks around fields, upper-case headers, columns in any order."""
    bench.write("x.CSV", b"\xef\xbb\xbfCurrency, card_number ,Product,denomination,"
                b"voucher_reference_number\r\n EUR , 12 ,coffee, 10.00 ,VR-1\r\n\r\n")  # fmt: skip
    (voucher,) = await bench.pull()
    assert (voucher.card_number, voucher.voucher_reference_number) == (Secret("12"), "VR-1")
    assert bench.complaints == []


async def test_files_come_in_order_of_name_and_others_not_at_all(bench: Bench) -> None:
    """Only `*.csv`; not what a program is still writing under a hidden name."""
    for name in ("b.csv", "a.csv", ".c.csv", "notes.txt"):
        bench.write(name, HEAD + row("1" + name))
    (bench.folder / "folder.csv").mkdir()
    assert [voucher.reference for voucher in await bench.pull()] == ["a.csv:2", "b.csv:2"]


async def test_one_file_can_be_the_whole_source(bench: Bench) -> None:
    """As for an import by hand."""
    bench.folder = bench.write("one.csv", HEAD + row("1"))
    bench.again()
    assert await bench.take() == ["one.csv:2"]


async def test_a_missing_folder_is_unavailable(bench: Bench) -> None:
    """The pump reports it and goes on with other sources; it may be mounted later."""
    bench.folder.rmdir()
    with pytest.raises(Unavailable, match="there is no folder"):
        await bench.pull()


async def test_a_large_file_is_never_whole_in_memory(bench: Bench) -> None:
    """40 MB of lines, the longest of 16 KB: read within a few."""
    line = row("1" * 16_000).encode()
    with (bench.folder / "big.csv").open("wb") as file:
        file.write(HEAD.encode())
        file.writelines(line for _ in range(2_500))
    tracemalloc.start()
    count = 0
    async for voucher in bench.source.pull([]):
        count += 1
        await bench.source.confirm([voucher.reference])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2_500
    assert peak < 8_000_000, peak


# --- refusing ---------------------------------------------------------------------------------
BAD_LINES: dict[str, bytes] = {
    "has 7 fields, the header 8": b"coffee,10.00,EUR,1,,,\n",
    "has 9 fields, the header 8": b"coffee,10.00,EUR,1,,,,,\n",
    "names a product that does not exist in `product`": b"tea,10.00,EUR,1,,,,\n",
    "has no currency such as EUR in `currency`": b"coffee,10.00,eur,1,,,,\n",
    "has no amount such as 25.00 in `denomination`": b"coffee,1e3,EUR,1,,,,\n",
    "has more decimals in `denomination` than the currency": b"coffee,10.001,EUR,1,,,,\n",
    "has no amount above zero in `denomination`": b"coffee,0.00,EUR,1,,,,\n",
    "holds no code": b"coffee,10.00,EUR,  ,,,,\n",
    "has characters that cannot be printed in `card_number`": b"coffee,10.00,EUR,1\x002,,,,\n",
    "has characters that cannot be printed in `pin_code`": b"coffee,10.00,EUR,1,\xe2\x80\xaa2,,,\n",
    "has no day, and no time with its zone, in `expires_at`": b"coffee,10.00,EUR,1,,,,2030-13-01\n",
    "is not UTF-8": b"coffee,10.00,EUR,\xff,,,,\n",
    "has a quotation mark in the wrong place, or one that is not closed": b'coffee,1,EUR,"1,,,,\n',
    f"is longer than {LONGEST_LINE} bytes": b"coffee,10.00,EUR," + b"1" * 40_000 + b",,,,\n",
}


async def test_a_bad_line_is_told_by_its_number_and_spoils_no_other(bench: Bench) -> None:
    """Every kind of fault between good lines; no complaint holds anything of the line."""
    lines = [HEAD.encode()]
    for number, bad in enumerate(BAD_LINES.values()):
        lines += [row(f"good{number}").encode(), bad]
    bench.write("x.csv", b"".join(lines))

    vouchers = await bench.pull()

    assert [voucher.card_number for voucher in vouchers] == [
        Secret(f"good{number}") for number in range(len(BAD_LINES))
    ]
    assert bench.complaints == [
        f"x.csv line {3 + 2 * number}: {reason}" for number, reason in enumerate(BAD_LINES)
    ]
    assert bench.source.passed_over()[:2] == (0, len(BAD_LINES))


@pytest.mark.parametrize(
    "expiry", ["2030", "20300101", "2030-01-01 10:00", "tomorrow", "2030-W01-1", "2030-01-01T10:00"]
)
def test_an_expiry_is_a_day_or_a_moment_with_its_zone(expiry: str) -> None:
    """Nothing is guessed: a time without a zone could be either side of midnight."""
    columns = header(HEAD.encode())
    with pytest.raises(Malformed, match="expires_at"):
        read(f"coffee,10.00,EUR,1,,,,{expiry}".encode(), columns, {"coffee": 7})


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "is missing: the file is empty"),
        (b"coffee,10.00,currency,6006491234567890\n",
         "is no header: it lacks `product` and `denomination`"),
        (b"product,denomination,currency,card_number,pincode\n",
         "has a column that is not known, the 5. from the left"),
        (b"product,denomination,currency,pin_code,pin_code\n", "names a column twice"),
        (b"product,denomination,currency,reference\n",
         "has no column for a code: `card_number`, `pin_code` or `claim_url`"),
        (b"\xff\xfep\0r\0o\0", "is not UTF-8"),
    ],
)  # fmt: skip
async def test_a_file_without_its_header_is_refused_whole(
    bench: Bench, head: bytes, reason: str
) -> None:
    """A misspelt column would lose every PIN in silence; what may be a code is not repeated."""
    bench.write("x.csv", head)
    bench.write("y.csv", HEAD + row("1"))
    assert [voucher.reference for voucher in await bench.pull()] == ["y.csv:2"]
    assert bench.complaints == [f"x.csv line 1: {reason}"]


async def test_a_last_line_that_may_be_half_written_waits(bench: Bench) -> None:
    """Half a code must not be sold; a file at rest may end without a line feed."""
    path = bench.write("x.csv", HEAD + row("1") + row("23").rstrip("\n"))
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    bench.now = written + timedelta(seconds=1)
    assert await bench.take() == ["x.csv:2"]
    assert bench.complaints == [
        "x.csv line 3: has no end, and the file was being written a moment ago"
    ]
    bench.now = written + timedelta(seconds=2)
    assert await bench.take() == ["x.csv:3"]


async def test_many_complaints_are_counted_and_the_first_kept(bench: Bench) -> None:
    """A file of rubbish does not fill the memory with complaints."""
    bench.write("x.csv", HEAD + "rubbish\n" * 1_500)
    assert await bench.pull() == []
    known, unreadable, told = bench.source.passed_over()
    assert (known, unreadable, len(told)) == (0, 1_500, 1_000)


async def test_nothing_that_is_said_holds_a_code(bench: Bench) -> None:
    """Logs, complaints, the remembered progress and reprs, for good and bad lines alike."""
    bench.write(
        "x.csv",
        HEAD + row("CANARY1") + "coffee,CANARY2,EUR,1,,,,\n" + "CANARY3,1,EUR,CANARY4,,,,\n"
        'coffee,1,EUR,"CANARY5,,,,\n' + "coffee,1,EUR,1,,,,CANARY6\n",
    )
    bench.write("CANARY-less.csv", "CANARY7,CANARY8\n")
    vouchers = await bench.pull()
    await bench.source.confirm([voucher.reference for voucher in vouchers])
    kept = (bench.home / "data" / "csv" / "progress.json").read_text()
    said = repr((bench.logged, bench.complaints, vouchers, kept)).replace("CANARY-less.csv", "")
    assert len(bench.complaints) == 5
    assert "CANARY" not in said


# --- remembering ------------------------------------------------------------------------------
async def test_what_is_confirmed_is_not_offered_again(bench: Bench) -> None:
    """Not by the same process and not by the next one; it is counted as known."""
    bench.write("x.csv", HEAD + row("1") + row("2", "R2"))
    assert await bench.take() == ["x.csv:2", "x.csv#R2"]
    assert await bench.pull() == []
    bench.again()
    assert await bench.pull() == []
    assert bench.source.passed_over() == (2, 0, ())


async def test_what_is_not_confirmed_is_offered_again(bench: Bench) -> None:
    """From the first line on that is not; a hole holds back what is behind it."""
    bench.write("x.csv", HEAD + "".join(row(f"{n}") for n in range(5)))
    assert len(await bench.pull()) == 5
    await bench.source.confirm(["x.csv:2", "x.csv:4", "somebody:else", "x.csv:99"])
    bench.again()
    assert [one.reference for one in await bench.pull()] == [f"x.csv:{n}" for n in (3, 4, 5, 6)]
    assert bench.source.passed_over()[0] == 1


async def test_a_pull_alone_leaves_nothing_behind(bench: Bench) -> None:
    """As in a rehearsal: no confirmation, no file."""
    bench.write("x.csv", HEAD + row("1") + "\n")
    assert len(await bench.pull()) == 1
    assert not (bench.home / "data").exists()


async def test_a_confirmation_counts_while_the_pull_goes_on(bench: Bench) -> None:
    """A pump that is killed in the middle of a large file goes on from there."""
    bench.write("x.csv", HEAD + "".join(row(f"{n}") for n in range(2_000)))
    async for voucher in bench.source.pull([]):
        if voucher.reference == "x.csv:1200":
            break
        await bench.source.confirm([voucher.reference])
    bench.again()
    assert (await bench.pull())[0].reference == "x.csv:1200"


async def test_a_file_that_grows_is_read_on(bench: Bench) -> None:
    """Only what was appended."""
    path = bench.write("x.csv", HEAD + row("1"))
    await bench.take()
    with path.open("a") as file:
        file.write(row("2"))
    bench.again()
    assert await bench.take() == ["x.csv:3"]


async def test_a_line_that_is_mended_is_taken(bench: Bench) -> None:
    """The complaint comes with every pull until then."""
    bench.write("x.csv", HEAD + row("1") + row("2", product="tea") + row("3"))
    assert await bench.take() == ["x.csv:2", "x.csv:4"]
    assert await bench.take() == ["x.csv:4"], "the core knows it, and confirms it again"
    assert len(bench.complaints) == 1
    bench.write("x.csv", HEAD + row("1") + row("2") + row("3"))
    assert await bench.take() == ["x.csv:3", "x.csv:4"]
    assert bench.complaints == []
    assert await bench.pull() == []


async def test_a_file_changed_above_what_was_taken_is_not_guessed_at(bench: Bench) -> None:
    """A line put in at the top moves all numbers: only rows with their own reference are safe."""
    bench.write("x.csv", HEAD + row("1") + row("2", "R2"))
    await bench.take()
    bench.write("x.csv", HEAD + row("0") + row("1") + row("2", "R2") + row("3", "R3"))
    assert await bench.take() == ["x.csv#R2", "x.csv#R3"]
    assert [text.partition(":")[0] for text in bench.complaints] == ["x.csv line 2", "x.csv line 3"]
    assert "give the file another name" in bench.complaints[0]

    bench.again()
    assert await bench.take() == ["x.csv#R2", "x.csv#R3"], "and it stays so"
    assert len(bench.complaints) == 2

    (bench.folder / "x.csv").rename(bench.folder / "y.csv")
    assert await bench.take() == ["y.csv:2", "y.csv:3", "y.csv#R2", "y.csv#R3"]
    assert bench.complaints == []


async def test_a_changed_file_of_named_rows_is_read_through(bench: Bench) -> None:
    """Names do not move with lines; once all is settled the file is left alone again."""
    bench.write("x.csv", HEAD + row("1", "R1"))
    await bench.take()
    bench.write("x.csv", HEAD + row("2", "R2") + row("1", "R1"))
    assert await bench.take() == ["x.csv#R2", "x.csv#R1"]
    assert await bench.pull() == []


@pytest.mark.parametrize("ruin", [b"", b"{", b'{"key": "xyz", "files": {}}', None])
async def test_a_lost_or_ruined_memory_costs_one_more_reading(
    bench: Bench, ruin: bytes | None
) -> None:
    """Everything is offered under the same names as before."""
    bench.write("x.csv", HEAD + row("1") + row("2", "R2"))
    before = await bench.take()
    path = bench.home / "data" / "csv" / "progress.json"
    path.unlink() if ruin is None else path.write_bytes(ruin)
    bench.again()
    assert await bench.take() == before


async def test_a_file_that_is_gone_is_forgotten(bench: Bench) -> None:
    """Another one of that name starts afresh."""
    path = bench.write("x.csv", HEAD + row("1"))
    await bench.take()
    path.unlink()
    assert await bench.pull() == []
    assert bench.source.passed_over()[0] == 0
    bench.write("x.csv", HEAD + row("other"))
    assert await bench.take() == ["x.csv:2"]


async def test_a_file_that_cannot_be_opened_does_not_hide_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed or forbidden between listing and opening."""
    bench.write("a.csv", HEAD + row("1"))
    bench.write("b.csv", HEAD + row("2"))
    real = Path.open

    def forbidding(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == "a.csv":
            raise PermissionError
        return real(path, *how, **more)

    monkeypatch.setattr(Path, "open", forbidding)
    assert [voucher.reference for voucher in await bench.pull()] == ["b.csv:2"]
    assert bench.complaints == ["a.csv: cannot be read (PermissionError)"]


async def test_a_row_that_repeats_a_reference_is_not_passed_over_in_silence(bench: Bench) -> None:
    """The second one is another unit under a name that is taken."""
    bench.write("x.csv", HEAD + row("1", "R1") + row("2", "R1"))
    assert await bench.take() == ["x.csv#R1"]
    assert bench.complaints == ["x.csv line 3: repeats the `reference` of a line above"]


# --- laws -------------------------------------------------------------------------------------
printable = st.text(
    st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=40
).map(str.strip)
rows_of_text = st.lists(
    st.tuples(printable, printable, printable).filter(any), min_size=1, max_size=20
)


@settings(deadline=None)
@given(
    rows=rows_of_text,
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@example(rows=[('"', ",", '""')], end="\r\n", quoting=csv.QUOTE_MINIMAL)
def test_what_a_csv_writer_writes_is_read_back(
    rows: list[tuple[str, str, str]], end: str, quoting: Any
) -> None:
    """Any printable codes, through Python's own writer."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow(HEAD.strip().split(","))
    writer.writerows(("coffee", "10.00", "EUR", *codes, "", "") for codes in rows)
    head, *lines = text.getvalue().encode().splitlines(keepends=True)
    columns = header(head)
    got = [read(line, columns, {"coffee": 7}) for line in lines]
    assert [
        tuple(
            code.reveal() if code else "" for code in (one.card_number, one.pin_code, one.claim_url)
        )
        for one in got
        if one
    ] == rows


@settings(deadline=None, max_examples=300)
@given(line=st.binary(max_size=200))
def test_no_line_whatever_raises_anything_else(line: bytes) -> None:
    """Garbage is Malformed or read; never another exception, which the pump would have to fear."""
    columns = header(HEAD.encode())
    for reader in (lambda: header(line), lambda: read(line, columns, {"coffee": 7})):
        with contextlib.suppress(Malformed):
            reader()


# --- plugging in ------------------------------------------------------------------------------
async def test_the_registration_opens_a_source_beside_the_configuration(bench: Bench) -> None:
    """A relative folder is relative to `starship.toml`; opening reads nothing."""
    (registration,) = register_inventory_sources()
    assert (registration.name, registration.api, registration.kind) == (
        "source-csv",
        PLUGIN_API,
        "source",
    )
    config = msgspec.convert({"folder": "incoming"}, registration.config)
    bench.write("x.csv", HEAD + row("1"))
    async with registration.open(config, bench.source._toolbox) as source:
        assert [voucher.reference async for voucher in source.pull([])] == ["x.csv:2"]


def test_a_section_without_a_folder_is_refused() -> None:
    """And so is a misspelt field."""
    for section in ({}, {"folder": " "}, {"folder": "x", "glob": "*"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(section, CsvConfig)


def test_progress_is_written_whole_or_not_at_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash while writing leaves the former one."""
    folder = bench.home / "data"
    Memory(folder).keep(Path("/x.csv"), Seen(Place(offset=5)))
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        Memory(folder).keep(Path("/x.csv"), Seen(Place(offset=9)))
    assert Memory(folder).of(Path("/x.csv")).place.offset == 5
