# ruff: noqa: INP001  # docs is no package
"""The page of the operators' API: every route with what it asks, from the routes themselves."""

from __future__ import annotations

from typing import Any

import msgspec
from generate import table
from source import module

from starship_core.admin.app import ROOT, create_routes
from starship_core.http.routing import operations
from starship_core.operators import ABILITIES

_APP = create_routes()
_DESCRIPTION: dict[str, Any] = msgspec.json.decode(_APP.state.openapi)
_ABOUT = {
    field.name: field.about
    for file in ("bodies", "purchases", "switches", "targets")
    for described in module(f"starship_core/admin/{file}.py")[0]
    if described.name.endswith("Body")
    for field in described.fields
}
"""What the fields of bodies are; a name means the same in each of them."""


def abilities() -> str:
    """What each ability opens."""
    opens: dict[str, list[str]] = {ability: [] for ability in ABILITIES}
    for path, handler in operations(_APP):
        if (ability := handler.opt["ability"]) in opens:
            opens[ability].append(f"`{_short(path)}`")
    return table(
        ("ability", "opens"), ((f"`{name}`", ", ".join(paths)) for name, paths in opens.items())
    )


def routes() -> str:
    """A heading for every operation, with its parameters, body, answer and errors."""
    asks = {
        (path.replace(":str", ""), method.lower()): handler.opt["ability"]
        for path, handler in operations(_APP)
        for method in handler.http_methods
    }
    return "\n".join(
        _route(path, method, told, asks[path, method])
        for path, methods in _DESCRIPTION["paths"].items()
        for method, told in methods.items()
    )


def _route(path: str, method: str, told: dict[str, Any], ability: str) -> str:
    about = told.get("description", "").removesuffix(f"Needs the ability `{ability}`.").strip()
    parts = [f"### {method.upper()} {_short(path)}\n", f"{told['summary']}. {about}".strip() + "\n"]
    rows = [(f"`{each['name']}`", each["in"], each["description"]) for each in told["parameters"]]
    rows += _fields(told)
    if rows:
        parts.append(table(("name", "in", "what it is"), rows))
    parts.append(
        f"Answers {_answer(told)}; ability: `{ability}`; errors of its own: {_own(told)}.\n"
    )
    return "\n".join(parts)


def _fields(told: dict[str, Any]) -> list[tuple[str, str, str]]:
    if "requestBody" not in told:
        return []
    content = told["requestBody"]["content"]["application/json"]
    body = _DESCRIPTION["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[-1]]
    required = body.get("required", ())
    return [
        (f"`{name}`", "body, required" if name in required else "body", _ABOUT[name])
        for name in body["properties"]
    ]


def _answer(told: dict[str, Any]) -> str:
    schema = told["responses"]["200"]["content"]["application/json"]["schema"]
    if schema.get("type") == "array":
        return f"a list of `{schema['items']['$ref'].rsplit('/', 1)[-1]}`"
    return f"`{schema['$ref'].rsplit('/', 1)[-1]}`"


def _own(told: dict[str, Any]) -> str:
    codes = [
        code
        for status in ("400", "403", "404", "409")
        for code in told["responses"]
        .get(status, {"content": {}})["content"]
        .get("application/json", {"examples": ()})["examples"]
        if code not in ("E_VALIDATION_FAILURE", "SYNTAX_ERROR")
    ]
    return ", ".join(f"`{code}`" for code in codes) or "none"


def _short(path: str) -> str:
    return path.replace(":str", "").removeprefix(ROOT)
