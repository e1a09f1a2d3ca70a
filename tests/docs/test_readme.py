"""The README keeps its word: its commands work as printed, its five files exist and are short."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import httpx2

from tests.docs.demo_shop import Shop

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST = 300


def test_quickstart_works_as_printed(shop: Shop) -> None:
    """List, get, charges, order, read; only the address is another, for 8080 may be taken."""
    (block,) = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    script = block.replace("export KEY=sk_test_… SECRET=…\n", "")
    assert script != block
    done = subprocess.run(
        ["bash", "-euc", script.replace("http://127.0.0.1:8080", shop.url)],
        env={"PATH": os.environ["PATH"], "KEY": shop.key, "SECRET": shop.secret},
        check=True,
        capture_output=True,
        text=True,
    )
    products, product, charges, order, read = map(json.loads, done.stdout.splitlines())
    assert [each["id"] for each in products] == [1, 2, 3]
    assert product["available_denominations"][0]["min_value"] == "10.00"
    assert charges["total_payable"] == "20.00"
    assert (order["id"], order["status"], len(order["vouchers"])) == (1, "DELIVERED", 2)
    assert read == order


def test_reading_order_exists_and_is_short() -> None:
    """Five entries, the same as in the tour; no file of them above 300 lines."""
    entry = re.compile(r"^\| (\d) \| \[?`([^`]+)`", flags=re.MULTILINE)
    promised = entry.findall(README)
    assert [int(number) for number, _ in promised] == [1, 2, 3, 4, 5]
    assert entry.findall((ROOT / "docs" / "tour.md").read_text(encoding="utf-8")) == promised
    for _, name in promised:
        path = ROOT / name
        files = sorted(path.glob("*.py")) if path.is_dir() else [path]
        assert files, name
        for file in files:
            assert len(file.read_text(encoding="utf-8").splitlines()) < LONGEST, file


def test_links_lead_somewhere() -> None:
    """Every relative link of the README names a file or folder that exists."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(links) >= 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_has_the_commands() -> None:
    """Every `make …` of the README is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"make ([a-z]+)", README)) - {"and"}
    assert {"demo", "test", "docs"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_api_page_names_every_route_and_parameter(shop: Shop) -> None:
    """What the server describes of itself is on the page for clients."""
    described = httpx2.get(f"{shop.url}/openapi.json").json()["paths"]
    page = (ROOT / "docs" / "client-api.md").read_text(encoding="utf-8")
    routes = {re.sub(r"\{\w+_id\}", "{id}", path.removeprefix("/api/v1")) for path in described}
    assert len(routes) >= 20
    assert sorted(route for route in routes if route not in page) == []
    names = {
        parameter["name"]
        for operations in described.values()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "path"
    }
    assert sorted(name for name in names if f"`{name}`" not in page) == []
