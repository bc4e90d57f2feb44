from __future__ import annotations

import pytest

from server.access.admission import Admission, Client, Full
from server.access.attempts import Attempts
from server.access.security import HostNames
from server.access.signatures import SIGNED_S, Signatures
from server.access.tokens import Tokens
from server.settings import Settings

TOKEN = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_gives_its_role() -> None:
    tokens = Tokens(operator=TOKEN, viewer="another token")
    assert tokens.role_of(TOKEN) == "operator"
    assert tokens.role_of("another token") == "viewer"
    assert tokens.role_of("a wrong token") is None
    assert tokens.role_of("") is None


def test_an_empty_token_never_matches() -> None:
    assert not Tokens(operator="").required
    assert Tokens(operator="").role_of("") is None
    assert Tokens(operator=TOKEN).role_of("") is None


def test_a_signature_is_valid_for_one_path_and_a_limited_time() -> None:
    clock = Clock()
    signatures = Signatures(now=clock)
    signature = signatures.sign("/stream/desk.mjpg", session="name")
    assert signatures.session_of("/stream/desk.mjpg", signature) == "name"
    assert signatures.session_of("/stream/door.mjpg", signature) is None
    assert Signatures(now=clock).session_of("/stream/desk.mjpg", signature) is None
    clock.now += SIGNED_S
    assert signatures.session_of("/stream/desk.mjpg", signature) is None


def test_neither_time_nor_session_of_a_signature_can_be_changed() -> None:
    signatures = Signatures()
    until, session, mac = signatures.sign("/stream/desk.mjpg", session="name").split(".")
    for value in (f"{int(until) + 1}.{session}.{mac}", f"{until}..{mac}", f"{until}.other.{mac}"):
        assert signatures.session_of("/stream/desk.mjpg", value) is None


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "1", "9" * 400 + "..x", "99999999999..", "99999999999..é", "²3..a", "-1..a"],
)
def test_other_strings_are_not_signatures(value: str) -> None:
    assert Signatures().session_of("/stream/desk.mjpg", value) is None


def test_wrong_tokens_are_limited_by_address_and_forgotten_after_a_minute():
    clock = Clock()
    attempts = Attempts(3, now=clock)
    for _ in range(3):
        assert attempts.wait_s("10.0.0.1") == 0
        attempts.failed("10.0.0.1")
        clock.now += 1
    assert attempts.wait_s("10.0.0.1") == pytest.approx(57)
    assert attempts.wait_s("10.0.0.2") == 0
    clock.now += 57
    assert attempts.wait_s("10.0.0.1") == 0


def test_all_addresses_of_an_ipv6_network_are_one_visitor():
    attempts = Attempts(1, now=Clock())
    attempts.failed("2001:db8::1")
    assert attempts.wait_s("2001:db8::ffff:2") > 0
    assert attempts.wait_s("2001:db8:0:1::1") == 0
    attempts.failed("::ffff:10.0.0.1")
    assert attempts.wait_s("10.0.0.1") > 0


def admission() -> Admission:
    return Admission("guests", most=12, most_per_address=2, status=503, code="full")


def test_connections_are_limited_in_all_and_by_address() -> None:
    guests = admission()
    one = Client("10.0.0.1")
    with guests.admit(one), guests.admit(one):
        with pytest.raises(Full, match="from this address"), guests.admit(one):
            pass
        for n in range(10):
            guests.enter(Client(f"10.0.1.{n}"))
        with pytest.raises(Full) as refusal, guests.admit(Client("10.0.0.2")):
            pass
        assert (refusal.value.status, refusal.value.code) == (503, "full")
    assert guests.inside == 10


def test_connections_from_one_address_are_limited_by_session() -> None:
    guests = admission()
    for name in "abcd":
        for _ in range(2):
            guests.enter(Client("10.0.0.1", session=name))
        with pytest.raises(Full, match="from this session"):
            guests.enter(Client("10.0.0.1", session=name))
    with pytest.raises(Full, match="from this address"):
        guests.enter(Client("10.0.0.1", session="e"))
    guests.enter(Client("10.0.0.1"))
    guests.enter(Client("10.0.0.2", session="e"))


def test_connections_of_a_proxy_count_only_towards_the_total() -> None:
    guests = admission()
    places = [guests.enter(Client("10.0.0.1", shared=True)) for _ in range(12)]
    with pytest.raises(Full):
        guests.enter(Client("10.0.0.1", shared=True))
    for place in places:
        guests.leave(place)
    assert guests.inside == 0


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LocalHost.:80", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "127.9.9.9", True),
        ("127.0.0.1", "viewer.example:443", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "192.168.1.7", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "localhost:80:80", False),
        ("127.0.0.1", "user@localhost", False),
        ("0.0.0.0", "192.168.1.7:8080", True),
        ("0.0.0.0", "[2001:db8::7]", True),
        ("0.0.0.0", "evil.example", False),
        ("studio.local", "studio.local:8080", True),
    ],
)
def test_only_known_host_names_are_answered(bound: str, host: str, allowed: bool):
    settings = Settings(sources=(), host=bound, allowed_hosts=("viewer.example",))
    assert HostNames(settings).allows(host) is allowed
