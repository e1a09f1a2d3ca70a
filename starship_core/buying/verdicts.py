"""What policies say of a case, and what it comes to.

A policy is asked in a thread of its own, for a second at most. Whatever else than a verdict comes
of it is AskOperator, so a broken policy stops buying and never starts it.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

import structlog
from msgspec import Struct

from starship_core.model import FallbackCase, Verdict
from starship_core.ship import Policy

Says = Literal["Allow", "NoObjection", "AskOperator", "Refuse"]
Outcome = Literal["Allow", "AskOperator", "Refuse"]

SECONDS: Final = 1.0
STUCK: Final = 4
"""Threads of one policy that were given up on and still run: it is not asked while they do."""
LONGEST: Final = 2_000
"""Characters of a reason that are kept."""
_SAYS: Final = get_args(Says)
_log = structlog.get_logger("starship.policy")


class Heard(Struct, frozen=True, kw_only=True):
    """What one policy said, as it counts."""

    policy: str
    """The instance's name."""
    plugin: str
    says: Says
    reason: str


def combined(heard: Iterable[Heard]) -> tuple[Outcome, str]:
    """What all verdicts come to, and why. Allow only when at least one allows and none objects."""
    listed = list(heard)
    for says in ("Refuse", "AskOperator", "Allow"):
        if named := [f"{each.policy}: {each.reason}" for each in listed if each.says == says]:
            return says, "; ".join(named)
    if not listed:
        return "AskOperator", "there is no policy"
    return "AskOperator", "no policy allows it"


async def asked(
    policies: Mapping[str, Policy], case: FallbackCase, *, seconds: float = SECONDS
) -> Sequence[Heard]:
    """All of them, at once; in the order of the configuration. Raises nothing."""
    return await asyncio.gather(*(_asked(each, case, seconds) for each in policies.values()))


async def _asked(policy: Policy, case: FallbackCase, seconds: float) -> Heard:
    policy.stuck[:] = [thread for thread in policy.stuck if thread.is_alive()]
    if len(policy.stuck) >= STUCK:
        return _heard(policy, "AskOperator", "it hangs, and was not asked")
    thread, answer = _begun(policy, case)
    try:
        said = await asyncio.wait_for(answer, seconds)
    except TimeoutError:
        policy.stuck.append(thread)
        _log.error("policy.hangs", policy=policy.name, plugin=policy.plugin, order=case.order_id)
        return _heard(policy, "AskOperator", f"it did not answer within {seconds:g} s")
    if isinstance(said, BaseException):
        error = type(said).__name__
        _log.error(
            "policy.raised", policy=policy.name, plugin=policy.plugin, order=case.order_id,
            error=error,
        )  # fmt: skip
        return _heard(policy, "AskOperator", f"it raised {error}")
    return _judged(policy, said)


def _begun(policy: Policy, case: FallbackCase) -> tuple[threading.Thread, asyncio.Future[Any]]:
    """A daemon: one that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def tell(said: Any) -> None:
        if not answer.done():
            answer.set_result(said)

    def decide() -> None:
        said: Any
        try:
            said = policy.port.decide(case)
        except BaseException as error:  # noqa: BLE001  # a plugin may raise anything, SystemExit too
            said = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, said)

    thread = threading.Thread(target=decide, name=f"policy-{policy.name}", daemon=True)
    thread.start()
    return thread, answer


def _judged(policy: Policy, said: Any) -> Heard:
    """A verdict as it was given, when the policy may give it."""
    if inspect.iscoroutine(said):
        said.close()
    if not isinstance(said, Verdict) or said.says not in _SAYS or not isinstance(said.reason, str):
        _log.error("policy.nonsense", policy=policy.name, plugin=policy.plugin)
        return _heard(policy, "AskOperator", f"it answered with {type(said).__name__}, no verdict")
    if said.says == "Allow" and not policy.names_products:
        _log.error("policy.may_not_allow", policy=policy.name, plugin=policy.plugin)
        return _heard(policy, "AskOperator", "it names no products, and must not allow anything")
    return _heard(policy, said.says, said.reason)


def _heard(policy: Policy, says: Says, reason: str) -> Heard:
    return Heard(policy=policy.name, plugin=policy.plugin, says=says, reason=reason[:LONGEST])
