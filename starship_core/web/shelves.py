"""Categories and subcategories over HTTP (client API, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from litestar import get
from litestar.types import ASGIApp
from msgspec import UNSET, Struct, UnsetType

from starship_core.catalogue import Category, Snapshot
from starship_core.clock import rfc3339
from starship_core.errors import NotFound
from starship_core.http.exchange import AnyRequest, Reply, json_reply, ship_of
from starship_core.http.openapi import FLAG, ID, Operation, Parameter, documented, paged
from starship_core.http.paging import flag, path_id, read_page, read_query

T = TypeVar("T")

ACTIVE_ONLY: Final = Parameter(
    "active_only", "`false` shows those, too, that are switched off.", {**FLAG, "default": True}
)
PER_PAGE: Final = Parameter("per_page", "Another name of `limit`.", {**ID, "maximum": 10_000})
_WITH_SUBCATEGORIES: Final = Parameter(
    "include_subcategories", "With the subcategories of each.", {**FLAG, "default": False}
)


class SubcategoryAnswer(Struct, frozen=True):
    """A shelf within a category."""

    id: int
    name: str


class CategoryAnswer(Struct, frozen=True, kw_only=True):
    """A shelf; products name it."""

    id: int
    name: str
    slug: str
    description: str
    icon: str | None
    is_active: bool
    product_count: int
    """Products that can be ordered, those in its subcategories included."""
    created_at: str
    updated_at: str
    subcategories: list[SubcategoryAnswer] | UnsetType = UNSET
    """Only when `include_subcategories` asks for them."""


AT: Final = "2027-01-01T00:00:00Z"
_CATEGORY: Final = {
    "id": 4, "name": "Shopping", "slug": "shopping", "description": "", "icon": None,
    "is_active": True, "product_count": 31, "created_at": AT, "updated_at": AT,
}  # fmt: skip
_SUBCATEGORY: Final = {"id": 9, "name": "Books"}


def collection_query(request: AnyRequest, *allowed: str) -> dict[str, str]:
    """The query of a collection that is whole in memory."""
    return read_query(request.scope["query_string"], ("page", "limit", "per_page", *allowed))


def one_page(found: Sequence[T], query: Mapping[str, str], show: Callable[[T], Any]) -> Reply:
    """The page that was asked for; only what is on it is put together."""
    page = read_page(query)
    shown = [show(each) for each in page.of(found)]
    return json_reply(shown, page.headers(total=len(found), size=len(shown)))


@get(
    "/categories",
    opt=documented(
        Operation(
            tag="Catalogue",
            summary="Categories",
            answer=list[CategoryAnswer],
            example=[_CATEGORY],
            query=(*paged(), PER_PAGE, _WITH_SUBCATEGORIES, ACTIVE_ONLY),
        )
    ),
)
async def list_categories(request: AnyRequest) -> ASGIApp:
    query = collection_query(request, "include_subcategories", "active_only")
    snapshot = await ship_of(request).catalogue.current()
    active_only = flag(query, "active_only", default=True)
    found = [
        each
        for each in snapshot.categories.values()
        if each.parent_id is None and (each.is_active or not active_only)
    ]
    below = _below(snapshot, query)
    return one_page(found, query, lambda each: _category(each, below))


@get(
    "/categories/{category_id:str}",
    opt=documented(
        Operation(
            tag="Catalogue",
            summary="One category",
            answer=CategoryAnswer,
            example={**_CATEGORY, "subcategories": [_SUBCATEGORY]},
            query=(_WITH_SUBCATEGORIES,),
        )
    ),
)
async def get_category(request: AnyRequest) -> ASGIApp:
    number = path_id(request.path_params["category_id"], "category")
    query = read_query(request.scope["query_string"], ("include_subcategories",))
    snapshot = await ship_of(request).catalogue.current()
    found = snapshot.categories.get(number)
    if found is None or found.parent_id is not None:
        raise NotFound("category", number)
    return json_reply(_category(found, _below(snapshot, query)))


def _below(snapshot: Snapshot, query: Mapping[str, str]) -> Mapping[int, list[Any]] | None:
    """Subcategories by category; None when nobody asked for them."""
    if not flag(query, "include_subcategories", default=False):
        return None
    found: dict[int, list[SubcategoryAnswer]] = {}
    for each in _subcategories(snapshot):
        found.setdefault(each.parent_id or 0, []).append(SubcategoryAnswer(each.id, each.name))
    return found


def _subcategories(snapshot: Snapshot) -> Iterable[Category]:
    return (c for c in snapshot.categories.values() if c.parent_id is not None and c.is_active)


def _category(found: Category, below: Mapping[int, list[Any]] | None) -> CategoryAnswer:
    return CategoryAnswer(
        id=found.id, name=found.name, slug=found.slug, description=found.description,
        icon=found.icon, is_active=found.is_active, product_count=found.product_count,
        created_at=rfc3339(found.created_at), updated_at=rfc3339(found.updated_at),
        subcategories=UNSET if below is None else below.get(found.id, []),
    )  # fmt: skip


@get(
    "/subcategories",
    opt=documented(
        Operation(
            tag="Catalogue",
            summary="Subcategories",
            answer=list[SubcategoryAnswer],
            example=[_SUBCATEGORY],
            query=(*paged(), PER_PAGE),
        )
    ),
)
async def list_subcategories(request: AnyRequest) -> ASGIApp:
    query = collection_query(request)
    found = list(_subcategories(await ship_of(request).catalogue.current()))
    return one_page(found, query, lambda each: SubcategoryAnswer(each.id, each.name))


@get(
    "/subcategories/{subcategory_id:str}",
    opt=documented(
        Operation(
            tag="Catalogue",
            summary="One subcategory",
            answer=SubcategoryAnswer,
            example=_SUBCATEGORY,
        )
    ),
)
async def get_subcategory(request: AnyRequest) -> ASGIApp:
    number = path_id(request.path_params["subcategory_id"], "subcategory")
    read_query(request.scope["query_string"], ())
    found = (await ship_of(request).catalogue.current()).categories.get(number)
    if found is None or found.parent_id is None:
        raise NotFound("subcategory", number)
    return json_reply(SubcategoryAnswer(found.id, found.name))


ROUTES: Final = (list_categories, get_category, list_subcategories, get_subcategory)
