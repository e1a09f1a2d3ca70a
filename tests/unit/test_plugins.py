"""Plugins are found, refused with every reason at once, and opened without telling secrets."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from msgspec import Meta, Struct, defstruct
from structlog.testing import capture_logs

from starship_core import (
    ConfigError,
    FxRegistration,
    PluginError,
    PolicyRegistration,
    Secret,
    SourceRegistration,
    VendorRegistration,
    WalletRegistration,
    hookimpl,
)
from starship_core.describe import Field, fields
from starship_core.plugins import GROUP, find, open_instance, take
from starship_core.testing.plugs import (
    Nothing,
    Offer,
    config,
    offer,
    plugin,
    registering,
    registration,
    required,
    toolbox,
)


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    """A vendor's section."""

    base_url: str
    """Where they are."""
    client_secret: Secret | None = None
    timeout: float = 30.0
    scopes: list[str] = []
    """What we ask for,
    in their words."""


class Unreadable(Struct):
    what: NoSuchType  # type: ignore[name-defined]  # noqa: F821  # the fault under test


@pytest.fixture
def refused(tmp_path: Path) -> Any:
    """Load these plugins beside the required ones and return the problems."""

    def report(*offers: Offer, text: str = "", enabled: tuple[str, ...] | None = None) -> list[str]:
        names = tuple(one.name for one in offers) if enabled is None else enabled
        with pytest.raises(PluginError) as caught:
            find(config(tmp_path, text, "required", *names), [*offers, required()])
        return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return report


def unfit(folder: Path, text: str, *offers: Offer) -> list[str]:
    """The problems of a file whose plugins are sound."""
    with pytest.raises(ConfigError) as caught:
        find(config(folder, text, *(one.name for one in offers)), offers)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def vendor_plugin(**changed: Any) -> Offer:
    return offer("bamboo", registering(registration(VendorRegistration, **changed)))


def test_enabled_plugins_are_registered_and_fitted(tmp_path: Path) -> None:
    """Sections become instances, in the file's order, each with its own typed configuration."""
    text = """
        [vendors.bamboo-eu]
        use = "bamboo"
        base_url = "https://eu.vendor.example"
        [vendors.bamboo]
        base_url = "https://vendor.example"
        [sources.shop]
        use = "csv"
    """
    offers = [
        vendor_plugin(config=Account),
        offer("csv", registering(registration(SourceRegistration, "csv"))),
        required(),
    ]

    plugins = find(config(tmp_path, text, "required", "bamboo", "csv"), offers)

    assert [
        (one.kind, one.instance_name, one.plugin, one.registration.name, one.config_object)
        for one in plugins.instances
    ] == [
        ("wallet", "wallet", "required", "w", Nothing()),
        ("fx", "fx", "required", "f", Nothing()),
        ("source", "shop", "csv", "csv", Nothing()),
        ("vendor", "bamboo-eu", "bamboo", "bamboo", Account(base_url="https://eu.vendor.example")),
        ("vendor", "bamboo", "bamboo", "bamboo", Account(base_url="https://vendor.example")),
    ]
    assert [one.instance_name for one in plugins.of_kind("vendor")] == ["bamboo-eu", "bamboo"]
    assert {kind: list(by_name) for kind, by_name in plugins.registrations.items()} == {
        "source": ["csv"],
        "vendor": ["bamboo"],
        "fx": ["f"],
        "wallet": ["w"],
        "notifier": [],
        "policy": [],
    }


def test_installed_is_not_enabled(tmp_path: Path) -> None:
    """A package that merely came along is listed and never imported."""
    bystander = offer("bystander", RuntimeError("imported"))

    plugins = find(config(tmp_path, "", "required"), [bystander, required()])

    assert bystander.loads == []
    assert [
        (one.name, one.distribution, one.version, one.enabled) for one in plugins.installed
    ] == [
        ("bystander", "starship-bystander", "1.2.3", False),
        ("required", "starship-required", "1.2.3", True),
    ]


