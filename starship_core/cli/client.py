"""`starship client …`: who may call, with which keys, within which bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.client_options import Bound, DiscountOption, Duration
from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.flows.manage_clients import Discount
    from starship_core.store.clients import ClientFacts, CredentialFacts, Issued, Listed


@click.group()
def client() -> None:
    """Create clients and their credentials, and change them.

    CLIENT is a client's id or its name. Secrets are shown once, when they are made.

    \b
    Examples:
      starship client create acme --as ana
      starship client set acme --orders-per-minute 600 --as ana
      starship client rotate acme --grace 24h --as ana
    """


@client.command()
@click.argument("name")
@click.option("--bulk-limit", type=click.IntRange(1), default=10_000, show_default=True)
@click.option(
    "--min-validity-days",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Vouchers that expire sooner are not for this client.",
)
@changing
async def create(call: Call, /, name: str, bulk_limit: int, min_validity_days: int) -> None:
    """Make a client with its first key; shows its secrets, once.

    \b
    Examples:
      starship client create acme --bulk-limit 500 --min-validity-days 30 --as ana --json
    """
    from starship_core.flows.manage_clients import create_client
    from starship_core.store.clients import ClientFacts

    new = ClientFacts(name=name, bulk_limit=bulk_limit, min_validity_days=min_validity_days)
    async with deployed(call) as ship:
        issued = await create_client(new, call.by, ship)
    _hand_over(call, issued)


@client.command("set")
@click.argument("client")
@click.option("--name", help="Rename it.")
@click.option("--bulk-limit", type=click.IntRange(1))
@click.option("--min-validity-days", type=click.IntRange(0))
@click.option("--default-wallet", "default_wallet_id", type=click.IntRange(1), metavar="ID")
@click.option("--orders-per-minute", type=Bound())
@click.option("--reads-per-minute", type=Bound())
@click.option("--active/--inactive", "is_active", default=None, help="Inactive: no key works.")
@click.option(
    "--require-signatures/--no-require-signatures", "signature_required", default=None,
    help="Of every live key it has.",
)  # fmt: skip
@click.option(
    "--discount", "discounts", type=DiscountOption(), multiple=True,
    help="Its own discount on a product, in percent.",
)  # fmt: skip
@changing
async def change(
    call: Call, /, client: str, discounts: tuple[tuple[int, Decimal | None], ...], **chosen: Any
) -> None:
    """Change a client; what is not named stays as it is.

    \b
    Examples:
      starship client set acme --orders-per-minute 600 --require-signatures --as ana
      starship client set acme --discount 310=2.5 --discount 311=none --as ana
      starship client set acme --inactive --as ana --reason "contract ended"
    """
    from starship_core.flows.manage_clients import Discount, change_client, give_discount

    changes = {name: value for name, value in chosen.items() if value is not None}
    for name in ("orders_per_minute", "reads_per_minute"):
        if changes.get(name) == -1:
            changes[name] = None
    if not changes and not discounts:
        raise click.UsageError("Name what to change; see --help.")
    async with deployed(call) as ship:
        _, after = await change_client(client, changes, call.by, ship)
        given = [Discount(product, percent) for product, percent in discounts]
        for discount in given:
            await give_discount(client, discount, call.by, ship)
    call.answer({"client": after, "discounts": given}, _table([after]), *map(_discount, given))


@client.command("list")
@reading
async def show(call: Call, /) -> None:
    """List clients and their keys.

    \b
    Examples:
      starship client list --json
    """
    from starship_core.flows.manage_clients import list_clients

    async with deployed(call) as ship:
        found = await list_clients(ship)
    call.answer(found, _table([each.client for each in found]), _keys(found))


@client.command()
@click.argument("client")
@click.option("--credential", type=click.IntRange(1), metavar="ID", help="If it has several.")
@click.option(
    "--grace", type=Duration(), default="24h", show_default=True,
    help="How long the older ones stay good; 0: they end now.",
)  # fmt: skip
@click.option("--only", type=click.Choice(["secret", "signing-secret"]), help="Leave the other.")
@click.option("--new-key", is_flag=True, help="A further key instead; the older ones stay.")
@changing
async def rotate(
    call: Call, /, client: str, *, credential: int | None, new_key: bool, **chosen: Any
) -> None:
    """Make new secrets for a key; shows them, once.

    \b
    Examples:
      starship client rotate acme --only signing-secret --grace 7d --as ana
      starship client rotate acme --grace 0 --as ana --reason "secret was leaked"
      starship client rotate acme --new-key --as ana
    """
    from starship_core.flows.manage_clients import add_credential
    from starship_core.flows.manage_credentials import Rotation, Which
    from starship_core.flows.manage_credentials import rotate as rotate_credential

    only, grace = chosen["only"], chosen["grace"]
    if new_key and (credential is not None or only is not None):
        raise click.UsageError("--new-key makes a key of its own: leave --credential and --only.")
    rotation = Rotation(
        secret=only != "signing-secret", signing_secret=only != "secret", grace=grace
    )
    async with deployed(call) as ship:
        if new_key:
            issued = await add_credential(client, call.by, ship)
        else:
            issued = await rotate_credential(Which(client, credential), rotation, call.by, ship)
    _hand_over(call, issued)


@client.command()
@click.argument("client")
@click.option("--credential", type=click.IntRange(1), metavar="ID", help="If it has several.")
@changing
async def revoke(call: Call, /, client: str, credential: int | None) -> None:
    """End a key for good, in every server within five seconds.

    \b
    Examples:
      starship client revoke acme --as ana --reason "laptop was stolen"
      starship client revoke acme --credential 12 --as ana
    """
    from starship_core.flows.manage_credentials import Which
    from starship_core.flows.manage_credentials import revoke as revoke_credential

    async with deployed(call) as ship:
        found = await revoke_credential(Which(client, credential), call.by, ship)
    call.answer(found, f"Key {found.api_key} (credential {found.id}) is revoked.")


@client.command("allow-ip")
@click.argument("client")
@click.argument("addresses", nargs=-1)
@click.option("--credential", type=click.IntRange(1), metavar="ID", help="If it has several.")
@click.option("--anywhere", is_flag=True, help="Drop the list: calls may come from anywhere.")
@changing
async def allow_ip(
    call: Call,
    /,
    client: str,
    addresses: tuple[str, ...],
    *,
    credential: int | None,
    anywhere: bool,
) -> None:
    """Say from which addresses or CIDRs a key may be used; replaces the list it had.

    \b
    Examples:
      starship client allow-ip acme 203.0.113.7 10.0.0.0/8 --as ana
      starship client allow-ip acme --anywhere --as ana
    """
    from starship_core.flows.manage_credentials import Which, allow_addresses

    if bool(addresses) == anywhere:
        raise click.UsageError("Name addresses, or say --anywhere.")
    async with deployed(call) as ship:
        found = await allow_addresses(Which(client, credential), addresses, call.by, ship)
    call.answer(found, f"Key {found.api_key}: {', '.join(found.allowlist) or 'from anywhere'}.")


def _hand_over(call: Call, issued: Issued) -> None:
    """The one moment that secrets are readable."""
    shown = {
        "client_id": issued.client_id,
        "credential_id": issued.credential_id,
        "api_key": issued.api_key,
        "secret": issued.secret and issued.secret.reveal(),
        "signing_secret": issued.signing_secret and issued.signing_secret.reveal(),
    }
    rows = [(name.replace("_", " "), value) for name, value in shown.items() if value is not None]
    call.answer(shown, grid("", "", rows=rows))
    call.note("Secrets are not shown again: keep them now.")


def _table(clients: list[ClientFacts]) -> Any:
    columns = (
        "id", "name", "active", "bulk limit", "min. validity days", "default wallet",
        "orders/min", "reads/min",
    )  # fmt: skip
    rows = [
        (
            each.id, each.name, "yes" if each.is_active else "no", each.bulk_limit,
            each.min_validity_days, each.default_wallet_id, each.orders_per_minute,
            each.reads_per_minute,
        )
        for each in clients
    ]  # fmt: skip
    return grid(*columns, rows=rows, title="Clients")


def _keys(found: list[Listed]) -> Any:
    rows = [_key(listed.client.name, each) for listed in found for each in listed.credentials]
    columns = ("id", "client", "key", "signatures", "addresses", "older secret until", "revoked")
    return grid(*columns, rows=rows, title="Credentials")


def _key(name: str, credential: CredentialFacts) -> tuple[Any, ...]:
    return (
        credential.id,
        name,
        credential.api_key,
        "required" if credential.signature_required else "optional",
        ", ".join(credential.allowlist) or "any",
        credential.older_secret_until,
        credential.revoked_at,
    )


def _discount(discount: Discount) -> str:
    percent = "none" if discount.percent is None else f"{discount.percent} %"
    return f"Discount on product {discount.product_id}: {percent}."
