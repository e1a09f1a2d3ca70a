"""Bodies that no well-meaning client sends: a 4xx of the contract's shape, never our fault."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from tests.security.fuzzing import GOOD, JSON, KEY, Fuzzer, all_of, routes
from tests.security.raw import Answer, exchange, problem_in, request


async def test_the_good_requests_are_good(fuzzer: Fuzzer) -> None:
    """What is fuzzed below works as it is, or all those 4xx would prove nothing."""
    for route in await routes(fuzzer):
        headers = [KEY] if route.body is None else [KEY, JSON]
        answer = await fuzzer.send(route.method, route.path, headers, route.body or b"")
        assert answer.status == 200, (route, answer)


DEEP = 100_000
NOT_JSON = [
    b"", b" ", b"{", b"}", b"{]", b"{}x", b"{}{}", b"{'a':1}", b"{a:1}", b'{"a":1,}', b"nul",
    b"NaN", b"Infinity", b"-Infinity", b"undefined", b"0x10", b"01", b"+1", b".5", b"5.", b"\xff",
    b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"\xc3\x28":1}', b'{"a":"\xed\xa0\x80"}', b"\x00",
    b"{}\x00", b'{"a":"\x00"}', b'{"a":"\x01"}', b'{"a":"\\x00"}', b'{"a":"\\ud800"}',
    b'{"a":"\\u12"}', b'{"product_id":1,"denomination":"20.00","quantity":1', GOOD + b"]",
    GOOD[:-1] + b',"a":NaN}',
    "{}".encode("utf-16"), "{}".encode("utf-32"), b"a=1&b=2", b"<order/>",
    b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b"[" * 33 + b"]" * 33, b'{"\\u0000":1}', b'{"a":"\\u0000"}', b'{"metadata":{"a":["\\u0000"]}}',
    b'{"customer_info":' * 16 + b'"\\u0000"' + b"}" * 16,
]  # fmt: skip
NOT_AN_OBJECT = [
    b"null",
    b"true",
    b"1",
    b"-0.0",
    b"1e5",
    b'"x"',
    b"[]",
    b"[{}]",
    b"[" * 32 + b"]" * 32,
]


async def test_bodies_that_are_no_json(fuzzer: Fuzzer) -> None:
    """SYNTAX_ERROR for whatever is no JSON in UTF-8, holds NUL or is nested deeper than 32."""
    posts = [route for route in await routes(fuzzer) if route.body is not None]
    assert len(posts) == 6
    cases = [(p, body, "SYNTAX_ERROR") for p in posts for body in NOT_JSON]
    cases += [(p, body, "E_VALIDATION_FAILURE") for p in posts for body in NOT_AN_OBJECT]
    found = await all_of(
        fuzzer.refused(p.method, p.path, [KEY, JSON], body) for p, body, _ in cases
    )
    odd = [
        (post.path, body[:60], code)
        for (post, body, wanted), code in zip(cases, found, strict=True)
        if code != wanted
    ]
    assert odd == []


NUMBERS = [
    b"-1", b"-0", b"0", b"0.0", b"1e999999999", b"-1e999999999", b"1e400", b"1e-999999999", b"1E5",
    b"1" + b"0" * 400, b"-1" + b"0" * 400, b"9223372036854775808", b"18446744073709551616",
    b"0." + b"3" * 400, b"1.0000000000000001", b'"NaN"', b'"nan"', b'"Infinity"',
    b'"1e999999999"', b'"1' + b"0" * 400 + b'"', '"٢٠"'.encode(), '"２０"'.encode(), '"²"'.encode(),
    b'"1_0"', b'" 20"',
    b'"20 "', b'"20\\n"', b'"+20"', b'"-20"', b'"0x14"', b'""', b"null", b"true", b"[]", b"{}",
    b'"' + b"9" * 100_000 + b'"', b"9" * 100_000,
]  # fmt: skip


async def test_numbers_in_every_place(fuzzer: Fuzzer) -> None:
    """NaN, exponents, other digits, hundreds of digits: wherever a number is expected, a 400."""
    cases = []
    for route in await routes(fuzzer):
        for field in ("product_id", "denomination", "quantity", "wallet_id"):
            if route.body is None or (field != "wallet_id" and field.encode() not in route.body):
                continue
            for number in NUMBERS:
                optional = field == "wallet_id" and number == b"null"
                if optional or (field == "wallet_id" and route.path.endswith(b"availability")):
                    continue
                whole = json.loads(route.body) | {field: "HERE"}
                body = json.dumps(whole).encode().replace(b'"HERE"', number)
                cases.append((route, body))
    codes = await all_of(
        fuzzer.refused(route.method, route.path, [KEY, JSON], body) for route, body in cases
    )
    assert set(codes) == {"E_VALIDATION_FAILURE"}, Counter(codes)


async def test_numbers_that_are_kept(fuzzer: Fuzzer) -> None:
    """Metadata may hold any number that JSON has: told as it was, or refused, never a fault."""
    for index, (number, status) in enumerate(
        [
            (b"0", 200),
            (b"-0", 200),
            (b"1.5", 200),
            (b"1e300", 200),
            (b"-1e-300", 200),
            (b"18446744073709551617", 200),
            (b"-9223372036854775809", 200),
            (b"1" + b"0" * 400, 200),
            (b"1" + b"0" * 4000, 200),
            (b"1" + b"0" * 5000, 400),
            (b"1" + b"0" * 100_000, 400),
            (b"1e400", 400),
            (b"1e999999999", 400),
        ]
    ):
        for name in (b"metadata", b"customer_info"):
            body = GOOD[:-1] + b',"' + name + b'":{"n":' + number + b"}}"
            key = (b"Idempotency-Key", b"number-%d-" % index + name)
            answer = await fuzzer.send("POST", b"/api/v1/orders", [key, JSON], body)
            assert answer.status == status, (name, number[:30], answer)
            if status == 200:
                kept = json.loads(answer.body)[name.decode()]["n"]
                assert kept == json.loads(number), (name, number[:30])


async def test_nesting_to_the_limit(fuzzer: Fuzzer) -> None:
    """32 levels, the body itself the first, are taken and come back; 33 are too many."""
    for levels, status in ((30, 200), (31, 400)):
        inside = b'{"a":' * levels + b"1" + b"}" * levels
        body = GOOD[:-1] + b',"metadata":{"b":' + inside + b"}}"
        key = (b"Idempotency-Key", b"nesting-%d" % levels)
        answer = await fuzzer.send("POST", b"/api/v1/orders", [key, JSON], body)
        assert answer.status == status, (levels, answer)
        if status == 200:
            assert json.loads(answer.body)["metadata"] == {"b": json.loads(inside)}


async def test_text_that_is_kept(fuzzer: Fuzzer) -> None:
    """Whatever text JSON can hold, but NUL, comes back as it was: in POST, read and list."""
    text = "é ☃ 𝕏 \u0001\u001f\u007f\u2028\ufffd\uffff \\ \" ' <script> %00 \\u0000 {{7*7}} $1 ?"
    body = json.loads(GOOD) | {"metadata": {text: text}, "customer_info": {text: [text]}}
    raw = json.dumps(body, ensure_ascii=False).encode()
    answer = await fuzzer.send("POST", b"/api/v1/orders", [KEY, JSON], raw)
    placed = json.loads(answer.body)
    assert (placed["metadata"], placed["customer_info"]) == ({text: text}, {text: [text]})
    read = await fuzzer.caller.get(f"/orders/{placed['id']}")
    listed = (await fuzzer.caller.get("/orders"))[0]
    for found in (read, listed):
        assert (found["metadata"], found["customer_info"]) == ({text: text}, {text: [text]})


async def test_content_types(fuzzer: Fuzzer) -> None:
    """415 for all but JSON in UTF-8 that is not compressed, however well formed the body."""
    for kinds, status in (
        ([], 415), ([b""], 415), ([b"text/plain"], 415), ([b"application/jsonx"], 415),
        ([b"application/json, text/plain"], 415), ([b"application/json; charset=utf-16"], 415),
        ([b"application/json; charset=latin-1"], 415),
        ([b"application/x-www-form-urlencoded"], 415),
        ([b"multipart/form-data; boundary=x"], 415), ([b"application/problem+json"], 415),
        ([b"\xff\xfe"], 415), ([b"a" * 60_000], 415), ([b"*/*"], 415), ([b"json"], 415),
        ([b"application/json", b"application/json"], 415),
        ([b"application/json", b"text/plain"], 415), ([b"application /json"], 415),
        ([b"application/json"], 200), ([b"Application/JSON"], 200),
        ([b"application/json;charset=UTF-8"], 200), ([b'application/json; charset="utf-8"'], 200),
        ([b"application/json;"], 200), ([b"  application/json  "], 200),
    ):  # fmt: skip
        for route in await routes(fuzzer):
            if route.body is not None:
                headers = [KEY, *((b"Content-Type", kind) for kind in kinds)]
                answer = await fuzzer.send(route.method, route.path, headers, route.body)
                assert answer.status == status, (kinds, answer)
    for coding, status in ((b"gzip", 415), (b"br", 415), (b"identity, gzip", 415), (b"x", 415)):
        headers = [KEY, JSON, (b"Content-Encoding", coding)]
        answer = await fuzzer.send("POST", b"/api/v1/orders", headers, GOOD)
        assert answer.status == status, (coding, answer)


async def test_chunked_bodies(fuzzer: Fuzzer) -> None:
    """Taken in pieces to 1 MiB and not a byte further; broken chunks are no request at all."""
    chunked = (b"Transfer-Encoding", b"chunked")
    target = b"/api/v1/orders"

    async def send(body: bytes, wire: bytes) -> Answer:
        signed = fuzzer.headers("POST", target, body)
        sent = request("POST", target, [*signed, KEY, JSON, chunked], wire)
        return await exchange(fuzzer.shop.url, sent)

    pieces = [GOOD[start : start + 7] for start in range(0, len(GOOD), 7)]
    assert (await send(GOOD, _chunks(pieces))).status == 200
    largest = GOOD + b" " * ((1 << 20) - len(GOOD))
    whole = [largest[start : start + 65536] for start in range(0, len(largest), 65536)]
    assert (await send(largest, _chunks(whole))).status == 200
    for pieces in ([*whole, b" "], [*whole, *whole], [b"x" * (1 << 20), b"x"], [b"x" * (4 << 20)]):
        answer = await send(b"".join(pieces), _chunks(pieces))
        assert (answer.status, problem_in(answer)) == (413, "PAYLOAD_TOO_LARGE")
    for wire in (b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n", b"2\r\n{}x\r\n0\r\n\r\n",
                 b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n"):  # fmt: skip
        answer = await send(b"{}", wire)
        assert (answer.status, problem_in(answer)) == (400, "SYNTAX_ERROR"), (wire, answer)


def _chunks(pieces: Iterable[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
