"""Where rows hold secrets of ours that are not vouchers; each text names its key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from starship_core.access import signing_purpose
from starship_core.store.webhooks import secret_purpose

Place = Literal["vouchers", "quarantine", "credentials", "webhooks", "purchases"]
"""Tables with sealed texts."""


class SealedSecrets(NamedTuple):
    """How those of one table are read and written back."""

    select: str
    """(id, text, …) of rows after `$1`, at most `$2`."""
    save: str
    purpose: Callable[[int], str]
    names_key: bool = False
    """`save` takes the key's id, too, after the texts."""


def raw_purpose(purchase_id: int) -> str:
    """What a vendor's unclear reply is sealed for."""
    return f"purchase:{purchase_id}:raw"


SECRETS: Final[Mapping[Place, SealedSecrets]] = {
    "credentials": SealedSecrets(
        """SELECT id, signing_sealed, older_signing_sealed FROM credentials
           WHERE id > $1 ORDER BY id LIMIT $2""",
        "UPDATE credentials SET signing_sealed = $2, older_signing_sealed = $3 WHERE id = $1",
        signing_purpose,
    ),
    "webhooks": SealedSecrets(
        """SELECT id, secret_sealed FROM webhooks
           WHERE id > $1 AND secret_sealed IS NOT NULL ORDER BY id LIMIT $2""",
        "UPDATE webhooks SET secret_sealed = $2 WHERE id = $1",
        secret_purpose,
    ),
    "purchases": SealedSecrets(
        """SELECT id, raw_sealed FROM purchases
           WHERE id > $1 AND raw_sealed IS NOT NULL ORDER BY id LIMIT $2""",
        "UPDATE purchases SET raw_sealed = $2, raw_key_id = $3 WHERE id = $1",
        raw_purpose,
        names_key=True,
    ),
}
