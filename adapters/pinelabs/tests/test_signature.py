"""The signature, against vectors that were computed by two other programs each."""

import json
from decimal import Decimal

import pytest
from starship_pinelabs.sandbox.world import signature as the_sandboxes
from starship_pinelabs.signature import base_string, canonical, signed

SECRET = "demo-secret-0001"
ORDERS = "https://vendor.example/rest/v3/orders"
BODY = json.loads(
    '{"refno":"ORG1_0001","syncOnly":true,"products":[{"sku":"DEMOSKU","qty":1,"price":500,'
    '"currency":356}],"remarks":"a/b (é) it\'s*","address":{"line2":null,"email":"x@example.com"}}'
)
POST_BASE = (
    "POST&https%3A%2F%2Fvendor.example%2Frest%2Fv3%2Forders&%7B%22address%22%3A%7B%22email%22%3A%22"
    "x%40example.com%22%2C%22line2%22%3Anull%7D%2C%22products%22%3A%5B%7B%22currency%22%3A356%2C%22"
    "price%22%3A500%2C%22qty%22%3A1%2C%22sku%22%3A%22DEMOSKU%22%7D%5D%2C%22refno%22%3A%22ORG1_0001%22"
    "%2C%22remarks%22%3A%22a%2Fb%20%28%C3%A9%29%20it%27s%2A%22%2C%22syncOnly%22%3Atrue%7D"
)
POST = (
    "e21fb757ae033f4e7f63e7c260f27dd040c7e836419e31966ac39eaa14f7c620"
    "41bdc1e65357a6d961277a7a5f2e8b4587dffd070fb6cfdbddd8f0f3a1dcbbaa"
)
LIST = "https://vendor.example/rest/v3/catalog/categories/121/products?offset=0&limit=100"
GET_BASE = (
    "GET&https%3A%2F%2Fvendor.example%2Frest%2Fv3%2Fcatalog%2Fcategories%2F121%2Fproducts"
    "%3Flimit%3D100%26offset%3D0"
)
GET = (
    "6062f1e9daad7d5df4a266e150c7b4c85735c1a33f85db11f798b7d9b7a223f1"
    "9ff52555c765e2d105e9cd05355ee131cf8491691310c66d4791fb35cb3ce7b8"
)


def test_an_order_is_signed_as_documented() -> None:
    """Keys sorted at every depth, arrays as they are, null kept, nothing escaped without need."""
    body = canonical(BODY)
    assert base_string("post", ORDERS, body) == POST_BASE
    assert signed("POST", ORDERS, body, SECRET) == POST


def test_a_question_is_signed_as_documented() -> None:
    """The query sorted; no body at all, not even an empty one."""
    assert base_string("GET", LIST, None) == GET_BASE
    assert signed("GET", LIST, None, SECRET) == GET


def test_the_sandbox_signs_the_same() -> None:
    """By code of its own, which reads the body and writes it anew."""
    unsorted = json.dumps(BODY).encode()
    assert the_sandboxes("POST", ORDERS, unsorted, SECRET) == POST
    assert the_sandboxes("GET", LIST, b"", SECRET) == GET


@pytest.mark.parametrize(
    ("amount", "written"), [(500, b"500"), (Decimal("12.5"), b"12.5"), (10**9, b"1000000000")]
)
def test_numbers_are_written_in_one_way(amount: object, written: bytes) -> None:
    """What is signed is what is sent."""
    assert canonical({"amount": amount}) == b'{"amount":' + written + b"}"
