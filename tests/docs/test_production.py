"""`examples/production`: every file of it is read by the program it is for, or by its rules."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import rich_click as click
import yaml

from starship_core import worker
from starship_core.cli import COMMANDS, main
from starship_core.config import Config, load
from starship_core.plugins import find
from starship_core.web import server

PRODUCTION = Path(__file__).parents[2] / "examples" / "production"
UNITS = sorted((PRODUCTION / "systemd").glob("*.service"))
MARGIN = 5
"""Seconds: what ends by itself is never killed by whoever waits for it."""
each_unit = pytest.mark.parametrize("unit", UNITS, ids=[unit.stem for unit in UNITS])


def read(name: str) -> str:
    return (PRODUCTION / name).read_text(encoding="utf-8")


def environment() -> dict[str, str]:
    lines = [line for line in read("starship.env").splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def configured(folder: Path) -> Config:
    """The example's file, with the one secret that stands in a file."""
    (folder / "secrets").mkdir()
    (folder / "secrets" / "mail-password").write_text("not-a-password\n")
    shutil.copy(PRODUCTION / "starship.toml", folder)
    return load(folder / "starship.toml", environment())


def references(value: Any, kind: str) -> Iterator[str]:
    """Names of every `{ env = … }`, or of every `{ file = … }`."""
    if isinstance(value, dict):
        if set(value) == {kind}:
            yield value[kind]
        else:
            for inner in value.values():
                yield from references(inner, kind)


def settings(unit: Path) -> dict[str, list[str]]:
    """Every assignment of a unit; some stand there several times."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def compose() -> dict[str, Any]:
    """As a whole document: merged, without the anchors' homes."""
    document: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return document


def accepted(words: list[str]) -> None:
    """A command line of `starship`, as far as its options and arguments go; nothing is run."""
    context = click.Context(main)
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    command.make_context("starship", list(words))


def shown_commands(text: str) -> list[list[str]]:
    """Every `starship …` of the shell blocks."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    lines = re.findall(r"(?:^|[/ ])starship (?!/)([a-z][^#\n;&]*)", blocks, flags=re.MULTILINE)
    found = [shlex.split(line) for line in lines]
    return [words for words in found if words[0] in COMMANDS]


def test_configuration_is_in_order(tmp_path: Path) -> None:
    """Live, on PostgreSQL and Redis, and every plugin takes its section."""
    config = configured(tmp_path)
    assert (config.live, config.database.url[:13], config.redis.url) == (
        True, "postgresql://", "redis://redis.internal:6379/0",
    )  # fmt: skip
    instances = [(each.kind, each.registration.name) for each in find(config).instances]
    assert sorted(instances) == [
        ("fx", "fx-ecb"), ("notifier", "notify-email"), ("notifier", "notify-webhook"),
        ("source", "source-csv"), ("wallet", "wallet-ledger"),
    ]  # fmt: skip


def test_addresses_and_secrets_come_from_elsewhere() -> None:
    """The environment's file sets what the configuration asks of it, and so does Compose."""
    document = tomllib.loads(read("starship.toml"))
    asked = set(references(document, "env"))
    assert set(environment()) == asked | {"STARSHIP_CONFIG"}
    services = compose()["services"]
    for name in ("server-a", "worker-1", "schema"):
        given = services[name]["environment"].keys() - {"STARSHIP_LOG_FORMAT"}
        assert given == asked
    (file,) = references(document, "file")
    (mounted,) = services["server-a"]["secrets"]
    assert mounted["target"] == f"/srv/starship/{file}"


@each_unit
def test_unit_runs_a_command_that_exists(unit: Path) -> None:
    """With options that it takes, in the folder whose configuration the environment names."""
    told = settings(unit)
    (line,) = told["ExecStart"]
    program, *words = shlex.split(line.replace("%i", "8081"))
    assert program == "/srv/starship/current/bin/starship"
    accepted(words)
    assert (told["Type"], told["EnvironmentFile"]) == (["exec"], ["/srv/starship/starship.env"])
    assert environment()["STARSHIP_CONFIG"] == f"{told['WorkingDirectory'][0]}/starship.toml"


def test_whoever_stops_waits_for_the_drain(tmp_path: Path) -> None:
    """Units and containers are killed later than notice and drain can take; haproxy notices."""
    notice = configured(tmp_path).server.notice_seconds
    longest = {"server": notice + server.DRAIN_SECONDS, "worker": worker.DRAIN_SECONDS}
    for unit in UNITS:
        told = settings(unit)
        kind = "server" if "server" in unit.name else "worker"
        assert int(told["TimeoutStopSec"][0]) >= longest[kind] + MARGIN
        assert told["KillMode"] == ["mixed"]  # `serve --workers` tells its own
    for name, service in compose()["services"].items():
        if name.startswith(("server", "worker")):
            grace = int(service["stop_grace_period"].removesuffix("s"))
            assert grace >= max(longest.values()) + MARGIN
    every = re.search(r"inter (\d+)ms fall 1\b", read("haproxy.cfg"))
    assert every
    assert int(every[1]) / 1000 + 1 < notice  # `timeout check 1s`


