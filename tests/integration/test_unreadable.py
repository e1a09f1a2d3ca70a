"""A code that was altered in the database: what it spoils, who is told, and how it is mended."""

from __future__ import annotations

from structlog.testing import capture_logs

from starship_core.access import Client
from starship_core.flows.read_order import Asker, OrderView, read_order
from starship_core.flows.replace_voucher import replace_voucher
from starship_core.flows.verify import verify
from tests.integration.ships import ANA, Dock

_ALTER = "UPDATE vouchers SET sealed = 'AAAA' || substr(sealed, 5) WHERE id = $1"


def codes(view: OrderView) -> list[tuple[int, str | None]]:
    return [
        (n, c.reveal() if c else None) for n, unit in view.units for c in [unit.code.card_number]
    ]


async def test_one_altered_code_hides_no_other(dock: Dock, acme: Client) -> None:
    """Its item is empty, log and `verify` name it, another voucher takes its place."""
    first, second, third, _ = await dock.stock(4)
    order_id = (await dock.place(acme, "key-0001", quantity=3)).order.id
    await dock.change(_ALTER, second)

    with capture_logs() as logs:
        view = await read_order(order_id, Asker(acme, "r"), dock.ship)

    assert codes(view) == [(1, "CODE-u1"), (2, None), (3, "CODE-u3")]
    assert [unit.id for _, unit in view.units] == [first, second, third]
    assert logs == [
        {"event": "voucher.unreadable", "log_level": "error", "order": order_id, "item": 2,
         "voucher": second}
    ]  # fmt: skip
    assert [(each.invariant, each.row) for each in await verify(dock.ship)] == [
        ("I8", f"voucher {second}")
    ]
    await replace_voucher(order_id, 2, ANA, dock.ship)
    view = await read_order(order_id, Asker(acme, "r"), dock.ship)
    assert codes(view) == [(1, "CODE-u1"), (2, "CODE-u4"), (3, "CODE-u3")]
    await dock.sound()


async def test_an_altered_code_in_the_pool_is_told(dock: Dock, acme: Client) -> None:
    """The order takes the next one; the operator's log has the id of the bad one."""
    bad, good = await dock.stock(2)
    await dock.change(_ALTER, bad)

    with capture_logs() as logs:
        placed = await dock.place(acme, "key-0001")

    assert [unit.id for unit in placed.units] == [good]
    assert logs == [{"event": "voucher.quarantined", "log_level": "error", "voucher": bad}]
    await dock.sound()
