import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import starship_policy_products
from hypothesis import given
from hypothesis import strategies as st
from starship_policy_products import NamedProducts, ProductsConfig

from starship_core import PLUGIN_API, FallbackCase, FulfilPolicy, Money, Sku, Verdict
from starship_core.config_file import Place
from starship_core.testing.plugs import toolbox

(REGISTRATION,) = starship_policy_products.register_fulfil_policies()


def case(product: int, **changed: Any) -> FallbackCase:
    given = FallbackCase(
        order_id=4411,
        client_id=3,
        sku=Sku(product, 2000, "GBP"),
        quantity=3,
        charged=Money(5880, "GBP"),
        estimated_cost=Money(5400, "GBP"),
        spent_today=Money(0, "GBP"),
        at=datetime(2027, 1, 4, 9, 30, tzinfo=UTC),
    )
    return msgspec.structs.replace(given, **changed)


def accepted(policy: NamedProducts) -> FulfilPolicy:
    """For the type checker."""
    return policy


def test_a_named_product_is_allowed_and_says_by_what() -> None:
    """The reason is what an auditor reads."""
    policy = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[310, 77]))
    assert policy.decide(case(77)) == Verdict(
        says="Allow", reason="product 77 is in allow_auto_vendor_fulfill"
    )


def test_any_other_product_is_left_to_an_operator() -> None:
    """No objection opens nothing: without an Allow an operator is asked."""
    policy = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[310]))
    assert policy.decide(case(31)) == Verdict(
        says="NoObjection", reason="product 31 is not in allow_auto_vendor_fulfill"
    )


def test_an_empty_list_allows_nothing() -> None:
    """So that a deployer can switch it off without taking the section out."""
    policy = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=[]))
    assert policy.decide(case(1)).says == "NoObjection"


ids = st.integers(1, 40)


@given(
    named=st.lists(ids, max_size=8),
    product=ids,
    quantity=st.integers(1, 10_000),
    spent=st.integers(0, 10**9),
)
def test_it_allows_what_is_named_and_nothing_else(
    named: list[int], product: int, quantity: int, spent: int
) -> None:
    """Whatever the order is like: amounts are the business of another policy."""
    policy = NamedProducts(ProductsConfig(allow_auto_vendor_fulfill=named))
    said = policy.decide(case(product, quantity=quantity, spent_today=Money(spent, "GBP"))).says
    assert said == ("Allow" if product in named else "NoObjection")


FIELD = "allow_auto_vendor_fulfill"


@pytest.mark.parametrize(
    ("section", "complaints"),
    [
        ("", [f"{FIELD}: is missing"]),
        (f'{FIELD} = ["310"]', [f"{FIELD}[0]: expected `int`, got `str`"]),
        (f"{FIELD} = [0]", [f"{FIELD}[0]: expected `int` >= 1"]),
        (f"{FIELD} = true", [f"{FIELD}: expected `array`, got `bool`"]),
        (
            "allow_auto_vendor_fulfil = [310]",
            [
                f"allow_auto_vendor_fulfil: there is no such field; did you mean {FIELD}?",
                f"{FIELD}: is missing",
            ],
        ),
    ],
)
def test_a_section_that_is_wrong_is_refused_by_name(section: str, complaints: list[str]) -> None:
    """A product that somebody believes to be named must be."""
    settings, problems = read(section)
    assert settings is None
    assert problems == [f"starship.toml: [policies.products] {text}" for text in complaints]


def test_the_section_of_the_readme_is_accepted() -> None:
    """As the core reads it."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    section = readme.partition('[policies.products]\nuse = "policy-products"\n')[2]
    settings, problems = read(section.partition("```")[0])
    assert problems == []
    assert settings == ProductsConfig(allow_auto_vendor_fulfill=[310, 311])


def read(section: str) -> tuple[ProductsConfig | None, list[str]]:
    """As the core does, from TOML into the registration's own type."""
    place = Place(file=Path("starship.toml"), section="policies.products")
    return place.fit(tomllib.loads(section), REGISTRATION.config)


async def test_what_the_hook_hands_over(tmp_path: Path) -> None:
    """One registration of this plugin API, which says that its config names the products."""
    settings = ProductsConfig(allow_auto_vendor_fulfill=[310])
    async with REGISTRATION.open(settings, toolbox(tmp_path, "products")) as policy:
        assert policy.decide(case(310)).says == "Allow"
    assert (REGISTRATION.name, REGISTRATION.kind) == ("policy-products", "policy")
    assert REGISTRATION.api == PLUGIN_API
    assert REGISTRATION.facts() == {"names_products": True}
