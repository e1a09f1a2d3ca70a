"""A new plugin package: names that are free, and every file of it, rendered from templates."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import util
from pathlib import Path
from typing import Final

import starship_core
from starship_core.errors import InvalidInput
from starship_core.plugins import core_version, take

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST: Final = 16
"""Characters of a name: lines of code are made with it."""
_TEMPLATES: Final = Path(__file__).parent / "templates"
_MODULE: Final = "MODULE"
"""Stands in a template's path for the package."""


@dataclass(frozen=True)
class Kind:
    """What packages of one kind are called."""

    prefix: str
    """Before the name, as the plugins have it that come with starship: `fx-ecb`."""
    suffix: str
    """Of the class that is the port."""
    about: str
    http: bool = True


KINDS: Final[Mapping[str, Kind]] = {
    "vendor": Kind("", "Vendor", "Buys vouchers from {} for Starship."),
    "source": Kind("source-", "Source", "Vouchers from {} for Starship's stock.", http=False),
    "fx": Kind("fx-", "Rates", "Exchange rates from {} for Starship."),
    "wallet": Kind("wallet-", "Wallet", "Keeps the balances of Starship in {}.", http=False),
    "notifier": Kind("notify-", "Notifier", "Tells {} what happens to Starship's orders."),
    "policy": Kind("policy-", "Policy", "Says for {} what Starship may buy.", http=False),
}
"""By the port's word on the command line."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a template may write."""

    kind: str
    name: str
    title: str
    """In prose and in classes: `acme-gifts` is AcmeGifts."""
    plugin: str
    """What a deployer enables and writes after `use =`."""
    distribution: str
    module: str
    port: str
    """The class."""
    about: str
    core: str
    """Which versions of starship-core."""
    http: bool


def named(kind: str, name: str) -> Names:
    """The package's names. Raises InvalidInput for a name that is none, or that is taken."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise InvalidInput(
            f"{name!r} cannot name a plugin: write small letters and digits, a letter first, "
            f"hyphens only between them, at most {LONGEST} characters, such as acme or gift-hub"
        )
    of = KINDS[kind]
    title = "".join(part.capitalize() for part in name.split("-"))
    plugin = of.prefix + name
    names = Names(
        kind=kind,
        name=name,
        title=title,
        plugin=plugin,
        distribution=f"starship-{plugin}",
        module=f"starship_{plugin.replace('-', '_')}",
        port=title + of.suffix,
        about=of.about.format(title),
        core=_versions(core_version()),
        http=of.http,
    )
    _refuse_taken(names)
    return names


def _refuse_taken(names: Names) -> None:
    classes = {names.title, names.port, f"{names.title}Config"}
    if keyword.iskeyword(names.title) or classes & set(starship_core.__all__):
        raise InvalidInput(f"{names.name!r} would make a class of Python's or starship's own name")
    offered = {one.name for one in take([]).installed}
    if names.plugin in offered or util.find_spec(names.module) is not None:
        raise InvalidInput(
            f"{names.name!r} is taken: {names.distribution} is installed in this environment; "
            "choose another name, or uninstall it"
        )


def _versions(version: str) -> str:
    """The release that is installed, and those that keep its promises: `>=0.1,<0.2`."""
    major, minor = (int(part) for part in version.split(".")[:2])
    after = f"0.{minor + 1}" if major == 0 else str(major + 1)
    return f">={major}.{minor},<{after}"


def rendered(names: Names) -> Iterator[tuple[str, str]]:
    """Every file of the package: its path, and its text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  # slow

    environment = Environment(
        loader=FileSystemLoader([_TEMPLATES / names.kind, _TEMPLATES / "every"]),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # Python and TOML, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    for path in sorted(environment.list_templates()):
        text = environment.get_template(path).render(asdict(names))
        yield path.removesuffix(".jinja").replace(_MODULE, names.module), text
