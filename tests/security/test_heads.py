"""Paths, queries, methods and headers that are odd: 2xx, or a 4xx of the contract's shape."""

from __future__ import annotations

from collections import Counter
from itertools import product
from urllib.parse import quote

from tests.e2e.servers import Caller
from tests.security.fuzzing import GOOD, JSON, KEY, Fuzzer, all_of, routes
from tests.security.raw import exchange, problem_in, request

ODD = [
    b"%", b"%2", b"%zz", b"%00", b"%FF", b"%C3", b"%C3%28", b"%ED%A0%80", b"%F5%80%80%80", b"%2F",
    b"%2E%2E", b"..", b".", b"%252e", b"%0d%0aX-Injected:%20yes", b"%20", b"+", b"1%00", b"%D9%A1",
    b"%EF%BC%91", b"0x1", b"1e3", b"-1", b"0", b"01", b"9" * 400, b"9223372036854775808", b"null",
    b"NaN", b"true", b"[]", b"{}", b"'", b'"', b"%22", b"1;DROP TABLE orders", b"1' OR '1'='1",
    b"$1", b"%24%7B7*7%7D", b"<script>", b"\\", b"|", b"^", b"`", b"*", b"~", b"@", b":", b"=",
    b";", b",", b"x" * 5000,
]  # fmt: skip


async def test_odd_segments_in_every_path(fuzzer: Fuzzer) -> None:
    """In the place of every id, and behind, before and between segments: 2xx or a whole 4xx."""
    targets = set()
    for route in await routes(fuzzer):
        head, _, tail = route.path.rpartition(b"/")
        for odd in ODD:
            targets.add((route.method, head + b"/" + odd))
            if b" " not in odd and tail not in {b"orders", b"products"}:
                targets.add((route.method, head + b"/" + odd + b"/" + tail))
        for around in (b"//", b"/./", b"/../", b"/%2e%2e/", b"/;/"):
            targets.add((route.method, head + around + tail))
        targets |= {
            (route.method, route.path + end) for end in (b"/", b"//", b"/x", b";a=b", b"%00")
        }
    answers = await all_of(fuzzer.send(method, path, [KEY, JSON], GOOD if method == "POST" else b"")
                           for method, path in sorted(targets))  # fmt: skip
    assert len(answers) > 1000
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 400, 404, 405}, statuses
    assert all("x-injected" not in answer.headers for answer in answers)


QUERIES = [
    b"=", b"&&&", b"?", b"%00=1", b"%FF", b"a=b", b"x" * 9000, b"=1&=2", b"&".join([b"a"] * 5000),
]  # fmt: skip


async def test_odd_values_in_every_query(fuzzer: Fuzzer) -> None:
    """Each documented parameter with each odd value, alone and repeated; and names that are odd."""
    targets = []
    for route in await routes(fuzzer):
        for name in route.query:
            for odd in ODD:
                if b" " not in odd:
                    pair = name.encode() + b"=" + odd.replace(b"#", b"%23")
                    targets.append(route.path + b"?" + pair)
            targets.append(route.path + b"?" + b"&".join([name.encode() + b"=1"] * 2))
            targets.append(route.path + b"?" + name.encode() + b"=" + b"(" * 30_000)
        if route.method == "GET":
            targets += [route.path + b"?" + query for query in QUERIES]
    answers = await all_of(fuzzer.send("GET", target, []) for target in targets)
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 400, 404, 405}, statuses
    assert statuses[400] > 1000


SORTS = [
    "", "{", "[]", "null", '""', "1", '{"field":1}', '{"field":"id","direction":1}',
    '{"field":null}', '{"field":"id","direction":"UP"}', '{"field":"password"}',
    '{"field":"id","x":1}', '{"field":"id"}}', "[" * 20_000, '{"field":"\\ud800"}',
    '{"field":"\\u0000"}', '{"field":"id; DROP TABLE orders"}', '{"Field":"id"}', "id", "-id",
    '{"direction":"\u0130"}',
]  # fmt: skip


async def test_sorts_that_are_none(fuzzer: Fuzzer) -> None:
    """Only the fields and directions that are named."""
    sorted_routes = [route for route in await routes(fuzzer) if "sort" in route.query]
    assert len(sorted_routes) == 3
    for route in sorted_routes:
        for text in SORTS:
            target = route.path + b"?sort=" + quote(text, safe="").encode()
            answer = await fuzzer.send("GET", target, [])
            assert answer.status == 400, (text, answer)


METHODS = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE",
    "LINK",
)  # fmt: skip


