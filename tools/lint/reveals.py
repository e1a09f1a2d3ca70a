"""A code leaves its `Secret`, or its sealed row, in few places, and each is on this list.

A code is as good as money. `Secret` neither prints nor encodes, so a leak needs a `.reveal`:
called, or handed on as a function. Whoever adds one adds a line here, and a reviewer sees it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch

from tools.lint.finding import Finding, Source

ALLOWED = {
    "starship_core/vault.py": "seals and opens codes",
    "starship_core/keyring.py": "derives keys from the root key, and writes key files",
    "starship_core/keybackup.py": "seals root keys under a passphrase, and uses the passphrase",
    "starship_core/access.py": "checks a signature with the credential's signing secret",
    "starship_core/tokens.py": "seals a vendor's token for its row",
    "starship_core/config_file.py": "hands {env=…} and {file=…} to the field that asked for them",
    "starship_core/flows/place_order.py": "every claimed code is opened before the commit",
    "starship_core/flows/retry_order.py": "as place_order",
    "starship_core/flows/replace_voucher.py": "as place_order",
    "starship_core/flows/approve_fallback.py": "as place_order",
    "starship_core/flows/decide_fallbacks.py": "as place_order",
    "starship_core/flows/buy_purchases.py": "as place_order; seals a raw reply that is in doubt",
    "starship_core/flows/resolve_purchase.py": "as place_order",
    "starship_core/cli/purchase.py": "shows a raw reply to an operator, audited",
    "starship_core/flows/read_order.py": "shows codes to the client they were sold to, audited",
    "starship_core/flows/block_stock.py": "opens what is let back into the stock, and keeps none",
    "starship_core/flows/rotate_keys.py": "opens what it seals again under another key",
    "starship_core/flows/verify.py": "opens every code that is to be sold, and keeps none",
    "starship_core/store/clients.py": "hashes and seals a new credential's own secrets",
    "starship_core/store/webhooks.py": "seals a webhook's own secret",
    "starship_core/cli/demo.py": "writes the demo client's own secrets into demo.env",
    "starship_core/cli/client.py": "shows a new credential's secrets, once",
    "starship_core/cli/operator.py": "shows a new operator's token, once",
    "starship_core/web/order_answer.py": "writes those codes into the answer",
    "starship_core/web/webhooks.py": "shows a webhook's own secret, once",
    "starship_core/testing/*.py": "looks in logs and recordings for the fakes of its own cases",
    "plugins/notify_webhook/src/*/signing.py": "signs with the receiver's secrets",
    "plugins/notify_email/src/*/delivery.py": "logs in to the mail server",
    "adapters/*/src/*/vendor.py": "sends credentials to the vendor",
    "adapters/*/src/*/wire.py": "writes the vendor's JSON",
}
PRODUCT = {"starship_core", "plugins", "adapters"}
"""Benchmarks and examples hold the secrets of deployments that they have made themselves."""


def check(source: Source) -> Iterator[Finding]:
    path = source.path.as_posix()
    if (
        source.is_test
        or source.path.parts[0] not in PRODUCT
        or any(fnmatch(path, allowed) for allowed in ALLOWED)
    ):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr == "reveal":
            yield Finding(
                source.path, node.lineno, "`.reveal` outside the list in tools/lint/reveals.py"
            )