def test_migrations_are_those_of_the_wallet_in_use(tmp_path: Path) -> None:
    """`starship db upgrade` makes the tables of the wallet that is used, not of each installed."""
    used = registration(WalletRegistration, "used", migrations="used:migrations")
    idle = registration(WalletRegistration, "idle", migrations="idle:migrations")
    offers = [offer("both", registering(used, idle, registration(FxRegistration, "f")))]

    plugins = find(config(tmp_path, '[wallet]\nuse = "used"', "both"), offers)

    assert plugins.migrations() == ["used:migrations"]


def test_the_environment_s_entry_points_are_found() -> None:
    """What pip installed is what is walked: this package's own defaults are plugins, too."""
    declared = {one.name: one.dist.name for one in metadata.entry_points(group=GROUP) if one.dist}

    survey = take(["wallet-ledger"])

    assert {one.name: one.distribution for one in survey.installed} == declared
    assert survey.problems == []
    assert list(survey.offered["wallet"]) == ["wallet-ledger"]


def test_enabled_but_not_installed_is_refused(refused: Any) -> None:
    """The list of what is installed stands beside it: the fault is mostly a misspelt name."""
    assert refused(vendor_plugin(), enabled=("bambo", "bamboo")) == [
        "starship.toml: [plugins] enabled: bambo is not installed; installed are: bamboo, required"
    ]


def test_one_name_from_two_distributions_is_refused(refused: Any) -> None:
    """pip does not stop two packages from offering one name; neither of them is imported."""
    first = offer("bamboo", registering(registration()), "starship-bamboo")
    second = offer("bamboo", registering(registration()), "bamboo-fork")

    assert refused(first, second, enabled=("bamboo",)) == [
        "plugin bamboo: starship-bamboo and bamboo-fork both offer it; uninstall one of them"
    ]
    assert first.loads + second.loads == []


def test_two_distributions_of_a_plugin_that_is_not_enabled_do_not_matter(tmp_path: Path) -> None:
    """What is not used cannot stop the server."""
    rivals = [offer("bamboo", RuntimeError(), "a"), offer("bamboo", RuntimeError(), "b")]

    plugins = find(config(tmp_path, "", "required"), [*rivals, required()])

    assert [one.name for one in plugins.installed] == ["bamboo", "required"]


def test_two_registrations_of_one_kind_and_name_are_refused(refused: Any) -> None:
    """With money at stake nobody renames or overwrites: both plugins are named."""
    first = offer("a", registering(registration(VendorRegistration, "bamboo")))
    second = offer("b", registering(registration(VendorRegistration, "bamboo")))

    assert refused(first, second) == [
        (
            "plugin b (starship-b 1.2.3): the vendor bamboo is already registered by plugin a; "
            "disable or uninstall one of them"
        )
    ]


def test_one_name_in_two_kinds_is_no_conflict(tmp_path: Path) -> None:
    """A vendor and a source may share a name, as one company can be both."""
    both = registering(registration(VendorRegistration, "x"), registration(SourceRegistration, "x"))

    plugins = find(config(tmp_path, "", "required", "x"), [offer("x", both), required()])

    assert list(plugins.registrations["vendor"]) == ["x"]
    assert list(plugins.registrations["source"]) == ["x"]


@pytest.mark.parametrize(
    ("api", "cure"),
    [(2, "starship-core"), (0, "the plugin"), ("1", "the plugin"), (True, "the plugin")],
)
def test_a_wrong_plugin_api_is_refused(refused: Any, api: object, cure: str) -> None:
    """The text says which API the core speaks and which package has to be upgraded."""
    assert refused(vendor_plugin(api=api)) == [
        (
            "plugin bamboo (starship-bamboo 1.2.3): register_vendor_fulfillers "
            f"handed over 'bamboo', written for plugin API {api!r}; "
            f"this core speaks plugin API 1: upgrade {cure}"
        )
    ]


