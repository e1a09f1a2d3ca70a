r"""`starship …`: the table of commands, each loaded only when it is called.

How a command module is added:

1. Write `starship_core/cli/<name>.py` with one object named `<name>`: `@click.group()` for several
   verbs, `@click.command()` for one, both of `rich_click`. Its docstring begins with its line of
   `COMMANDS`.
2. Put `@reading` or `@changing` (`cli/console.py`) directly on each verb's function, under the
   click decorators. The function may be `async`; its first parameter is the `Call`: where the
   configuration is, how to answer, and (`@changing` only) whose hand it is, as `call.by`.
3. End each verb's docstring (not a raw string: click looks for the control character) with a
   paragraph that starts with a line of `\b` and a line `Examples:`.
4. Import at the top of the module only the standard library, `rich_click` and `cli.console`; what
   costs time (`sqlalchemy`, `litestar`, flows, `ship`) is imported inside the function.
   `deployed(call)` opens the deployment.
5. Add one line to `COMMANDS`. A test loads every entry and compares its help line.

A complete example::

    @click.group()
    def wallet() -> None:
        "Open, credit and inspect wallets."

    @wallet.command()
    @click.argument("number", type=int)
    @reading
    async def show(call: Call, number: int) -> None:
        async with deployed(call) as ship:
            found = await read_wallet(number, ship)
        row = (found.id, found.currency, found.amount)
        call.answer(found, grid("id", "currency", "amount", rows=[row]))

Errors: raise a `StarshipError`. It is printed on stderr, and with `--json` also as `{"error": …}`
on stdout; exit 2 for ConfigError and PluginError, 1 for every other. `click.UsageError` is exit 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import rich_click as click


class Entry(NamedTuple):
    """Where a command is, and the line that `starship --help` shows for it without importing it."""

    target: str
    """`module:attribute` within this package."""
    line: str


COMMANDS: Final[Mapping[str, Entry]] = {
    "init": Entry("init:init", "Write a new deployment: configuration, keys, database."),
    "up": Entry("serve:up", "Run everything in one command: database, Redis, server, worker."),
    "serve": Entry("serve:serve", "Run one production server process."),
    "worker": Entry("worker:worker", "Run what is due: the pump, expiry, rates and other sweeps."),
    "check": Entry("check:check", "Refuse what is wrong with the configuration and the plugins."),
    "plugins": Entry("plugins:plugins", "List installed plugins, their configuration and facts."),
    "db": Entry("db:db", "Look at the database's schema and bring it up to date."),
    "keys": Entry("keys:keys", "Rotate, back up and restore the keys that encrypt voucher codes."),
    "client": Entry("client:client", "Create clients and their credentials, and change them."),
    "operator": Entry(
        "operator:operator", "Give operators tokens for their API, and take them back."
    ),
    "wallet": Entry("wallet:wallet", "Open, credit and inspect wallets."),
    "product": Entry("product:product", "Import, change and list products."),
    "fx": Entry("fx:fx", "Show the exchange rates that orders are priced with."),
    "stock": Entry("stock:stock", "Import vouchers, list them and take them out of sale."),
    "pump": Entry("pump:pump", "Fetch vouchers from the sources and load the pool."),
    "target": Entry("target:target", "Say how much is kept on sale, and buy it ahead of orders."),
    "order": Entry(
        "order:order", "List, explain, approve, refuse, retry, cancel, refund, replace."
    ),
    "vendor": Entry("vendor:vendor", "Check vendors, read their catalogues, map their products."),
    "switch": Entry("switch:switch", "Stop buying from vendors, and let it go on again."),
    "purchase": Entry("purchase:purchase", "List purchases, show them, and settle those in doubt."),
    "policy": Entry("policy:policy", "List policies, and explain what they decided."),
    "webhook": Entry("webhook:webhook", "List, show and enable webhooks, and redeliver events."),
    "notice": Entry("notice:notice", "List what operators were told, or will be."),
    "ledger": Entry("ledger:ledger", "Check that the wallets' ledger adds up."),
    "reconcile": Entry(
        "reconcile:reconcile", "Find what is stuck, what does not agree and what runs low."
    ),
    "verify": Entry("verify:verify", "Check every invariant on one snapshot of the database."),
    "new": Entry("new:new", "Write a new plugin: a package whose tests say what to fill in."),
    "sandbox": Entry("sandbox:sandbox", "Run a vendor's API on this machine, to try things at."),
}


class Starship(click.RichGroup):
    """The root: knows its commands by name and imports the one that is called."""

    _listing = False

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        if self._listing:
            return click.RichCommand(name=cmd_name, help=entry.line)
        module, attribute = entry.target.split(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


@click.group(cls=Starship, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="starship-core", prog_name="starship")
def main() -> None:
    """Digital vouchers, inventory first: a server made of plugins.

    Every command takes --config PATH (or STARSHIP_CONFIG; ./starship.toml when neither is given)
    and --json. What changes something needs --as NAME (or STARSHIP_OPERATOR) and writes it down.

    \b
    Examples:
      starship init shop --demo
      starship --help
      starship order show 4411 --json
    """
