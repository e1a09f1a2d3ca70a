"""OpenAPI 3.1 from the code: the Structs that requests are decoded into and answers are made of.

Litestar's own generator reads handler signatures; ours take the request as it is (that is what
makes them cheap and their errors exact), so each route says what it is in an `Operation`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from starship_core.http.codes import CATALOGUE
from starship_core.http.paging import LAST_PAGE

JsonObject = dict[str, Any]
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_ALWAYS: Final = (
    "E_UNAUTHORIZED_ACCESS", "PAYLOAD_TOO_LARGE", "TOO_MANY_REQUESTS", "HEADERS_TOO_LARGE",
    "INTERNAL_ERROR", "UNAVAILABLE",
)  # fmt: skip
_WITH_BODY: Final = ("SYNTAX_ERROR", "E_VALIDATION_FAILURE", "UNSUPPORTED_MEDIA_TYPE")
ID: Final[JsonObject] = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
TEXT: Final[JsonObject] = {"type": "string"}
FLAG: Final[JsonObject] = {"type": "boolean"}


AMOUNT: Final[JsonObject] = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d{1,12}(\.\d{1,3})?$"},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 999_999_999_999},
    ],
    "description": "At most as many decimals as the currency has.",
}


class Parameter(NamedTuple):
    """One parameter of the query, a header or a path."""

    name: str
    about: str
    schema: JsonObject = TEXT
    required: bool = False


PAGE: Final = Parameter("page", "Which page, from 1.", {**ID, "maximum": LAST_PAGE, "default": 1})


def paged(default: int = 50, largest: int = 10_000) -> tuple[Parameter, ...]:
    """`page` and `limit`."""
    return PAGE, Parameter("limit", "Items a page.", {**ID, "maximum": largest, "default": default})


def sortable(*fields: str) -> Parameter:
    """`sort`, a JSON text."""
    texts = [
        f'{{"field":"{field}","direction":"{way}"}}' for field in fields for way in ("ASC", "DESC")
    ]
    about = f"`{texts[1]}`; field: {', '.join(fields)}."
    return Parameter("sort", about, {"type": "string", "enum": texts})


class Operation(Struct, frozen=True, kw_only=True):
    """What a route says of itself; `documented` attaches it."""

    tag: str
    summary: str
    about: str = ""
    answer: Any
    """The type of the 200's body."""
    example: Any
    """Of the 200's body."""
    body: Any = None
    """The type of the request's body, if it has one."""
    body_example: Any = None
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    path: tuple[Parameter, ...] = ()
    """Only those that are not ids."""
    errors: tuple[str, ...] = ()
    """Codes beyond those that every call of its shape can get."""
    also: dict[int, str] = {}  # a status that carries the 200's body, and what it says
    public: bool = False

    def codes(self, path: str) -> list[str]:
        """Every error code a call can get, in the catalogue's order."""
        possible = {*self.errors, *(() if self.public else _ALWAYS)}
        if self.body is not None:
            possible.update(_WITH_BODY)
        if not self.public:  # a parameter that is not known is refused everywhere
            possible.add("E_VALIDATION_FAILURE")
        if "{" in path:
            possible.add("NOT_FOUND")
        return [code for code in CATALOGUE if code in possible]


def documented(operation: Operation) -> dict[str, Any]:
    """For `opt=` of a route."""
    return {"operation": operation}


class Error(Struct):
    """What every error looks like; branch on `code`."""

    name: str
    code: str
    message: str
    request_id: str
    messages: dict[str, list[dict[str, str]]] | None = None
    """Only of E_VALIDATION_FAILURE: by field, what rule it breaks."""
    details: dict[str, Any] | None = None


class ErrorAnswer(Struct):
    """The envelope."""

    error: Error