def test_a_coroutine_from_a_hook_is_refused(refused: Any) -> None:
    """pluggy would leak it un-awaited; it is closed, or this test fails on Python's warning."""

    async def register_vendor_fulfillers() -> list[Any]:
        return []

    async def register_inventory_sources() -> AsyncIterator[Any]:
        yield registration(SourceRegistration)

    bad = plugin(
        register_vendor_fulfillers=register_vendor_fulfillers,
        register_inventory_sources=register_inventory_sources,
    )
    text = "is async; make it a plain function, and do what awaits in `open`"

    assert refused(offer("bad", bad)) == [
        f"plugin bad (starship-bad 1.2.3): register_inventory_sources {text}",
        f"plugin bad (starship-bad 1.2.3): register_vendor_fulfillers {text}",
    ]


def test_an_unknown_hook_is_refused(refused: Any) -> None:
    """A misspelt hook would otherwise be a plugin that silently does nothing."""
    assert refused(offer("bad", plugin(register_vendor_fulfilers=lambda: [registration()]))) == [
        (
            "plugin bad (starship-bad 1.2.3): there is no hook register_vendor_fulfilers; "
            "did you mean register_vendor_fulfillers?"
        )
    ]


def test_a_hook_that_raised_is_refused(refused: Any) -> None:
    """Its plugin is named, and the other plugins' registrations are still looked at."""

    def register_notifiers() -> list[Any]:
        raise LookupError("no\n  luck")

    def register_fx_providers() -> Any:
        yield registration(FxRegistration)
        raise ZeroDivisionError

    bad = plugin(register_notifiers=register_notifiers, register_fx_providers=register_fx_providers)

    assert refused(offer("bad", bad), vendor_plugin(api=2)) == [
        "plugin bad (starship-bad 1.2.3): register_fx_providers raised ZeroDivisionError: ",
        "plugin bad (starship-bad 1.2.3): register_notifiers raised LookupError: no luck",
        (
            "plugin bamboo (starship-bamboo 1.2.3): register_vendor_fulfillers "
            "handed over 'bamboo', written for plugin API 2; "
            "this core speaks plugin API 1: upgrade starship-core"
        ),
    ]


def test_a_thing_that_is_no_registration_of_its_kind_is_refused(refused: Any) -> None:
    """What a hook returns is looked at before anything is done with it."""
    source = registration(SourceRegistration, "csv")
    bad = plugin(
        register_vendor_fulfillers=lambda: [source, None, "bamboo"],
        register_inventory_sources=lambda: source,
        register_notifiers=lambda: None,
        register_fulfil_policies=lambda: "policy",
    )
    one = "plugin bad (starship-bad 1.2.3):"
    vendors = f"{one} register_vendor_fulfillers handed over"

    assert refused(offer("bad", bad)) == [
        (
            f"{one} register_fulfil_policies returned an object of type str; "
            "it must return a list of PolicyRegistration"
        ),
        (
            f"{one} register_inventory_sources returned an object of type SourceRegistration; "
            "it must return a list of SourceRegistration"
        ),
        f"{one} register_notifiers returned None; it must return a list of NotifierRegistration",
        f"{vendors} an object of type SourceRegistration, which is no VendorRegistration",
        f"{vendors} None, which is no VendorRegistration",
        f"{vendors} an object of type str, which is no VendorRegistration",
    ]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"name": "two words"},
         "a registration named 'two words'; a name is letters, digits and hyphens"),
        ({"name": ""}, "a registration named ''; a name is letters, digits and hyphens"),
        ({"open": None}, "'bamboo', whose `open` cannot be called"),
        ({"config": dict}, "'bamboo', whose config is no msgspec Struct"),
        ({"config": Unreadable},
         "'bamboo', whose config cannot be read: NameError: name 'NoSuchType' is not defined"),
    ],
)  # fmt: skip
def test_an_ill_formed_registration_is_refused(
    refused: Any, changed: dict[str, Any], problem: str
) -> None:
    """Found at start-up rather than when the first order needs it."""
    assert refused(vendor_plugin(**changed)) == [
        "plugin bamboo (starship-bamboo 1.2.3): register_vendor_fulfillers handed over " + problem
    ]


