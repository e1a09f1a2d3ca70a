import pytest
import starship_notify_webhook

from starship_core import Secret
from starship_core.testing.notifiers import NotifierCase, NotifierConformance, http_inbox

OLDER = Secret("whsec_c3RhcnNoaXAtdGVzdC1zZWNyZXQtMzItYnl0ZXMhISE=")
NEWER = Secret("whsec_YW5vdGhlciBvbmUsIHRoYXQgaXMgMzIgYnl0ZXMgdG9v")


@pytest.fixture
def case() -> NotifierCase:
    """A receiver whose secret is being rotated."""
    (registration,) = starship_notify_webhook.register_notifiers()
    return NotifierCase(
        registration=registration,
        inbox=lambda manner: http_inbox(manner, OLDER, NEWER),
        redirects=True,
    )


class TestWebhook(NotifierConformance):
    """notify-webhook."""
