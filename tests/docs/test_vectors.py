"""The published signature vectors are what three independent implementations compute."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "signature-vectors.json"
SHELL_CLIENT = ROOT / "examples" / "client" / "starship_client.sh"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["vectors"]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])


def test_file_is_what_its_script_writes() -> None:
    """A vector is added in the script, never by hand."""
    written = runpy.run_path(str(ROOT / "docs" / "signature_vectors.py"))["text"]()
    assert FILE.read_text(encoding="utf-8") == written


def test_every_case_the_contract_names_is_there() -> None:
    """Tilde, plus, é, equal keys, empty values, no query, no body, UTF-8 in a body."""
    targets = [vector["target"] for vector in VECTORS]
    queries = [target.partition("?")[2] for target in targets]
    keys = [[part.partition("=")[0] for part in query.split("&")] for query in queries]
    assert any("~" in query for query in queries)
    assert any("+" in query for query in queries)
    assert any("%c3%a9" in query.lower() for query in queries)
    assert any(len(set(names)) < len(names) for names in keys)
    assert any(query.endswith("=") or "=&" in query for query in queries)
    assert any("?" not in target for target in targets)
    assert any(vector["body"] == "" for vector in VECTORS)
    assert any(not vector["body"].isascii() for vector in VECTORS)
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS) == 28


@each_vector
def test_openssl_computes_the_signature(vector: dict[str, Any]) -> None:
    """`openssl dgst` over the published canonical string, and over the published body."""
    script = (
        'printf %s "$CANONICAL" | openssl dgst -sha256 -hmac "$SECRET" -r | cut -d" " -f1;'
        'printf %s "$BODY" | openssl dgst -sha256 -r | cut -d" " -f1'
    )
    told = _bash(
        ["-c", script],
        CANONICAL=vector["canonical"],
        SECRET=vector["signing_secret"],
        BODY=vector["body"],
    )
    assert told.split() == [vector["signature"], vector["body_sha256"]]


@each_vector
def test_shell_client_signs_the_request(vector: dict[str, Any]) -> None:
    """The shell client makes the whole header from the request, canonical string included."""
    told = _bash(
        [str(SHELL_CLIENT), "sign", vector["method"], vector["target"], vector["timestamp"]],
        stdin=vector["body"],
        STARSHIP_SIGNING_SECRET=vector["signing_secret"],
    )
    assert told == vector["header"] + "\n"


def test_node_signs_every_request() -> None:
    """Node, from the request alone; it may be absent on a laptop, never in CI."""
    node = shutil.which("node")
    if node is None:
        assert os.environ.get("CI") != "true", "CI must have node"
        pytest.skip("node is not installed")
    told = subprocess.run(
        [node, str(Path(__file__).with_name("verify_vectors.mjs")), str(FILE)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(told) == {"checked": len(VECTORS), "wrong": []}


def _bash(arguments: list[str], *, stdin: str = "", **environment: str) -> str:
    return subprocess.run(
        ["bash", *arguments],
        check=True,
        capture_output=True,
        input=stdin.encode(),
        env={"PATH": os.environ["PATH"], **environment},
    ).stdout.decode()