def test_a_plugin_that_cannot_be_imported_is_refused(refused: Any) -> None:
    """A missing dependency, and a module that ends the process, are both reports."""
    assert refused(offer("a", ImportError("No module named 'x'")), offer("b", SystemExit(3))) == [
        "plugin a (starship-a 1.2.3): cannot be loaded: ImportError: No module named 'x'",
        "plugin b (starship-b 1.2.3): cannot be loaded: SystemExit: 3",
    ]


def test_a_hook_with_a_wrong_signature_is_refused(refused: Any) -> None:
    """pluggy's own validation is part of the report."""
    problems = refused(offer("bad", plugin(register_notifiers=lambda settings: [settings])))

    assert len(problems) == 1
    assert problems[0].startswith(
        "plugin bad (starship-bad 1.2.3): cannot be loaded: PluginValidationError: "
    )
    assert problems[0].endswith(
        "Argument(s) {'settings'} are declared in the hookimpl but can not be found in the hookspec"
    )


def test_a_hook_wrapper_is_refused(refused: Any) -> None:
    """A wrapper could change what other plugins registered."""
    module = plugin()

    def register_notifiers() -> Any:
        return (yield)

    vars(module)["register_notifiers"] = hookimpl(wrapper=True)(register_notifiers)

    assert refused(offer("bad", module)) == [
        (
            "plugin bad (starship-bad 1.2.3): register_notifiers is a wrapper; "
            "a hook hands over its own registrations and nothing else"
        )
    ]


def test_a_plugin_without_hooks_is_refused(refused: Any) -> None:
    """The decorator was forgotten, or the entry point names the wrong module."""
    assert refused(offer("bad", plugin())) == [
        "plugin bad (starship-bad 1.2.3): has no function marked @hookimpl, so it registers nothing"
    ]


def test_a_section_that_uses_nothing_registered_is_refused(tmp_path: Path) -> None:
    """By `use`, or by the instance's own name when `use` is left out."""
    text = """
        [vendors.eu]
        use = "bambu"
        [vendors.bamboo]
        [sources.shop]
        [policies.p]
        use = 5
    """

    assert unfit(tmp_path, text, vendor_plugin(), required()) == [
        (
            "starship.toml: [sources.shop] use: no enabled plugin registers a source shop; "
            "there are none"
        ),
        (
            "starship.toml: [vendors.eu] use: no enabled plugin registers a vendor bambu; "
            "did you mean bamboo?"
        ),
        "starship.toml: [policies.p] use: must be the name of a registered policy",
    ]


def test_a_section_is_not_blamed_for_its_plugin_s_fault(refused: Any) -> None:
    """While the plugin is broken, `use` cannot be judged; the fault itself is told once."""
    assert refused(offer("bamboo", ImportError("x")), text="[vendors.bamboo]") == [
        "plugin bamboo (starship-bamboo 1.2.3): cannot be loaded: ImportError: x"
    ]


def test_a_config_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """With file, section and field, in the words of the configuration's own refusals."""
    text = """
        [vendors.bamboo]
        timeout = "long"
        base = "x"
        [wallet]
        use = "w"
        floor = 1
    """

    assert unfit(tmp_path, text, vendor_plugin(config=Account), required()) == [
        "starship.toml: [wallet] floor: there is no such field; there are none",
        "starship.toml: [vendors.bamboo] base: there is no such field; did you mean base_url?",
        "starship.toml: [vendors.bamboo] base_url: is missing",
        "starship.toml: [vendors.bamboo] timeout: expected `float`, got `str`",
    ]


