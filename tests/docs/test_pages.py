"""Every page is true to the code: generated parts are current, nothing that exists is missing."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from starship_core import config, errors, hookspecs, ports
from starship_core.cli import COMMANDS
from starship_core.config_section import Section
from starship_core.http.codes import CATALOGUE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(DOCS)) for p in PAGES])


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_generated_parts_are_current() -> None:
    """`cog --check`: a change of the code that a page shows is committed with the page."""
    written = [str(page) for page in PAGES if "[[[cog" in page.read_text(encoding="utf-8")]
    assert len(written) >= 5
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "-I", str(DOCS), *written],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr + "\nrun: cog -r -I docs docs/*.md"


@pytest.mark.parametrize("name", [name for name in vars(hookspecs) if name.startswith("register_")])
def test_hook_has_a_heading_with_its_signature(name: str) -> None:
    """Datasette's rule: a hook without documentation does not exist."""
    text = _page("hooks.md")
    hook = getattr(hookspecs, name)
    returns = inspect.signature(hook).return_annotation
    assert f"## `{name}`\n\n```python\ndef {name}() -> {returns}\n```\n\n{hook.__doc__}" in text


def _port_methods() -> list[tuple[str, str]]:
    classes = [c for _, c in inspect.getmembers(ports, inspect.isclass)]
    protocols = [c for c in classes if c.__module__ == ports.__name__]
    return [
        (protocol.__name__, name)
        for protocol in protocols
        for name, _ in inspect.getmembers(protocol, inspect.isfunction)
        if name in vars(protocol) and not name.startswith("_")
    ]


@pytest.mark.parametrize(("port", "method"), _port_methods())
def test_port_method_is_described(port: str, method: str) -> None:
    """Every method of every Protocol stands under the Protocol's heading, with its docstring."""
    sections = re.split(r"^## ", _page("ports.md"), flags=re.MULTILINE)
    (section,) = [s for s in sections if s.startswith(f"{port}\n")]
    assert f"def {method}(self" in section
    about = getattr(getattr(ports, port), method).__doc__
    assert about, f"{port}.{method} has no docstring"
    assert inspect.cleandoc(about) in section


def _sections() -> list[tuple[str, str]]:
    whole = msgspec.structs.fields(config.Config)
    sections = [
        (f.name, f.type) for f in whole if isinstance(f.type, type) and issubclass(f.type, Section)
    ]
    return [(n, field.name) for n, section in sections for field in msgspec.structs.fields(section)]


@pytest.mark.parametrize(("section", "field"), _sections())
def test_configuration_field_is_in_its_table(section: str, field: str) -> None:
    """Every field of every section of the core, under the section's heading."""
    parts = re.split(r"^### ", _page("configuration.md"), flags=re.MULTILINE)
    (part,) = [p for p in parts if p.startswith(f"`[{section}]`\n")]
    assert f"| `{field}` |" in part


@pytest.mark.parametrize("code", CATALOGUE)
def test_error_code_is_listed(code: str) -> None:
    """With its HTTP status and whether a retry can help."""
    kind = CATALOGUE[code]
    (line,) = [row for row in _page("errors.md").splitlines() if f"| `{code}` |" in row]
    assert line == f"| {kind.http} | `{code}` | {kind.name} | {kind.when} | {kind.retry_helps} |"


@pytest.mark.parametrize(
    "name",
    [n for n, c in vars(errors).items() if inspect.isclass(c) and "Error" in repr(c.__mro__)],
)
def test_exception_is_listed(name: str) -> None:
    """Every exception that we raise on purpose, with its advice."""
    if getattr(errors, name).__module__ == errors.__name__:
        assert f"| `{name}` |" in _page("errors.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_listed(name: str) -> None:
    """Every command has its line and its heading."""
    text = _page("commands.md")
    assert f"| [`starship {name}`](#starship-{name}) | {COMMANDS[name].line} |" in text
    assert f"\n## starship {name}\n" in text


@each_page
def test_page_ends_with_what_to_read_next(page: Path) -> None:
    """No page is a dead end."""
    last = page.read_text(encoding="utf-8").rstrip().split("\n\n")[-1]
    assert last.startswith("Read next: ")
    assert "](" in last


@pytest.mark.parametrize("page", DECISIONS, ids=[p.stem for p in DECISIONS])
def test_decision_has_its_four_parts(page: Path) -> None:
    """Context, decision, what was rejected and why, consequences: in this order."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem[:3]}: ")
    parts = re.findall(r"^\*\*(\w+)\.\*\* ", text, flags=re.MULTILINE)
    assert parts == ["Context", "Decision", "Rejected", "Consequences"]


def test_decisions_are_numbered_without_a_gap() -> None:
    """A number is given once and never again."""
    numbers = [int(page.stem[:3]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_decided_point_has_its_page_and_its_line() -> None:
    """Each **Decided** of the API page links a decision, and the list has exactly these."""
    link = re.compile(r"\]\((decisions/\d{3}[a-z0-9-]*\.md)\)")
    sentences = re.split(r"\*\*Decided\*\*(?=\s\(|:)", _page("client-api.md"))[1:]
    found = [link.search(sentence) for sentence in sentences]
    assert all(found)
    listed = link.findall(_page("decided.md"))
    assert sorted(listed) == sorted({match[1] for match in found if match})
    assert all((DOCS / name).is_file() for name in listed)


def test_glossary_has_fifteen_lines() -> None:
    """One word per idea, and no more words than can be remembered."""
    glossary = _page("tour.md").partition("## Glossary")[2]
    assert len(re.findall(r"^: ", glossary, flags=re.MULTILINE)) == 15
