"""`starship operator …`: who may use the operators' API, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.flows.manage_operators import TokenFacts


class Abilities(click.ParamType["tuple[str, ...]"]):
    """`approve,retry`; several may be told in one word."""

    name = "ability,…"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        from starship_core.operators import ABILITIES

        if isinstance(value, tuple):
            return value
        wanted = tuple(word.strip() for word in value.split(",") if word.strip())
        for unknown in (word for word in wanted if word not in ABILITIES):
            self.fail(f"{unknown} is no ability; there are: {', '.join(ABILITIES)}", param, ctx)
        return wanted


@click.group()
def operator() -> None:
    """Give operators tokens for their API, and take them back.

    \b
    Examples:
      starship operator token create --name ana --can retry,cancel --as root
      starship operator token revoke ana --as root --reason "laptop was stolen"
    """


@operator.group()
def token() -> None:
    """Issue, list and revoke tokens of the operators' API, `/admin/api/v1`.

    \b
    Examples:
      starship operator token list --json
    """


@token.command()
@click.option("--name", required=True, help="The operator's: what audit rows call them.")
@click.option(
    "--can", "abilities", type=Abilities(), default=(),
    help="approve, retry, cancel, refund, replace, pump, switch, resolve; left out: only read.",
)  # fmt: skip
@changing
async def create(call: Call, /, name: str, abilities: tuple[str, ...]) -> None:
    """Make a token for an operator; shows it, once. It may read, and do what --can names.

    \b
    Examples:
      starship operator token create --name ana --can approve,retry,cancel,refund,pump --as root
      starship operator token create --name desk-screen --as root --json
    """
    from starship_core.flows.manage_operators import issue_token

    async with deployed(call) as ship:
        issued = await issue_token(name, abilities, call.by, ship)
    facts, plain = issued.facts, issued.token.reveal()
    shown = {"id": facts.id, "name": facts.name, "abilities": facts.abilities, "token": plain}
    rows = [
        ("id", facts.id), ("name", facts.name), ("may", _may(facts.abilities)), ("token", plain)
    ]  # fmt: skip
    call.answer(shown, grid("", "", rows=rows))
    call.note("The token is not shown again: keep it now.")


@token.command("list")
@reading
async def list_(call: Call, /) -> None:
    """List all tokens that were ever made, without themselves.

    \b
    Examples:
      starship operator token list --json
    """
    from starship_core.flows.manage_operators import list_tokens

    async with deployed(call) as ship:
        found = await list_tokens(ship)
    call.answer(found, _table(found))


@token.command()
@click.argument("name")
@click.option("--token", "token_id", type=click.IntRange(1), metavar="ID", help="Only this one.")
@changing
async def revoke(call: Call, /, name: str, *, token_id: int | None) -> None:
    """End an operator's tokens for good, in every server within five seconds.

    \b
    Examples:
      starship operator token revoke ana --as root --reason "laptop was stolen"
      starship operator token revoke ana --token 12 --as root
    """
    from starship_core.flows.manage_operators import revoke_tokens

    async with deployed(call) as ship:
        ended = await revoke_tokens(name, call.by, ship, token_id=token_id)
    call.answer(ended, _table(ended))


def _table(found: list[TokenFacts]) -> Any:
    rows = [
        (each.id, each.name, _may(each.abilities), each.created_at, each.revoked_at)
        for each in found
    ]
    return grid("id", "name", "may", "created", "revoked", rows=rows, title="Tokens")


def _may(abilities: tuple[str, ...]) -> str:
    return ", ".join(("read", *abilities))