@each_unit
def test_unit_is_hardened(unit: Path, tmp_path: Path) -> None:
    """It reads and reaches what it must; where systemd is found, it knows every word of it, too,
    and counts the exposure as low.
    """
    told = settings(unit)
    sections = re.findall(r"^\[(\w+)\]$", unit.read_text(), flags=re.MULTILINE)
    assert sections == ["Unit", "Service", "Install"]
    confined = ("ProtectSystem", "ReadWritePaths", "CapabilityBoundingSet", "NoNewPrivileges")
    assert [told[name] for name in (*confined, "User", "Restart", "UMask")] == [
        ["strict"], ["-/srv/starship/data"], [""], ["yes"], ["starship"], ["always"], ["0077"],
    ]  # fmt: skip
    if analyze := shutil.which("systemd-analyze"):
        known = tmp_path / unit.name
        there = re.sub(r"=/(srv/\S+/starship|usr/bin/curl) ", "=/bin/sh ", unit.read_text())
        known.write_text(there)
        for asked in (["verify"], ["security", "--offline=true", "--threshold=20"]):
            done = subprocess.run([analyze, *asked, known], check=False, capture_output=True)
            assert (done.returncode, done.stderr) == (0, b"")


def test_compose_file_is_one() -> None:
    """By the Compose specification: no unknown word, and nothing named that is not there."""
    project = compose_spec.PyCompose.from_json(json.dumps(compose()))
    project.validate()
    assert project.service_names() == [
        "balancer", "server-a", "server-b", "worker-1", "worker-2", "schema", "postgres", "redis",
    ]  # fmt: skip


def test_a_wrong_compose_file_is_refused() -> None:
    """The check above can fail: on a misspelt word, and on a volume that is nowhere."""
    document = compose()
    document["services"]["redis"]["comand"] = "x"
    with pytest.raises(ValueError, match="comand"):
        compose_spec.PyCompose.from_json(json.dumps(document))
    document = compose()
    del document["volumes"]["data"]
    with pytest.raises(ValueError, match="data"):
        compose_spec.PyCompose.from_json(json.dumps(document)).validate()


def test_containers_run_commands_that_exist() -> None:
    """Of ours, each; and they mount what the configuration names."""
    for name, service in compose()["services"].items():
        if service.get("image", "").startswith("starship:"):
            program, *words = service["command"]
            assert program == "starship"
            accepted(words)
            mounts = {mount.split(":")[1] for mount in service["volumes"]}
            folders = ("starship.toml", "keys", "vouchers", "data")
            assert mounts == {f"/srv/starship/{each}" for each in folders}, name


def test_balancer_and_servers_agree(tmp_path: Path) -> None:
    """It sends to where servers listen, and they believe its X-Forwarded-For."""
    config = configured(tmp_path)
    ports = re.findall(r"presetenv STARSHIP_[AB] 127\.0\.0\.1:(\d+)", read("haproxy.cfg"))
    assert ports == ["8081", "8082"]
    assert all(f"starship-server@{port}" in read("README.md") for port in ports)
    project = compose()
    services = project["services"]
    addresses = services["balancer"]["environment"]
    for name, place in (("STARSHIP_A", "server-a"), ("STARSHIP_B", "server-b")):
        at = services[place]["networks"]["default"]["ipv4_address"]
        assert addresses[name] == f"{at}:{config.server.port}"
    (network,) = project["networks"]["default"]["ipam"]["config"]
    assert network["subnet"] in config.server.trusted_proxies
    fixed = ipaddress.ip_address(services["server-b"]["networks"]["default"]["ipv4_address"])
    assert fixed in ipaddress.ip_network(network["subnet"])
    assert fixed not in ipaddress.ip_network(network["ip_range"])  # those are given to the others


def test_commands_of_the_readme_exist(tmp_path: Path) -> None:
    """With the options and arguments that are shown."""
    (tmp_path / "shop.keys").touch()  # a file that is read has to be there
    shown = shown_commands(read("README.md").replace("/mnt/safe", str(tmp_path)))
    assert len(shown) >= 10
    for words in shown:
        accepted(words)


def test_files_of_the_readme_exist() -> None:
    """The table names every file, and no other."""
    table = read("README.md").partition("| --- | --- |")[2].partition("## Deploy")[0]
    first = [row.split("|")[1] for row in table.strip().splitlines()]
    named = {name.rstrip("/") for name in re.findall(r"`([^`]+)`", " ".join(first))}
    assert named == {path.name for path in PRODUCTION.iterdir()} - {"README.md"}


def test_versions_are_this_release() -> None:
    """Image, tag and README install what this checkout is."""
    project = tomllib.loads((PRODUCTION.parents[1] / "pyproject.toml").read_text())["project"]
    version = project["version"]
    assert f"starship-core[standard]=={version}'" in read("Dockerfile")
    assert compose()["services"]["schema"]["image"] == f"starship:{version}"
    assert f"starship-core[standard]=={version}'" in read("README.md")
