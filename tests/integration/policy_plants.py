"""Decisions of policies that are wrong, for the tests of `starship verify`."""

from __future__ import annotations

from typing import Final

from tests.integration.buying_plants import SOUND, Planted

DECIDED: Final = (
    f"{SOUND};UPDATE approvals SET actor = 'policy:products';"
    "INSERT INTO decisions (order_id, client_id, outcome, verdicts, day, currency, face,"
    " approval_id, decided_at) VALUES ({missed}, 1, 'Allow', '[{{\"says\":\"Allow\"}}]', 7, 'EUR',"
    " 2500, 1, 1);"
    "INSERT INTO policy_spending (client_id, day, currency, spent, updated_at)"
    " VALUES (1, 7, 'EUR', 2500, 1)"
)
"""A purchase that policies allowed, and that breaks nothing."""


def _changed(*changes: str) -> str:
    return ";".join((DECIDED, *changes))


_NO_DECISION: Final = "is the policies', and no decision of theirs allows just that"
_NO_APPROVAL: Final = "says Allow without an approval by policies, or has one and does not say it"
_TOTAL: Final = "a day's total is not what policies allowed on it"

POLICY_PLANTS: Final[dict[str, list[Planted]]] = {
    _NO_DECISION: [
        (
            _changed("DELETE FROM decisions", "DELETE FROM policy_spending"),
            "approval 1",
            (),
        ),
        (_changed("UPDATE approvals SET items = '[1,2]'"), "approval 1", ()),
        (
            _changed("UPDATE decisions SET face = 2400", "UPDATE policy_spending SET spent = 2400"),
            "approval 1",
            (),
        ),
    ],
    _NO_APPROVAL: [
        (_changed("UPDATE approvals SET actor = 'operator:ana'"), "decision {missed}", ()),
        (
            _changed(
                "UPDATE decisions SET approval_id = NULL",
                "UPDATE approvals SET actor = 'operator:ana'",
            ),
            "decision {missed}",
            (),
        ),
    ],
    "says Allow, and its verdicts do not": [
        (_changed("UPDATE decisions SET verdicts = '[]'"), "decision {missed}", ()),
        (
            _changed(
                'UPDATE decisions SET verdicts = \'[{{"says":"Allow"}},{{"says":"AskOperator"}}]\''
            ),
            "decision {missed}",
            (),
        ),
    ],
    _TOTAL: [
        (_changed("UPDATE policy_spending SET spent = 0"), "client 1", ()),
        (_changed("UPDATE policy_spending SET day = 8"), "client 1", ()),
        (_changed("DELETE FROM policy_spending"), "client 1", ()),
    ],
}
