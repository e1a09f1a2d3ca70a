"""The code and the configuration that pages show are run, not only read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starship_core import PLUGIN_API
from starship_core.config import load
from starship_core.plugins import find

DOCS = Path(__file__).parents[2] / "docs"
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)


def _block(page: str, language: str) -> str:
    """The first fenced block of that language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    assert found
    return found[1]


async def test_plugin_of_the_hooks_page_works() -> None:
    """It registers for this plugin API, opens, and answers as its port promises."""
    module: dict[str, Any] = {"__name__": "starship_acme"}
    exec(_block("hooks.md", "python"), module)  # noqa: S102  # our own page
    (registration,) = module["register_fx_providers"]()
    assert (registration.name, registration.api) == ("acme", PLUGIN_API)
    config = registration.config(dollars={"USD": Decimal(1), "EUR": Decimal("0.8")})
    async with registration.open(config, SimpleNamespace(now=lambda: NOON)) as provider:
        table = await provider.rates("EUR")
    assert (table.rates["USD"], table.as_of) == (Decimal("1.25"), NOON)


def test_configuration_of_its_page_is_accepted(tmp_path: Path) -> None:
    """Every section fits, and the plugins it names are found."""
    file = tmp_path / "starship.toml"
    file.write_text(_block("configuration.md", "toml"), encoding="utf-8")
    config = load(file, {})
    assert config.deployment.name == "shop"
    instances = {(each.kind, each.instance_name) for each in find(config).instances}
    assert instances == {("wallet", "wallet"), ("fx", "fx"), ("source", "warehouse")}
