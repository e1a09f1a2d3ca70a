"""policy-products: the products that may be bought from a vendor without an operator.

The specification's ALLOW_AUTO_VENDOR_FULFILL, enabled "on specific products".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from msgspec import Meta, Struct

from starship_core import (
    FallbackCase,
    FulfilPolicy,
    PolicyRegistration,
    Toolbox,
    Verdict,
    hookimpl,
)


class ProductsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[policies.NAME] use = "policy-products"`: ALLOW_AUTO_VENDOR_FULFILL, product by product."""

    allow_auto_vendor_fulfill: list[Annotated[int, Meta(ge=1)]]
    """Ids of the products whose missing units may be bought without an operator."""


class NamedProducts:
    """Allows what the list names, and has no opinion about anything else."""

    def __init__(self, config: ProductsConfig) -> None:
        self._named = frozenset(config.allow_auto_vendor_fulfill)

    def decide(self, case: FallbackCase) -> Verdict:
        """Allow for a named product, NoObjection for another."""
        product = case.sku.product_id
        if product in self._named:
            return Verdict(
                says="Allow", reason=f"product {product} is in allow_auto_vendor_fulfill"
            )
        return Verdict(
            says="NoObjection", reason=f"product {product} is not in allow_auto_vendor_fulfill"
        )


@asynccontextmanager
async def open_products(config: ProductsConfig, _toolbox: Toolbox) -> AsyncIterator[FulfilPolicy]:
    """Nothing to open."""
    yield NamedProducts(config)


@hookimpl
def register_fulfil_policies() -> Iterable[PolicyRegistration[Any]]:
    return [
        PolicyRegistration(
            name="policy-products",
            api=1,
            config=ProductsConfig,
            open=open_products,
            names_products=True,
        )
    ]
