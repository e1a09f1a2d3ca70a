"""What a webhook's address may be, in a live and in a test deployment."""

from __future__ import annotations

import pytest

from starship_core.errors import InvalidInput
from starship_core.receiver import require_receiver

PUBLIC = (
    "https://shop.example.com", "https://shop.example.com:8443/a/b?c=d&e", "HTTPS://Shop.example/x",
    "https://93.184.215.14/", "https://[2606:4700::1111]/hook", "https://a.example./",
)  # fmt: skip
HOME = ("http://127.0.0.1:8080/hook", "https://localhost/", "http://[::1]:9/", "http://LOCALHOST/")
NEVER = (
    "", "shop.example.com", "ftp://shop.example.com/", "https://", "https:///x",
    "https://a b.example",
    "https://user:pass@shop.example.com/", "https://shop.example.com/#top", "https://é.example/",
    "https://shop.example.com:0/", "https://shop.example.com:70000/", "http://shop.example.com/",
    "https://10.0.0.1/", "https://169.254.169.254/latest", "https://[fe80::1]/", "https://[zz]/",
    "https://192.168.1.1", "https://[::ffff:10.0.0.1]/", "https://shop.example.com/\n",
    "https://shop.example.com/" + "x" * 2048,
)  # fmt: skip


@pytest.mark.parametrize("url", PUBLIC)
def test_https_to_a_public_address(url: str) -> None:
    """Everywhere."""
    require_receiver(url, "live")
    require_receiver(url, "test")


@pytest.mark.parametrize("url", HOME)
def test_its_own_machine_in_a_test_deployment_only(url: str) -> None:
    """There by http, too."""
    require_receiver(url, "test")
    with pytest.raises(InvalidInput):
        require_receiver(url, "live")


@pytest.mark.parametrize("url", NEVER)
def test_everything_else_is_refused(url: str) -> None:
    """With a sentence on what is wrong, about the field."""
    for environment in ("live", "test"):
        with pytest.raises(InvalidInput, match=r"^url: it ") as refused:
            require_receiver(url, environment)
        assert refused.value.field == "url"
