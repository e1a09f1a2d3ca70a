"""The configuration file: what is read, what is refused, and with which words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from starship_core import ConfigError, Secret
from starship_core.config import Config, RetrySection, load
from starship_core.config_file import Place


def written(folder: Path, text: str) -> Path:
    file = folder / "starship.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(file: Path, environ: dict[str, str] | None = None) -> list[str]:
    """The problems, without the folder of this test run in front."""
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {})
    return [problem.replace(f"{file.parent}/", "") for problem in caught.value.problems]


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    base_url: str
    client_secret: Secret
    timeout: float = 30.0
    seats: int = 1
    folder: Path | None = None
    rates: dict[str, Decimal] = {}


class Login(msgspec.Struct):
    name: str
    password: Secret


class LoggedIn(msgspec.Struct):
    login: Login


def fit(file: Path, section: str = "bamboo-eu") -> tuple[Account | None, list[str]]:
    config = load(file, {})
    raw = config.vendors[section]
    return Place(file=file, section=f"vendors.{section}", live=config.live).fit(raw, Account)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """Nothing has to be written down to start."""
    file = written(tmp_path, "")

    assert load(file, {}) == Config(path=file)


def test_every_section_is_typed(tmp_path: Path) -> None:
    """Values arrive in the types of the core's own sections, plugin sections stay raw."""
    file = written(
        tmp_path,
        """
        [deployment]
        environment = "live"
        [server]
        port = 9000
        trusted_proxies = ["10.0.0.0/8", "::1"]
        [pricing]
        tax_percent = "17.5"
        [wallet]
        use = "wallet-ledger"
        [sources.shop]
        use = "source-csv"
        folder = "incoming"
        """,
    )

    config = load(file, {})

    assert config.live is True
    assert config.server.port == 9000
    assert config.server.trusted_proxies == ["10.0.0.0/8", "::1"]
    assert config.pricing.tax_percent == Decimal("17.5")
    assert config.wallet == {"use": "wallet-ledger"}
    assert config.sources == {"shop": {"use": "source-csv", "folder": "incoming"}}
    assert config.folder == tmp_path


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """One run shows everything that has to be fixed, each with file, section and field."""
    file = written(
        tmp_path,
        """
        [sever]
        port = 1
        [server]
        prot = 9000
        port = "9000"
        [database]
        connections = 0
        [redis]
        url = { env = "REDIS_URL" }
        [pricing]
        discount = 2.5
        tax_percent = "101"
        [vendors]
        bamboo = "no section"
        """,
    )

    assert refused(file) == [
        "starship.toml: [redis] url: the environment variable REDIS_URL is not set",
        "starship.toml: [sever]: there is no such section; did you mean server?",
        "starship.toml: [server] prot: there is no such field; did you mean port?",
        "starship.toml: [server] port: expected `int`, got `str`",
        "starship.toml: [database] connections: expected `int` >= 1",
        'starship.toml: [pricing] discount: write it as a string, "2.5", so that it is exact',
        "starship.toml: [vendors] bamboo: must be a section of its own, [vendors.bamboo]",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server = 5", "[server]: must be a section, with fields below it"),
        ('[server]\ntrusted_proxies = ["10.0.0.300"]',
         "[server] trusted_proxies: 10.0.0.300 is neither an address nor a network (10.0.0.0/8)"),
        ('[pricing]\ntax_percent = "NaN"', "[pricing] tax_percent: must be a number"),
        ('[pricing]\ntax_percent = "101"',
         "[pricing] tax_percent: 101 is not a percentage between 0 and 100"),
        ('[deployment]\nenvironment = "prod"',
         "[deployment] environment: invalid enum value 'prod'"),
        ("[zzz]", ("[zzz]: there is no such section; there are buying, database, deployment, "
         "events, fx, limits, notices, notifiers, plugins, policies, pricing, redis, retry, "
         "server, sources, vault, vendors, wallet, webhooks")),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """Types alone do not stop a percentage of 101 or a proxy that is no address."""
    assert refused(written(tmp_path, text)) == [f"starship.toml: {problem}"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """No file, no TOML, no UTF-8: one sentence each, never a traceback."""
    missing = tmp_path / "starship.toml"
    assert refused(missing) == [
        (
            "starship.toml: there is no such file; write one with `starship init DIR`, "
            "or name another with --config or STARSHIP_CONFIG"
        )
    ]

    broken = written(tmp_path, "[server\n")
    assert refused(broken) == [
        (
            "starship.toml: is not TOML: "
            "Expected ']' at the end of a table declaration (at line 1, column 8)"
        )
    ]

    missing.write_bytes(b"name = '\xff'")
    assert refused(missing) == ["starship.toml: is not UTF-8 text"]


def test_references_are_resolved_anywhere(tmp_path: Path) -> None:
    """In a field, in a list and in a table within a section; a file is relative and stripped."""
    (tmp_path / "secret.txt").write_text("  s3cret\n")
    file = written(
        tmp_path,
        """
        [vendors.bamboo-eu]
        use = "bamboo"
        client_secret = { file = "secret.txt" }
        accounts = [{ env = "FIRST" }, "plain"]
        login = { name = "me", password = { env = "SECOND" } }
        """,
    )

    vendor = load(file, {"FIRST": "one", "SECOND": "two"}).vendors["bamboo-eu"]

    assert vendor == {
        "use": "bamboo",
        "client_secret": Secret("s3cret"),
        "accounts": [Secret("one"), "plain"],
        "login": {"name": "me", "password": Secret("two")},
    }


def test_a_section_is_never_taken_for_a_reference(tmp_path: Path) -> None:
    """A vendor whose only field is called `env` is a vendor, not the environment variable."""
    file = written(tmp_path, '[vendors.bamboo]\nenv = "sandbox"\n[wallet]\nfile = "ledger.txt"\n')

    config = load(file, {})

    assert config.vendors == {"bamboo": {"env": "sandbox"}}
    assert config.wallet == {"file": "ledger.txt"}


def test_a_reference_that_fails_is_named_once(tmp_path: Path) -> None:
    """The missing variable and the missing file are told; their field's type is not also blamed."""
    (tmp_path / "noise").write_bytes(b"\xff")
    file = written(
        tmp_path,
        """
        [server]
        port = { env = "PORT" }
        [vendors.bamboo]
        secret = { file = "absent" }
        other = { file = "noise" }
        """,
    )

    assert refused(file) == [
        "starship.toml: [server] port: the environment variable PORT is not set",
        (
            "starship.toml: [vendors.bamboo] secret: the file absent cannot be read: "
            "No such file or directory"
        ),
        (
            "starship.toml: [vendors.bamboo] other: the file noise cannot be read: "
            "it is not UTF-8 text"
        ),
    ]


def test_a_reference_fills_a_field_of_any_type(tmp_path: Path) -> None:
    """The environment has only text, so `PORT=9000` must do for an integer."""
    file = written(
        tmp_path,
        '[server]\nport = { env = "PORT" }\nhost = { env = "HOST" }\n'
        '[deployment]\nenvironment = { env = "WHERE" }\n',
    )

    config = load(file, {"PORT": "9000", "HOST": "::1", "WHERE": "live"})

    assert (config.server.port, config.server.host) == (9000, "::1")
    assert type(config.server.host) is str
    assert config.live is True


def test_what_a_reference_holds_is_never_shown(tmp_path: Path) -> None:
    """A secret pasted into the wrong variable must not end up in a log of start-up errors."""
    file = written(
        tmp_path,
        '[server]\nport = { env = "PORT" }\n[deployment]\nenvironment = { env = "WHERE" }\n',
    )

    assert refused(file, {"PORT": "hunter2", "WHERE": "hunter2"}) == [
        "starship.toml: [server] port: what the reference holds does not fit this field",
        "starship.toml: [deployment] environment: what the reference holds does not fit this field",
    ]


def test_a_secret_neither_prints_nor_encodes(tmp_path: Path) -> None:
    """A printed configuration shows no plugin secret and no password of a URL."""
    file = written(
        tmp_path,
        '[database]\nurl = "postgresql://ship:hunter2@db/starship"\n'
        '[vendors.bamboo]\nsecret = { env = "S" }\n',
    )

    config = load(file, {"S": "hunter2"})

    assert "hunter2" not in repr(config)
    assert "postgresql://ship:•••@db/starship" in repr(config)
    assert config.database.url == "postgresql://ship:hunter2@db/starship"
    with pytest.raises(TypeError, match="unsupported"):
        msgspec.json.encode(config.vendors)


def test_a_plugin_section_becomes_the_plugins_own_struct(tmp_path: Path) -> None:
    """Secrets are Secrets, a Path is relative to the file, Decimals are exact."""
    file = written(
        tmp_path,
        """
        [vendors.bamboo-eu]
        base_url = "https://vendor.example"
        client_secret = "only in a test deployment"
        folder = "incoming"
        rates = { EUR = "1.08", JPY = "0.0067" }
        """,
    )

    assert fit(file) == (
        Account(
            base_url="https://vendor.example",
            client_secret=Secret("only in a test deployment"),
            folder=tmp_path / "incoming",
            rates={"EUR": Decimal("1.08"), "JPY": Decimal("0.0067")},
        ),
        [],
    )


def test_a_plugin_section_that_does_not_fit_names_every_field(tmp_path: Path) -> None:
    """Unknown, missing, wrong and inexact fields of one section in one report."""
    file = written(
        tmp_path,
        """
        [vendors.bamboo-eu]
        base_ulr = "https://vendor.example"
        client_secret = 5
        seats = "two"
        rates = { EUR = 1.08, JPY = "Infinity" }
        """,
    )

    account, problems = fit(file)

    assert account is None
    place = f"{file}: [vendors.bamboo-eu]"
    assert problems == [
        f"{place} base_ulr: there is no such field; did you mean base_url?",
        f"{place} base_url: is missing",
        f"{place} client_secret: expected `str`, got `int`",
        f"{place} seats: expected `int`, got `str`",
        f'{place} rates.EUR: write it as a string, "1.08", so that it is exact',
        f"{place} rates.JPY: must be a number",
    ]


def test_a_live_deployment_takes_no_secret_in_plain_text(tmp_path: Path) -> None:
    """The file of a live deployment ends up in version control; a reference to a secret may."""
    (tmp_path / "key").write_text("s3cret")
    base = (
        '[deployment]\nenvironment = "live"\n[vendors.bamboo-eu]\nbase_url = "https://v.example"\n'
    )

    plain = written(tmp_path, base + 'client_secret = "s3cret"\n')
    assert fit(plain) == (
        None,
        [
            (
                f"{plain}: [vendors.bamboo-eu] client_secret: a secret does not stand in "
                'the file of a live deployment; write { env = "NAME" } or { file = "path" }'
            )
        ],
    )

    referenced = written(tmp_path, base + 'client_secret = { file = "key" }\n')
    account, problems = fit(referenced)
    assert problems == []
    assert account == Account(base_url="https://v.example", client_secret=Secret("s3cret"))


def test_a_reference_beside_it_does_not_let_a_plain_secret_through(tmp_path: Path) -> None:
    """Within one field, only what was referenced counts as referenced."""

    (tmp_path / "name").write_text("me")
    file = written(
        tmp_path,
        '[vendors.x]\nlogin = { name = { file = "name" }, password = "plain" }\n',
    )
    raw = load(file, {}).vendors["x"]

    live, problems = Place(file=file, section="vendors.x", live=True).fit(raw, LoggedIn)
    test, none = Place(file=file, section="vendors.x", live=False).fit(raw, LoggedIn)

    assert live is None
    assert problems == [
        (
            f"{file}: [vendors.x] login.password: a secret does not stand in the file of a live "
            'deployment; write { env = "NAME" } or { file = "path" }'
        )
    ]
    assert test == LoggedIn(login=Login(name="me", password=Secret("plain")))
    assert none == []


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("", {}, RetrySection(auto=False)),
        ("[retry]\nauto = true", {}, RetrySection(auto=True)),
        ("[retry]\nauto = true", {"DISABLE_AUTO_ORDER_RETRY": "true"}, RetrySection(auto=False)),
        ("[retry]\nauto = true", {"DISABLE_AUTO_ORDER_RETRY": "1"}, RetrySection(auto=False)),
        ("[retry]\nauto = true", {"DISABLE_AUTO_ORDER_RETRY": ""}, RetrySection(auto=True)),
        ("", {"DISABLE_AUTO_ORDER_RETRY": "False"}, RetrySection(auto=True)),
    ],
)
def test_the_environment_variable_wins_over_retry_auto(
    tmp_path: Path, text: str, environ: dict[str, str], expected: RetrySection
) -> None:
    """DISABLE_AUTO_ORDER_RETRY is the specification's own switch."""
    assert load(written(tmp_path, text), environ).retry == expected


def test_an_unclear_switch_is_refused(tmp_path: Path) -> None:
    """Nobody guesses whether retrying orders is on."""
    assert refused(written(tmp_path, ""), {"DISABLE_AUTO_ORDER_RETRY": "maybe"}) == [
        "environment: DISABLE_AUTO_ORDER_RETRY: maybe is neither true nor false"
    ]
