"""policy-limits: how much may be bought from vendors without an operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starship_core import FulfilPolicy, PolicyRegistration, Toolbox, hookimpl
from starship_policy_limits.limits import Limits, LimitsConfig


@asynccontextmanager
async def open_limits(config: LimitsConfig, _toolbox: Toolbox) -> AsyncIterator[FulfilPolicy]:
    """Nothing to open."""
    yield Limits(config)


@hookimpl
def register_fulfil_policies() -> Iterable[PolicyRegistration[Any]]:
    return [PolicyRegistration(name="policy-limits", api=1, config=LimitsConfig, open=open_limits)]
