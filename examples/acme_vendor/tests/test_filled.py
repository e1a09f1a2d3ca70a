"""What the scaffold left to its author."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ("*.md", "src/**/*.py", "tests/*.py")
MARK = "FILL IN" + ":"


def test_nothing_is_left_to_fill_in() -> None:
    """Each place is named with what belongs there; write it, and take the mark away."""
    left = [
        f"{file.relative_to(ROOT)}:{number}: {line.partition(MARK)[2].strip()}"
        for file in sorted(
            [*ROOT.glob("*.md"), *ROOT.glob("src/**/*.py"), *ROOT.glob("tests/*.py")]
        )
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if MARK in line
    ]

    assert not left, "\n".join(["left to fill in:", *left])
