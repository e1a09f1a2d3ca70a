"""What the vendor kit checks of an adapter that reads callbacks."""

from __future__ import annotations

from typing import Any

import pytest

from starship_core.testing.kit import Conformance
from starship_core.testing.stage import Stage, reference

BROKEN = (b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 50_000, b'{"requestId": 7}')


class CallbackChecks(Conformance):
    """A callback is anybody's word: at most a hint."""

    pytestmark = pytest.mark.asyncio

    async def test_a_callback_names_our_reference(self, stage: Stage) -> None:
        """The reference as it was sent, for an adapter that reads callbacks.

        If this fails: give the case a `callback`, and return the reference in our spelling.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "reference"):
                return
            assert stage.case.callback is not None, "the case has no callback to show"
            ours = _ours(stage)
            headers, body = stage.case.callback(ours)
            assert vendor.reference(headers, body) == ours

    async def test_a_broken_callback_names_nothing(self, stage: Stage) -> None:
        """None, and no exception, whatever somebody sends.

        If this fails: decode into a Struct, and return None where that fails.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "reference"):
                return
            assert [body for body in BROKEN if vendor.reference({}, body) is not None] == []

    async def test_a_callback_without_its_secret_names_nothing(self, stage: Stage) -> None:
        """A body in which the secret was replaced is not believed.

        If this fails: compare the secret, or the signature, in constant time before all else.
        """
        async with stage.opened_anywhere() as vendor:
            if not hasattr(vendor, "reference") or stage.case.callback is None:
                return
            headers, body = stage.case.callback(_ours(stage))
            for secret in stage.case.secrets().values():
                body = body.replace(secret.encode(), b"somebody else's")
            headers = dict.fromkeys(headers, "somebody else's")
            assert vendor.reference(headers, body) is None


def _ours(stage: Stage) -> Any:
    rule = stage.case.registration.traits.reference
    return reference(rule, "6f1d0b1e3f0a4f629a550d7c3c9d0001" * 2)
