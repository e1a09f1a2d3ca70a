"""Our webhooks, held against the Standard Webhooks package that receivers in JavaScript install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starship_notify_webhook.signing import body, headers

from starship_core import OrderEvent, Secret

PACKAGE = "standardwebhooks@1.1.1"
SECRET = "whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE="  # of this test alone
VERIFY = """
const { Webhook } = require("standardwebhooks");
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const told = asked.map(({ secret, body, headers }) => {
  try { return new Webhook(secret).verify(body, headers); }
  catch (error) { return error.message; }
});
console.log(JSON.stringify(told));
"""


@pytest.fixture
def verify(tmp_path: Path) -> Any:
    """`verify(asked)`: what the package says of each body, in a process of node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        assert os.environ.get("CI") != "true", "CI must have node and npm"
        pytest.skip("node and npm are not installed")
    subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", PACKAGE],
        cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    (tmp_path / "verify.cjs").write_text(VERIFY)

    def verified(asked: list[dict[str, Any]]) -> list[Any]:
        done = subprocess.run(
            [node, "verify.cjs"],
            cwd=tmp_path, input=json.dumps(asked), capture_output=True, text=True, check=True,
        )  # fmt: skip
        told: list[Any] = json.loads(done.stdout)
        return told

    return verified


def test_the_stock_verifier_of_npm_accepts_it_and_nothing_else(verify: Any) -> None:
    """The very bytes with their headers, also beyond ASCII; one byte more, and it refuses."""
    now = datetime.now(UTC)
    event = OrderEvent(
        event_id="evt_1_1_order.created", event_type="order.created", created_at=now, client_id=3,
        data={"id": 1, "status": "PENDING", "note": "dîner 寿司"},
    )  # fmt: skip
    content = body(event)
    told = dict(headers(event.event_id, content, [Secret(SECRET)], at=now))
    ours = {"secret": SECRET, "body": content.decode(), "headers": told}
    changed = ours | {"body": content.decode() + " "}
    assert verify([ours, changed]) == [json.loads(content), "No matching signature found"]