def document(routes: Iterable[tuple[str, HTTPRouteHandler]], *, version: str) -> JsonObject:
    """The whole description; `routes` are (path, handler)."""
    operations = [
        (_PATH_PARAMETER.sub(r"{\1}", path), method.lower(), found)
        for path, handler in routes
        if (found := handler.opt.get("operation")) is not None
        for method in sorted(handler.http_methods)
    ]
    types = {
        id(kind): kind for _, _, each in operations for kind in (each.answer, each.body) if kind
    }
    schemas, components = msgspec.json.schema_components(
        [*types.values(), ErrorAnswer], ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip([*types, id(ErrorAnswer)], schemas, strict=True))
    _describe_amounts([each.body for _, _, each in operations if each.body], components)
    paths: JsonObject = {}
    for path, method, operation in operations:
        paths.setdefault(path, {})[method] = _operation(path, method, operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Starship client API",
            "version": version,
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for _, _, each in operations)],
        "security": [{"key": [], "secret": [], "signature": []}, {"key": [], "secret": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _describe_amounts(bodies: Iterable[Any], components: JsonObject) -> None:
    """Requests keep amounts as raw tokens (`web/amounts.py`), of which msgspec can say nothing."""
    for body in bodies:
        for field in msgspec.structs.fields(body):
            if field.type is msgspec.Raw:
                components[body.__name__]["properties"][field.encode_name] = AMOUNT


_ABOUT: Final = (
    "Amounts are decimal strings with the currency's own number of decimals. Times are RFC 3339 "
    "in UTC. Every error has one shape; branch on its `code`. `X-Request-Id` is taken or made, "
    "and always echoed."
)
_SECURITY: Final[JsonObject] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "secret": {"type": "apiKey", "in": "header", "name": "X-API-Secret"},
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": (
            "`t=<unix seconds>,v1=<hex HMAC-SHA256>` over METHOD, PATH, SORTED_QUERY, BODY_HASH "
            "and TIMESTAMP, joined by line feeds. Required where the credential says so."
        ),
    },
}


def _operation(
    path: str, method: str, operation: Operation, by_type: Mapping[int, JsonObject]
) -> JsonObject:
    described: JsonObject = {
        "operationId": _operation_id(path, method),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(path, operation),
        "responses": _responses(path, operation, by_type),
    }
    if operation.about:
        described["description"] = operation.about
    if operation.public:
        described["security"] = []
    if operation.body is not None:
        content = {"schema": by_type[id(operation.body)], "example": operation.body_example}
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    return described


def _operation_id(path: str, method: str) -> str:
    words = [word.strip("{}") for word in path.removeprefix("/api/v1").split("/") if word]
    return "_".join([method, *words]).replace("-", "_").replace(".", "_")


def _parameters(path: str, operation: Operation) -> list[JsonObject]:
    named = {each.name: each for each in operation.path}
    in_path = [
        named.get(name) or Parameter(name, "Its id.", ID) for name in _PATH_PARAMETER.findall(path)
    ]
    found = [_parameter(each, "path", required=True) for each in in_path]
    found += [_parameter(each, "query", required=each.required) for each in operation.query]
    found += [_parameter(each, "header", required=each.required) for each in operation.headers]
    return found


def _parameter(parameter: Parameter, where: str, *, required: bool) -> JsonObject:
    return {
        "name": parameter.name,
        "in": where,
        "required": required,
        "description": parameter.about,
        "schema": parameter.schema,
    }


def _responses(path: str, operation: Operation, by_type: Mapping[int, JsonObject]) -> JsonObject:
    content = {"schema": by_type[id(operation.answer)], "example": operation.example}
    answers: JsonObject = {
        "200": {"description": "Done.", "content": {"application/json": content}}
    }
    if PAGE in operation.query:
        answers["200"]["headers"] = _paging_headers()
    for status, about in operation.also.items():
        answers[str(status)] = {"description": about, "content": {"application/json": content}}
    by_status: dict[int, list[str]] = {}
    for code in operation.codes(path):
        by_status.setdefault(CATALOGUE[code].http, []).append(code)
    for status, codes in by_status.items():
        answers[str(status)] = _error(codes, by_type[id(ErrorAnswer)])
    return answers


def _error(codes: Sequence[str], schema: JsonObject) -> JsonObject:
    examples = {
        code: {"summary": CATALOGUE[code].when, "value": {"error": _example(code)}}
        for code in codes
    }
    described: JsonObject = {
        "description": " ".join(f"`{code}`: {CATALOGUE[code].when}" for code in codes),
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }
    if CATALOGUE[codes[0]].http in (429, 503):
        described["headers"] = {"Retry-After": {"schema": ID, "description": "Seconds."}}
    return described


def _example(code: str) -> JsonObject:
    return {
        "name": CATALOGUE[code].name,
        "code": code,
        "message": CATALOGUE[code].when,
        "request_id": "1f3870be274f6c49b3e31a0c",
    }


def _paging_headers() -> JsonObject:
    names = ("X-Page", "X-Per-Page", "X-Total-Count", "X-Total-Pages", "X-Page-Size")
    numbers = {name: {"schema": {"type": "integer", "minimum": 0}} for name in names}
    return {**numbers, "X-Has-More": {"schema": {"type": "string", "enum": ["true", "false"]}}}
