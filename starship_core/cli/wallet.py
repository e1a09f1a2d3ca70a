"""`starship wallet …`: what operators do with clients' money."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from starship_core.cli.console import Call, changing, deployed, grid, reading

if TYPE_CHECKING:
    from starship_core.flows.move_money import Statement
    from starship_core.model import Money
    from starship_core.store.wallets import Movement, WalletState, WalletType

_AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?")


class Moment(click.ParamType[datetime]):
    """A day (its midnight, UTC) or an RFC 3339 time."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("write 2027-01-31, or 2027-01-31T16:00:00Z", param, ctx)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class Amount(click.ParamType[str]):
    """A plain decimal, kept as it was written until the currency is known."""

    name = "amount"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if not _AMOUNT.fullmatch(str(value)):
            self.fail("write a decimal such as 250 or 250.00", param, ctx)
        return str(value)


@click.group()
def wallet() -> None:
    """Open, credit and inspect wallets.

    Amounts are decimals of the wallet's currency: 250 or 250.00.

    \b
    Examples:
      starship wallet open 3 GBP --as ana
      starship wallet credit 12 250.00 --reference BANK-2027-0114 --as ana
      starship wallet statement 12 --since 2027-01-01
    """


@wallet.command("open")
@click.argument("client_id", type=int)
@click.argument("currency")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["PREPAID", "POSTPAID"], case_sensitive=False),
    default="PREPAID",
    show_default=True,
    help="What the API calls it; the credit limit decides what may be spent.",
)
@click.option(
    "--credit-limit",
    type=Amount(),
    default="0",
    show_default=True,
    help="How far below zero orders may take it.",
)
@changing
async def open_(
    call: Call, client_id: int, currency: str, kind: WalletType, credit_limit: str
) -> None:
    """Open a client's wallet in a currency; the first one becomes its default.

    \b
    Examples:
      starship wallet open 3 GBP --as ana
      starship wallet open 3 EUR --type POSTPAID --credit-limit 5000 --as ana --json
    """
    from starship_core.flows.move_money import open_wallet

    limit = _money(credit_limit, currency)
    async with deployed(call) as ship:
        opened = await open_wallet(
            ship, client_id, currency, type=kind, credit_limit=limit, by=call.by
        )
    _answer(call, opened)


@wallet.command()
@click.argument("wallet_id", type=int)
@click.argument("amount", type=Amount())
@click.option(
    "--reference",
    required=True,
    metavar="TEXT",
    help="Of the payment, unique: the same one again credits nothing.",
)
@click.option("--remarks", default="", metavar="TEXT", help="Shown to the client.")
@changing
async def credit(call: Call, wallet_id: int, amount: str, reference: str, remarks: str) -> None:
    """Put money into a wallet, once for each reference.

    \b
    Examples:
      starship wallet credit 12 250.00 --reference BANK-2027-0114 --as ana
    """
    from starship_core.flows.move_money import credit_wallet, show_wallet

    async with deployed(call) as ship:
        currency = (await show_wallet(ship, wallet_id)).currency
        moved = await credit_wallet(
            ship,
            wallet_id,
            _money(amount, currency),
            reference=reference,
            remarks=remarks,
            by=call.by,
        )
    _answer_moved(call, moved, reference, "credited")


@wallet.command()
@click.argument("reference")
@click.option("--remarks", default="", metavar="TEXT", help="Shown to the client.")
@changing
async def reverse(call: Call, reference: str, remarks: str) -> None:
    """Take a credit back, all of it, once; refused when the money has been spent.

    \b
    Examples:
      starship wallet reverse BANK-2027-0114 --as ana --reason "payment bounced"
    """
    from starship_core.flows.move_money import reverse_credit

    async with deployed(call) as ship:
        moved = await reverse_credit(ship, reference, remarks=remarks, by=call.by)
    _answer_moved(call, moved, reference, "taken back")


@wallet.command()
@click.argument("wallet_id", type=int)
@click.argument("amount", type=Amount())
@changing
async def limit(call: Call, wallet_id: int, amount: str) -> None:
    """Set how far below zero orders may take a wallet; not below what it owes now.

    \b
    Examples:
      starship wallet limit 12 5000.00 --as ana
    """
    from starship_core.flows.move_money import set_limit, show_wallet

    async with deployed(call) as ship:
        currency = (await show_wallet(ship, wallet_id)).currency
        changed = await set_limit(ship, wallet_id, _money(amount, currency), by=call.by)
    _answer(call, changed)