def test_faults_of_packages_and_of_sections_are_one_report(refused: Any) -> None:
    """Whoever repairs the packages sees in the same run what the file will be refused for."""
    bad = offer("bad", RuntimeError("x"))

    assert refused(bad, vendor_plugin(), text='[vendors.bamboo]\nextra = "1"') == [
        "plugin bad (starship-bad 1.2.3): cannot be loaded: RuntimeError: x",
        "starship.toml: [vendors.bamboo] extra: there is no such field; there are none",
    ]


def test_a_missing_wallet_and_fx_provider_say_what_to_write(tmp_path: Path) -> None:
    """A first run must end in a sentence that can be copied."""
    waiting = offer("wallet-ledger", RuntimeError("not imported"))
    with pytest.raises(ConfigError) as caught:
        find(config(tmp_path, ""), [waiting])

    assert [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        (
            "starship.toml: [wallet]: no enabled plugin is a wallet backend (installed, but not "
            "enabled: wallet-ledger); add one to [plugins] enabled and write [wallet] use = "
            '"its name"'
        ),
        (
            "starship.toml: [fx]: no enabled plugin is an exchange-rate provider (installed, but "
            "not enabled: wallet-ledger); add one to [plugins] enabled and write [fx] use = "
            '"its name"'
        ),
    ]


def test_a_choice_between_two_wallets_has_to_be_made(tmp_path: Path) -> None:
    """Which ledger keeps the money is not guessed."""
    second = offer("second", registering(registration(WalletRegistration, "other")))

    assert unfit(tmp_path, "", required(), second) == [
        (
            "starship.toml: [wallet] use: is missing, and there are several; "
            'write use = "w" or use = "other"'
        )
    ]


@pytest.mark.parametrize("name", ["../up", "", "a b", "x" * 65])
def test_an_instance_name_that_cannot_be_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    """It names a plugin's folder, log lines and rows."""
    text = f'[vendors."{name}"]\nuse = "bamboo"'

    assert unfit(tmp_path, text, vendor_plugin(), required()) == [
        (
            f"starship.toml: [vendors.{name}]: a name is at most 64 letters, digits, dots, "
            "hyphens and underscores"
        )
    ]


async def test_an_instance_is_opened_with_its_config_and_closed(tmp_path: Path) -> None:
    """What `open` yields is the port, for as long as the block lasts."""
    events: list[str] = []

    @asynccontextmanager
    async def remembering(config: Any, toolbox: Any) -> AsyncIterator[Any]:
        events.append("open")
        yield config, toolbox.instance
        events.append("closed")

    plugins = find(
        config(tmp_path, '[vendors.bamboo]\nbase_url = "u"', "required", "bamboo"),
        [vendor_plugin(config=Account, open=remembering), required()],
    )
    (instance,) = plugins.of_kind("vendor")

    async with open_instance(instance, toolbox(tmp_path)) as port:
        assert port == (Account(base_url="u"), "bamboo-eu")
        assert events == ["open"]
    with pytest.raises(KeyError):
        async with open_instance(instance, toolbox(tmp_path)):
            raise KeyError

    assert events == ["open", "closed", "open", "closed"]


async def instance_of(folder: Path, opening: Any) -> Any:
    plugins = find(
        config(folder, "[vendors.bamboo]", "required", "bamboo"),
        [vendor_plugin(open=opening), required()],
    )
    return plugins.of_kind("vendor")[0]


async def test_what_escapes_opening_is_told_without_its_text(tmp_path: Path) -> None:
    """A library's exception may hold the password it was called with: class, plugin, ids only."""

    @asynccontextmanager
    async def leaking(_config: Any, _toolbox: Any) -> AsyncIterator[Any]:
        raise ValueError("hunter2")
        yield

    instance = await instance_of(tmp_path, leaking)

    with capture_logs() as logs, pytest.raises(PluginError) as caught:
        async with open_instance(instance, toolbox(tmp_path)):
            pass

    assert str(caught.value) == (
        "plugin bamboo: vendor bamboo could not be opened: ValueError "
        "(its text is not shown, as it may hold a secret)"
    )
    assert caught.value.__suppress_context__ is True
    assert logs == [
        {
            "event": "plugin.not_opened",
            "log_level": "error",
            "plugin": "bamboo",
            "instance": "bamboo",
            "kind": "vendor",
            "error": "ValueError",
        }
    ]


