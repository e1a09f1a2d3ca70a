"""GET /openapi.json and /docs: the description of the API, and a page made of it, without scripts.

The page asks nothing of any other server: one HTML file with its style inside.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import msgspec
from jinja2 import Environment, StrictUndefined
from litestar import get
from litestar.types import ASGIApp

from starship_core.http.codes import CATALOGUE
from starship_core.http.exchange import AnyRequest, Reply

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@get("/openapi.json")
async def get_description(request: AnyRequest) -> ASGIApp:
    return Reply(request.app.state.openapi)


@get("/docs")
async def get_page(request: AnyRequest) -> ASGIApp:
    state = request.app.state
    page: bytes | None = state.get("docs_page")
    if page is None:
        page = state.docs_page = render(msgspec.json.decode(state.openapi))
    return Reply(page, {"Content-Security-Policy": _POLICY}, media_type=b"text/html; charset=utf-8")


def render(description: dict[str, Any]) -> bytes:
    """The page, by tag and path, with the catalogue of errors at its end."""
    source = files("starship_core.web").joinpath("docs.html").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = _pretty
    environment.filters["kind"] = _kind
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            described = {**operation, "path": path, "method": method.upper()}
            by_tag.setdefault(operation["tags"][0], []).append(described)
    page = environment.from_string(source).render(
        info=description["info"],
        by_tag=by_tag,
        schemas=description["components"]["schemas"],
        codes=CATALOGUE,
    )
    return page.encode()


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _kind(schema: dict[str, Any]) -> str:
    """A schema in one line, as a reader wants it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return f"{schema.get('type', 'any')}{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    words = {
        "minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "maxLength": "length ≤",
        "minLength": "length ≥", "default": "default",
    }  # fmt: skip
    told = [f"{word} {schema[name]}" for name, word in words.items() if name in schema]
    return f" ({', '.join(told)})" if told else ""


ROUTES: Final = (get_description, get_page)