@wallet.command()
@click.argument("wallet_id", type=int, required=False)
@click.option("--client", "client_id", type=int, help="This client's wallets.")
@reading
async def show(call: Call, wallet_id: int | None, client_id: int | None) -> None:
    """Show one wallet, a client's wallets, or all of them.

    \b
    Examples:
      starship wallet show 12
      starship wallet show --client 3 --json
    """
    from starship_core.flows.move_money import list_wallets, show_wallet

    if wallet_id is not None and client_id is not None:
        raise click.UsageError("Give a wallet or --client, not both.")
    async with deployed(call) as ship:
        if wallet_id is not None:
            _answer(call, await show_wallet(ship, wallet_id))
            return
        found = await list_wallets(ship, client_id)
    documents = [_document(each) for each in found]
    call.answer(documents, grid(*_COLUMNS, rows=[each.values() for each in documents]))


@wallet.command()
@click.argument("wallet_id", type=int)
@click.option("--since", type=Moment(), default="1970-01-01", help="From this time on.")
@click.option("--until", type=Moment(), help="Up to before this time; left out: up to now.")
@reading
async def statement(call: Call, wallet_id: int, since: datetime, until: datetime | None) -> None:
    """List what happened in a wallet: opening balance, lines, closing balance.

    \b
    Examples:
      starship wallet statement 12 --since 2027-01-01 --until 2027-02-01
      starship wallet statement 12 --json
    """
    from starship_core.flows import move_money
    from starship_core.model import NO_EXPIRY

    async with deployed(call) as ship:
        found = await move_money.statement(ship, wallet_id, since, until or NO_EXPIRY)
    _answer_statement(call, found, until)


_COLUMNS: Final = (
    "id",
    "client",
    "currency",
    "type",
    "balance",
    "credit_limit",
    "spendable",
    "active",
)


def _money(text: str, currency: str) -> Money:
    """Raises InvalidInput for more decimals than the currency has."""
    from starship_core.errors import InvalidInput
    from starship_core.model import Money

    try:
        return Money.of(text, currency)
    except ValueError as error:
        raise InvalidInput(str(error), field="amount") from None


def _document(state: WalletState) -> dict[str, Any]:
    values = (
        state.id, state.client_id, state.currency, state.type, state.balance.text,
        state.credit_limit.text, state.spendable.text, state.is_active,
    )  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def _answer(call: Call, state: WalletState) -> None:
    document = _document(state)
    call.answer(document, grid("wallet", str(state.id), rows=list(document.items())[1:]))


def _answer_moved(call: Call, moved: Movement, reference: str, what: str) -> None:
    document = {
        "wallet": moved.wallet_id,
        "transaction": moved.transaction_id,
        "reference": reference,
        "amount": moved.amount.text,
        "currency": moved.amount.currency,
        "balance_after": moved.balance_after.text,
        "repeated": moved.repeated,
    }
    if moved.repeated:
        text = f"Nothing changed: {reference} was {what} before, as transaction"
    else:
        text = f"{moved.amount} {what}, as transaction"
    call.answer(
        document,
        f"{text} {moved.transaction_id}; wallet {moved.wallet_id} stood at "
        f"{moved.balance_after} after it.",
    )


def _answer_statement(call: Call, found: Statement, until: datetime | None) -> None:
    from starship_core.clock import rfc3339

    end = None if until is None else rfc3339(until)
    lines = [
        (rfc3339(line.at), line.kind, line.key, line.amount.text, line.balance_after.text)
        for line in found.lines
    ]
    document = {
        "wallet": found.wallet_id,
        "currency": found.opening.currency,
        "since": rfc3339(found.since),
        "until": end,
        "opening": found.opening.text,
        "lines": [
            dict(zip(("at", "kind", "key", "amount", "balance_after"), line, strict=True))
            for line in lines
        ],
        "closing": found.closing.text,
    }
    opening = (rfc3339(found.since), "opening", None, None, found.opening.text)
    closing = (end or "now", "closing", None, None, found.closing.text)
    title = f"Wallet {found.wallet_id}, {found.opening.currency}"
    columns = ("at", "kind", "key", "amount", "balance")
    call.answer(document, grid(*columns, rows=[opening, *lines, closing], title=title))