async def test_what_a_plugin_meant_to_be_read_is_passed_on(tmp_path: Path) -> None:
    """A ConfigError of the plugin's own is fit for the operator."""

    @asynccontextmanager
    async def picky(_config: Any, _toolbox: Any) -> AsyncIterator[Any]:
        raise ConfigError("[sources.shop] folder: there is no folder incoming")
        yield

    instance = await instance_of(tmp_path, picky)

    with pytest.raises(ConfigError) as caught:
        async with open_instance(instance, toolbox(tmp_path)):
            pass

    assert caught.value.problems == ["[sources.shop] folder: there is no folder incoming"]


async def test_a_fault_while_closing_is_logged_and_ends_there(tmp_path: Path) -> None:
    """The other plugins still have to be closed, and the block's own error must stay visible."""

    @asynccontextmanager
    async def leaking(_config: Any, _toolbox: Any) -> AsyncIterator[Any]:
        yield "port"
        raise ValueError("hunter2")

    instance = await instance_of(tmp_path, leaking)

    with capture_logs() as logs, pytest.raises(KeyError, match="mine"):
        async with open_instance(instance, toolbox(tmp_path)):
            raise KeyError("mine")

    assert [(one["event"], one["error"]) for one in logs] == [("plugin.not_closed", "ValueError")]


async def test_an_open_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start-up has an end even when a plugin waits for something in `open`."""
    monkeypatch.setattr("starship_core.instances.OPEN_SECONDS", 0.01)

    @asynccontextmanager
    async def hanging(_config: Any, _toolbox: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(60)
        yield

    instance = await instance_of(tmp_path, hanging)

    with pytest.raises(PluginError, match="could not be opened: TimeoutError"):
        async with open_instance(instance, toolbox(tmp_path)):
            pass


def test_fields_are_described_for_a_deployer() -> None:
    """Name, type, default and the sentence below the field, as `starship plugins` shows them."""
    assert list(fields(Account)) == [
        Field("base_url", "str", required=True, default=None, doc="Where they are."),
        Field("client_secret", "Secret | None", required=False, default=None, doc=""),
        Field("timeout", "float", required=False, default=30.0, doc=""),
        Field(
            "scopes",
            "list[str]",
            required=False,
            default=[],
            doc="What we ask for, in their words.",
        ),
    ]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Literal["live", "a.b"], "Literal['live', 'a.b']"),
        (dict[str, Decimal], "dict[str, Decimal]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Optional[Annotated[datetime, Meta(tz=True)]], "datetime | None"),  # noqa: UP045  # the spelling under test
        (list[Secret] | None, "list[Secret] | None"),
        (Any, "Any"),
    ],
)
def test_types_are_written_without_modules(annotation: Any, text: str) -> None:
    """A deployer reads them; where a class lives is nothing to them."""
    made = defstruct("Made", [("one", annotation)])

    assert [field.type for field in fields(made)] == [text]


def test_policies_tell_their_facts() -> None:
    """Facts beyond name and config come from the registration itself."""
    assert registration(PolicyRegistration, "p", names_products=True).facts() == {
        "names_products": True
    }


def test_only_one_module_asks_for_installed_plugins() -> None:
    """One place decides what is imported; a second one would be a way around the allow-list.

    Sandboxes are no plugins: a group of their own, and one is imported when a command names it.
    """
    package = Path(sys.modules["starship_core"].__file__ or "").parent
    users = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if "testing" not in file.parts
        and any(
            word in file.read_text() for word in ("entry_points(", "pkg_resources", "iter_modules")
        )
    }

    assert users == {"plugins.py", "sandboxes.py"}
