"""What policies allow is bought without an operator: a product by name, up to a limit."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from buying import BUYER, delivered, miss, until
from story import Scene

_PRODUCT, _DENOMINATION, _LIMIT = "night-train", "100.00", "200.00"


def configured(scene: Scene) -> None:
    """Before the server starts. ALLOW_AUTO_VENDOR_FULFILL, for one product; and a limit."""
    allowed = [scene.products[_PRODUCT]]
    scene.server.adds("policies.products", use="policy-products", allow_auto_vendor_fulfill=allowed)
    scene.server.adds("policies.limits", use="policy-limits", face_per_order={"INR": _LIMIT})


def allowed(scene: Scene) -> None:
    """Within the limit nobody is asked; beyond it an operator is."""
    teller, client = scene.teller, scene.customers[BUYER].connect()
    with teller.chapter(
        "A policy says yes, and no operator is needed",
        "ALLOW_AUTO_VENDOR_FULFILL names the product. Every verdict is kept, with its reason.",
    ):
        order_id = miss(scene, client, _PRODUCT, _DENOMINATION)
        scene.keep(delivered(scene, client, order_id))
        told = _told(scene, order_id)
        _check(scene, told, "Allow", {"products": "Allow", "limits": "NoObjection"})
        bought = scene.purchase(order_id)["approval_id"]
        teller.check("that was what it was bought under", bought, told["approval_id"])
        too_many = miss(scene, client, _PRODUCT, _DENOMINATION, quantity=3)
        told = _told(scene, too_many)
        _check(scene, told, "AskOperator", {"products": "Allow", "limits": "AskOperator"})
        teller.check("nothing was bought for it", scene.purchases(too_many), [])
        scene.server.starship(f"order cancel {too_many} --reason 'not today'")


def _told(scene: Scene, order_id: int) -> Any:
    """What policies said of it, as soon as they have."""
    scene.teller.does(f"starship policy explain {order_id}")
    reports: list[Any] = []

    def decided() -> bool:
        with suppress(RuntimeError):
            reports.append(scene.server.quietly("policy", "explain", str(order_id)))
        return bool(reports)

    until(decided)
    return reports[0]


def _check(scene: Scene, told: Any, outcome: str, verdicts: dict[str, str]) -> None:
    then = told["then"]
    scene.teller.sees("; ".join(f"{one['policy']}: {one['reason']}" for one in then["verdicts"]))
    said = {one["policy"]: one["says"] for one in then["verdicts"]}
    scene.teller.check(f"together: {outcome}", (then["outcome"], said), (outcome, verdicts))
