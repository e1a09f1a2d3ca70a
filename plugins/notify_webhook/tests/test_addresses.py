"""Which addresses may be sent to."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starship_notify_webhook.addresses import Endpoint, endpoint, is_loopback, is_public, network

V4 = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
]  # fmt: skip
V6 = [
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:0:7f00:1::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1",
    "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.0",
    "168.63.129.15", "172.15.255.255", "172.32.0.0", "192.0.3.1", "223.255.255.255",
    "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", V4 + V6)
def test_what_is_not_public(address: str) -> None:
    """Local, private, shared, multicast, reserved, and each of these dressed up as IPv6."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public(address: str) -> None:
    """Up to the last address before a network that is not, and the first one after it."""
    assert is_public(ip_address(address))


def test_what_is_this_machine() -> None:
    """The only thing that a test deployment may reach besides what is public."""
    here = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]
    elsewhere = ["0.0.0.0", "::", "64:ff9b::7f00:1", "10.0.0.1", "8.8.8.8", "fe80::1"]  # noqa: S104
    assert [text for text in here + elsewhere if is_loopback(ip_address(text))] == here


def test_networks_of_the_deployers_own() -> None:
    """However the address is written."""
    ours = [network("8.8.8.0/24"), network("2606:4700::/32")]
    for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1"):
        assert is_public(ip_address(address))
        assert not is_public(ip_address(address), ours)
    assert is_public(ip_address("8.8.9.8"), ours)


numbers = st.integers(0, 2**32 - 1).map(IPv4Address)


@given(numbers | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_what_python_does_not_call_global_is_not_public(address: IPv4Address | IPv6Address) -> None:
    """Our list may be longer than the library's, never shorter."""
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(numbers)
def test_an_ipv4_address_within_an_ipv6_one_is_judged_by_itself(number: IPv4Address) -> None:
    """Mapped, and behind a NAT64; other ways of carrying one are refused altogether."""
    public = is_public(number)
    assert is_public(IPv6Address(f"::ffff:{number}")) == public
    assert is_public(IPv6Address(f"64:ff9b::{number}")) == public
    assert not is_public(IPv6Address(f"::{number}"))
    assert not is_public(IPv6Address((0x2002 << 112) | (int(number) << 80) | 1))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "https://shop.example/hooks?from=starship&x=%20?",
            Endpoint("https", "shop.example", None, "shop.example", "/hooks?from=starship&x=%20?"),
        ),
        ("HTTPS://shop.example", Endpoint("https", "shop.example", None, "shop.example", "/")),
        ("https://a_b.example?x", Endpoint("https", "a_b.example", None, "a_b.example", "/?x")),
        ("http://[::1]:8080/", Endpoint("http", "::1", 8080, "[::1]:8080", "/")),
        ("https://127.1/", Endpoint("https", "127.1", None, "127.1", "/")),
        ("https://x:65535/", Endpoint("https", "x", 65535, "x:65535", "/")),
        ("https://x.example./", Endpoint("https", "x.example.", None, "x.example.", "/")),
    ],
)
def test_an_address_taken_apart(address: str, expected: Endpoint) -> None:
    """Once, and everything that is asked comes from here."""
    assert endpoint(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "", "shop.example/hooks", "//shop.example/", "ftp://shop.example/", "file:///etc/passwd",
        "https:shop.example", "https:///hooks", "https://", "https://:443/", "https://?x",
        "https://user@shop.example/", "https://shop.example@127.0.0.1/",
        "https://shop.example\\@127.0.0.1/", "https://shop.example#@127.0.0.1/",
        "https://shop.example:0/", "https://shop.example:65536/", "https://shop.example:/",
        "https://shop.example:80:80/", "https://[::1/", "https://::1/", "https://[::1]x/",
        "https://[127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[::1%lo]/", "https://[]/",
        "https://shop..example/", "https://.example/", "https://-x.example/", "https://shöp.example/",
        "https://①②⑦.⓪.⓪.①/", "https://%31%32%37.0.0.1/", "https://shop.example/a b",
        "https://shop.example/\r\nX-Evil: 1", "https://shop.example/\n", "https://shop.example/\0",
        " https://shop.example/", "https://shop.example/a#b", "httpſ://shop.example/",
        f"https://{'x' * 64}.example/", f"https://shop.example/{'x' * 2048}",
    ],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    """Nothing that two programs could take apart differently."""
    with pytest.raises(ValueError, match=r"is no http or https address|is longer than 2048"):
        endpoint(address)