async def test_every_method_on_every_path(fuzzer: Fuzzer) -> None:
    """405 with Allow where the path exists, the method's own answer where it does, nothing else."""
    found: dict[bytes, set[str]] = {}
    for route in await routes(fuzzer):
        found.setdefault(route.path, {"OPTIONS"}).add(route.method)
    for path, methods in sorted(found.items(), key=lambda each: "DELETE" in each[1]):
        allowed = methods | ({"HEAD"} if "GET" in methods else set())
        for method in sorted(METHODS, key="DELETE".__eq__):
            body = b"" if method in {"GET", "HEAD", "OPTIONS"} else b"{}"
            answer = await fuzzer.send(method, path, [], body)
            if method not in allowed:
                assert answer.status == 405, (method, path, answer)
                assert set(answer.headers["allow"].split(", ")) >= methods - {"OPTIONS"}, answer
            else:
                assert answer.status in {200, 204, 400, 415}, (method, path, answer)
    for method in ("FOO", "get", "G@T", "", "GET\t", "\x00", "ГЕТ", "POST POST"):
        answer = await fuzzer.send(method, b"/api/v1/orders", [])
        assert answer.status == 400, (method, answer)
    assert (await fuzzer.send("CONNECT", b"shop:80", [])).status in {400, 401, 404}


async def test_heads_that_are_no_request(fuzzer: Fuzzer) -> None:
    """What is no HTTP is answered as every other error is, and the server goes on."""
    whole = request("GET", b"/api/v1/orders", fuzzer.headers("GET", b"/api/v1/orders", b""), b"")
    for sent in (
        b"\r\n\r\nhello\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100, b"\xff" * 100,
        b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", b"GET / HTTP/1.1\r\n: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nA\x00: c\r\n\r\n", b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):  # fmt: skip
        answer = await exchange(fuzzer.shop.url, sent)
        assert (answer.status, problem_in(answer)) == (400, "SYNTAX_ERROR"), (sent, answer)
        assert (await exchange(fuzzer.shop.url, whole)).status == 200


async def test_heads_have_an_end(fuzzer: Fuzzer) -> None:
    """64 KiB of request line and headers, in one header or in thousands: more is 431."""
    target = b"/api/v1/orders"
    for headers in (
        [(b"X-Long", b"x" * 70_000)],
        [(b"X-Long", b"x" * 4_000_000)],
        [(b"x" * 70_000, b"1")],
        [(b"X-%d" % number, b"x" * 10) for number in range(10_000)],
        [(b"X-Same", b"x")] * 10_000,
    ):
        answer = await fuzzer.send("GET", target, headers)
        assert (answer.status, problem_in(answer)) == (431, "HEADERS_TOO_LARGE"), answer
    long = await fuzzer.send("GET", target + b"?" + b"x" * 70_000, [])
    assert long.status == 431
    assert (await fuzzer.send("GET", target, [(b"X-Long", b"x" * 60_000)])).status == 200


async def test_odd_headers_on_every_operation(fuzzer: Fuzzer) -> None:
    """Headers that we read, with anything in them, once and twice; and those that we do not."""
    junk = [b"", b" ", b"x", b"\xff\xfe", b"\x01".replace(b"\x01", b"\x7f"), b"1,2", b"a" * 9000,
            b"t=1,v1=", b"t=" + b"9" * 500 + b",v1=" + b"a" * 64, b"../../etc/passwd", "é".encode(),
            b"t=1," + b"v1=" + b"a" * 64, b"${jndi:ldap://x}", b"%00", b"'\""]  # fmt: skip
    names = [b"X-API-Key", b"X-API-Secret", b"X-Signature", b"Host", b"Accept", b"Accept-Encoding",
             b"Authorization", b"Cookie", b"Origin", b"Range", b"If-None-Match", b"X-Forwarded-For",
             b"X-Forwarded-Host", b"X-HTTP-Method-Override", b"Content-Type", b"X-Request-Id",
             b"Idempotency-Key", b"Expect", b"Upgrade", b"TE", b"Trailer",
             b"Content-Encoding"]  # fmt: skip
    good = [route for route in await routes(fuzzer) if not route.path.startswith(b"/api/v1/sig")]
    cases = []
    for turn, (name, value) in enumerate(product(names, junk)):
        route = good[turn % len(good)]
        cases += [(route, [(name, value)]), (route, [(name, value)] * 2)]
    answers = await all_of(
        fuzzer.send(
            route.method, route.path,
            headers if route.body is None else [KEY, JSON, *headers], route.body or b"",
        )
        for route, headers in cases
    )  # fmt: skip
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 400, 401, 404, 415, 422}, statuses


async def test_a_second_credential_is_no_credential(fuzzer: Fuzzer, bolt: Caller) -> None:
    """Key, secret or signature twice, even the same: 401, for nobody knows which is meant."""
    target = b"/api/v1/orders"
    mine = fuzzer.headers("GET", target, b"")
    theirs = Fuzzer(fuzzer.shop, bolt).headers("GET", target, b"")
    for position in range(3):
        for other in (mine[position], theirs[position]):
            answer = await fuzzer.send("GET", target, [other])
            assert (answer.status, problem_in(answer)) == (401, "E_UNAUTHORIZED_ACCESS")
            assert "E_UNAUTHORIZED" in problem_in(
                await fuzzer.send("GET", target, [other, *mine], signed=False)
            )
