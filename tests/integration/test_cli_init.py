"""`starship init`: a deployment that starts, in an empty folder, and what --demo puts into it."""

from __future__ import annotations

import errno
import json
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from starship_core.cli import main
from starship_core.config import Config, load
from starship_core.config_template import template, toml
from starship_core.flows.verify import verify
from starship_core.plugins import find
from starship_core.ship import Ship


def starship(*arguments: str) -> Result:
    environment = {"STARSHIP_OPERATOR": None, "STARSHIP_CONFIG": None, "COLUMNS": "200"}
    return CliRunner().invoke(main, arguments, env=environment)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The document of one `init --demo`, which several tests look at."""
    folder = tmp_path_factory.mktemp("deployments") / "shop"
    result = starship("init", str(folder), "--demo", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "starship.db")) as database:
        return database.execute(statement).fetchall()


def test_init_writes_a_deployment_that_is_in_order(tmp_path: Path) -> None:
    """`check` passes, the schema is current, the keys are private, and the next step is told."""
    folder = tmp_path / "shop"

    result = starship("init", str(folder))

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{folder}: configuration, keys and database are there.",
        "keys/ decrypts the vouchers: back it up, apart from the database.",
        "",
        "Next:",
        f"  cd {folder}",
        "  starship up",
    ]
    file = str(folder / "starship.toml")
    assert starship("check", "--config", file).exit_code == 0
    status = json.loads(starship("db", "status", "--config", file, "--json").stdout)
    assert [one["current"] for one in status] == [True, True]
    assert stat.S_IMODE((folder / "keys").stat().st_mode) == 0o700
    keys = list((folder / "keys").iterdir())
    assert len(keys) == 2
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert rows(folder, "SELECT count(*) FROM products") == [(0,)]


def test_the_file_shows_every_default_as_it_is(tmp_path: Path) -> None:
    """Uncommenting each line changes nothing: what is shown is what holds."""
    starship("init", str(tmp_path / "shop"))
    file = tmp_path / "shop" / "starship.toml"
    before = load(file, {})

    file.write_text(re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", file.read_text()))

    shown = re.findall(r"(?m)^([a-z_]+) = ", file.read_text())
    after = load(file, {})
    # of a plugin's section the plugin says what holds
    assert msgspec.structs.replace(after, notifiers=before.notifiers) == before
    assert find(after).instances == find(before).instances
    assert {"environment", "url", "port", "tax_percent", "auto", "quote_seconds"} <= set(shown)
    assert before.deployment.name == "shop"
    assert find(before).migrations() == ["starship_wallet_ledger:migrations"]


def test_every_section_and_field_is_in_the_file() -> None:
    """A field that is added to the configuration appears by itself, with its doc."""
    text = template({}, [])

    for name in Config.__struct_fields__:
        known = getattr(Config(path=Path()), name)
        for field in getattr(known, "__struct_fields__", ()):
            assert re.search(rf"(?m)^# {field} =", text.split(f"[{name}]")[1]), (name, field)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a "b" \\ c', '"a \\"b\\" \\\\ c"'),
        ("é", '"é"'),
        (True, "true"),
        (5, "5"),
        (["a", 1], '["a", 1]'),
        ({"EUR": "0.9"}, '{ EUR = "0.9" }'),
        ({}, "{}"),
    ],
)
def test_values_are_written_as_toml(value: Any, text: str) -> None:
    """One line each, read back as what they were."""
    assert toml(value) == text


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    """Exit 2, and nothing in it has changed."""
    (tmp_path / "mine.txt").write_text("mine")

    result = starship("init", str(tmp_path))

    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: {tmp_path} is not empty; name a folder that is, or that does not exist yet\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """A mounted volume exists before the first start."""
    assert starship("init", str(tmp_path)).exit_code == 0
    assert (tmp_path / "starship.toml").exists()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """Below a file, for one."""
    (tmp_path / "file").write_text("")

    result = starship("init", str(tmp_path / "file" / "shop"))

    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path}/file/shop: Not a directory\n"


@pytest.mark.parametrize("existed", ["folder", "nothing"])
def test_a_failed_init_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: str
) -> None:
    """So that it can simply be called again once the reason is gone."""

    def fail(_folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("starship_core.vault.create_keys", fail)
    folder = tmp_path / "shop"
    if existed == "folder":
        folder.mkdir()

    result = starship("init", str(folder))

    assert result.exit_code == 2
    assert result.stderr == f"Error: {folder}: No space left on device\n"
    assert folder.exists() is (existed == "folder")
    assert list(folder.glob("*")) == []


def test_demo_fills_the_pool_and_the_wallet(demo: Any) -> None:
    """One product that always hits, one that never does, one that delivers a part."""
    folder = Path(demo["folder"])

    assert demo["demo"]["products"] == {"always": 1, "never": 2, "partly": 3}
    assert rows(
        folder, "SELECT product_id, state, count(*) FROM vouchers GROUP BY 1, 2 ORDER BY 1"
    ) == [(1, "pooled", 500), (3, "pooled", 2)]
    assert (
        rows(
            folder,
            "SELECT DISTINCT actor, action FROM audit WHERE actor <> 'operator:init'",
        )
        == []
    )


def test_demo_shows_its_secrets_once(demo: Any) -> None:
    """They are in the answer and in no file of the deployment, but for the API key, which names."""
    folder = Path(demo["folder"])
    secrets = [demo["demo"]["secret"], demo["demo"]["signing_secret"]]
    files = [file for file in folder.rglob("*") if file.is_file()]

    assert len(secrets[0]) > 40
    assert secrets[1].startswith("whsec_")
    assert len(files) > 5
    for file in files:
        content = file.read_bytes()
        assert [secret for secret in secrets if secret.encode() in content] == [], file


async def test_demo_keeps_every_invariant(demo: Any) -> None:
    """What was put in went through the flows that operators use."""
    async with Ship.open(load(Path(demo["config"]), {})) as ship:
        assert await verify(ship) == []
        assert (await ship.wallet.balance("wallet:1")).minor == 100_000


def test_demo_tells_a_person_what_to_type(tmp_path: Path) -> None:
    """Credentials and an order by curl that can be pasted."""
    text = starship("init", str(tmp_path / "shop"), "--demo").stdout

    assert "client 1 has 1000.00 EUR in wallet 1." in text
    assert "    -H 'X-API-Key: sk_test_" in text
    assert """    -d '{"product_id": 1, "denomination": "10.00", "quantity": 1}'\n""" in text
