"""Visitors behind reverse proxies: whom the headers name, and who may set them."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from server.access.proxies import TrustedProxies
from server.settings import Limits
from tests.server.live_server import LiveServer, read_until, settings_of

TOKEN = "correct horse battery"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LOOPBACK = ipaddress.ip_network("127.0.0.1")
PROXIES = TrustedProxies((LOOPBACK, ipaddress.ip_network("10.0.0.0/8")))


def visitor(*headers: tuple[str, str], peer: str = "127.0.0.1"):
    return PROXIES.visitor(peer, CIMultiDict(headers), scheme="http", prefix="")


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7, 10.2.3.4", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("unknown", "127.0.0.1"),
        ("1.1.1.1, unknown, 10.2.2.2", "10.2.2.2"),
        ("", "127.0.0.1"),
        (",,,", "127.0.0.1"),
        ("1.1.1.1; DROP", "127.0.0.1"),
    ],
)
def test_the_rightmost_address_that_is_not_a_proxys_is_the_visitors(
    forwarded_for: str, address: str
) -> None:
    assert visitor(("X-Forwarded-For", forwarded_for)).address == address


def test_several_lines_of_a_header_are_one_list() -> None:
    lines = (("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.7"))
    assert visitor(*lines).address == "203.0.113.7"


@pytest.mark.parametrize(
    ("forwarded", "address", "scheme"),
    [
        ("for=203.0.113.7", "203.0.113.7", "http"),
        ("For=1.1.1.1, for=203.0.113.7;proto=https", "203.0.113.7", "https"),
        ('for="[2001:db8::7]:4711";proto=https;by=10.0.0.1', "2001:db8::7", "https"),
        ('for="203.0.113.7", for=10.1.1.1', "203.0.113.7", "http"),
        (r'for="203.0.\113.7"', "203.0.113.7", "http"),
        ("for=_hidden, for=10.1.1.1", "10.1.1.1", "http"),
        ('for="203.0.113.7', "127.0.0.1", "http"),
        ("for=203.0.113.7 proto=https", "127.0.0.1", "http"),
        (";;;", "127.0.0.1", "http"),
    ],
)
def test_the_standard_header_counts_too(forwarded: str, address: str, scheme: str) -> None:
    found = visitor(("Forwarded", forwarded))
    assert (found.address, found.scheme) == (address, scheme)


def test_a_contradictory_header_that_the_proxy_passed_on_is_ignored() -> None:
    # nginx appends to X-Forwarded-For and passes on a visitor's Forwarded header.
    written = (("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=8.8.8.8"))
    assert visitor(*written).address == "127.0.0.1"
    agreeing = (("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=203.0.113.7"))
    assert visitor(*agreeing).address == "203.0.113.7"


@pytest.mark.parametrize(
    ("sent", "scheme"),
    [
        ("https", "https"),
        ("wss", "https"),
        ("http", "http"),
        ("https, http", "http"),
        ("x", "http"),
    ],
)
def test_the_proxy_reports_the_scheme(sent: str, scheme: str) -> None:
    assert visitor(("X-Forwarded-Proto", sent)).scheme == scheme


@pytest.mark.parametrize(
    ("sent", "prefix"),
    [
        ("/fer", "/fer"),
        ("/fer/", "/fer"),
        ("/a/b", "/a/b"),
        ("/", ""),
        ("//evil.example", ""),
        ("/..", ""),
        ("https://evil.example", ""),
        ("/a\\b", ""),
        ("/" + 200 * "a", ""),
    ],
)
def test_the_proxy_reports_a_prefix_that_can_only_be_a_path(sent: str, prefix: str) -> None:
    assert visitor(("X-Forwarded-Prefix", sent)).prefix == prefix


def test_an_untrusted_peer_can_claim_nothing() -> None:
    found = visitor(
        ("X-Forwarded-For", "8.8.8.8"),
        ("Forwarded", "for=8.8.8.8;proto=https"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "/fer"),
        peer="192.0.2.1",
    )
    assert (found.address, found.scheme, found.prefix) == ("192.0.2.1", "http", "")
    assert not found.proxied


@given(st.lists(st.tuples(st.sampled_from(["X-Forwarded-For", "Forwarded"]), st.text())))
def test_no_header_breaks_parsing(headers: list[tuple[str, str]]) -> None:
    address = visitor(*headers).address
    assert ipaddress.ip_address(address)


@pytest.fixture(scope="module")
def proxied(checkpoint: str) -> Iterator[LiveServer]:
    """A server that trusts this test as its proxy."""
    limits = Limits(login_attempts_per_minute=3, viewers_per_address=2, connections_per_address=8)
    settings = settings_of(
        checkpoint, "demo", token=TOKEN, limits=limits, trusted_proxies=(LOOPBACK,)
    )
    with LiveServer(settings) as server:
        yield server


@pytest.fixture(scope="module")
def alone(checkpoint: str) -> Iterator[LiveServer]:
    """The same server without a trusted proxy."""
    limits = Limits(login_attempts_per_minute=3)
    with LiveServer(settings_of(checkpoint, "demo", token=TOKEN, limits=limits)) as server:
        yield server


def log_in(server: LiveServer, token: str, **headers: str):
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    body = f"token={token.replace(' ', '+')}".encode()
    return server.ask("POST", "/login", body=body, headers=headers)


def test_wrong_tokens_of_one_visitor_behind_a_proxy_lock_nobody_else_out(
    proxied: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    guess = {"X_Forwarded_For": "198.51.100.1", "Authorization": "Bearer wrong"}
    with caplog.at_level(logging.WARNING):
        codes = [proxied.get("/api/cameras", **guess).code for _ in range(5)]
    assert codes == 3 * ["unauthorized"] + 2 * ["too_many_attempts"]
    assert "from 198.51.100.1" in caplog.text
    other = {**guess, "X_Forwarded_For": "198.51.100.2"}
    assert proxied.get("/api/cameras", **other).code == "unauthorized"


def test_a_correct_token_is_accepted_while_its_address_is_locked_out(alone: LiveServer) -> None:
    guesses = [alone.get("/api/cameras", Authorization="Bearer wrong").status for _ in range(4)]
    assert guesses[-1] == 429
    assert alone.get("/api/cameras", **BEARER).status == 200
    assert log_in(alone, TOKEN).status == 200


def test_a_stranger_cannot_spoof_an_address(alone: LiveServer) -> None:
    statuses = {
        alone.get(
            "/api/cameras",
            Authorization="Bearer wrong",
            X_Forwarded_For=f"198.51.100.{n}",
            Forwarded=f"for=198.51.100.{n}",
        ).status
        for n in range(6)
    }
    assert 429 in statuses


def test_each_visitor_behind_a_proxy_has_a_separate_limit(proxied: LiveServer) -> None:
    def watch(stack: contextlib.ExitStack, address: str) -> bytes:
        request = (
            f"GET /stream/demo.mjpg HTTP/1.0\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n"
        )
        bare = stack.enter_context(proxied.raw(request.encode()))
        return read_until(bare, b"\r\n").split()[1]

    with contextlib.ExitStack() as stack:
        # More connections than one address, that of this proxy, may have.
        answers = [watch(stack, f"198.51.100.{10 + n}") for n in range(17)]
        assert answers == 17 * [b"200"]
        again = [watch(stack, "198.51.100.40") for _ in range(3)]
        assert again == [b"200", b"200", b"503"]


def test_concurrent_requests_of_a_visitor_behind_a_proxy_are_limited(proxied: LiveServer) -> None:
    request = (
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.50\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            bare = stack.enter_context(proxied.raw(request))
            assert read_until(bare, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        refused = proxied.get("/login", X_Forwarded_For="198.51.100.50")
        assert (refused.status, refused.code) == (503, "too_many_connections")
        assert proxied.get("/login", X_Forwarded_For="198.51.100.51").status == 200


def test_unread_responses_count_towards_the_limit_of_a_visitor_behind_a_proxy(
    proxied: LiveServer,
) -> None:
    request = (
        b"GET /static/viewer.js HTTP/1.1\r\nHost: localhost\r\n"
        b"X-Forwarded-For: 198.51.100.60\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(proxied.raw(request * 1000))
        until = time.monotonic() + 10
        while (refused := proxied.get("/login", X_Forwarded_For="198.51.100.60")).status != 503:
            assert time.monotonic() < until
        assert refused.code == "too_many_connections"
        assert proxied.get("/login", X_Forwarded_For="198.51.100.61").status == 200


def test_behind_tls_cookies_are_bound_to_this_host(proxied: LiveServer) -> None:
    answer = log_in(proxied, TOKEN, X_Forwarded_Proto="https")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith("__Host-fer_session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    over_tls = {"Cookie": cookie, "X_Forwarded_Proto": "https"}
    assert proxied.get("/api/cameras", **over_tls).status == 200
    planted = {"Cookie": cookie.removeprefix("__Host-"), "X_Forwarded_Proto": "https"}
    assert proxied.get("/api/cameras", **planted).status == 401


def test_without_a_trusted_proxy_forged_headers_change_no_cookie(alone: LiveServer) -> None:
    answer = log_in(alone, TOKEN, X_Forwarded_Proto="https", Forwarded="proto=https")
    assert answer.headers["set-cookie"].startswith("fer_session=")
    assert "Secure" not in answer.headers["set-cookie"]
    assert "strict-transport-security" not in answer.headers


def test_every_response_over_tls_requires_tls_from_then_on(proxied: LiveServer) -> None:
    for path in ("/login", "/nothing", "/api/cameras", "/healthz", "/static/style.css"):
        headers = proxied.get(path, X_Forwarded_Proto="https").headers
        assert headers["strict-transport-security"] == "max-age=31536000", path
        assert "strict-transport-security" not in proxied.get(path).headers, path


@pytest.mark.parametrize(
    ("origin", "scheme", "status"),
    [
        ("https://localhost", "https", 200),
        ("https://localhost:443", "https", 200),
        ("http://localhost", "https", 403),
        ("https://localhost", "http", 403),
        ("http://localhost", "http", 200),
    ],
)
def test_the_scheme_of_an_origin_counts(
    proxied: LiveServer, origin: str, scheme: str, status: int
) -> None:
    headers = {"Host": "localhost", "Origin": origin, "X_Forwarded_Proto": scheme, **BEARER}
    answer = proxied.post_json("/api/cameras/demo", {"mirror": True}, **headers)
    assert answer.status == status
    socket = {**headers, "Upgrade": "websocket", "Connection": "Upgrade"}
    refused = proxied.get("/ws/camera?camera=demo", **socket).code
    assert (refused == "cross_site") is (status == 403)


def test_a_refusal_behind_an_undeclared_proxy_says_what_to_do(alone: LiveServer) -> None:
    headers = {"Host": "localhost", "Origin": "https://localhost", **BEARER}
    answer = alone.post_json("/api/cameras/demo", {"mirror": True}, **headers)
    assert answer.code == "cross_site"
    assert "--trusted-proxy" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "\xff\xfe"},
        {"X_Forwarded_For": 4000 * ","},
        {"Forwarded": 'for="[::1'},
        {"Forwarded": 'for="\\'},
        {"X_Forwarded_Proto": ","},
        {"X_Forwarded_Prefix": "/%"},
        {"Origin": "http://[::1", "X_Forwarded_For": "::1%x"},
    ],
)
def test_malformed_headers_never_cause_a_failure(
    proxied: LiveServer, headers: dict[str, str]
) -> None:
    # A POST, so that an Origin counts as well.
    answer = proxied.post_json("/api/cameras/demo", {"mirror": True}, **BEARER, **headers)
    assert answer.status in (200, 403)
