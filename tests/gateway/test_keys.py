"""Who is let in, and how guessing is slowed down."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from tests.pack import load_pack_module

module = load_pack_module("gateway.keys")
errors = load_pack_module("gateway.errors")
gateway = load_pack_module("gateway.gateway")
Settings = load_pack_module("gateway.settings").Settings
Keys, owner_of = module.Keys, module.owner_of
UnauthorizedError, TooManyError = errors.UnauthorizedError, errors.TooManyError
HOME, AWAY = "10.0.0.1", "203.0.113.9"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> Any:
    return Keys(frozenset({"anna", "bert"}), clock)


def guess(keys: Any, times: int, address: str = AWAY) -> None:
    for number in range(times):
        with pytest.raises(UnauthorizedError):
            keys.owner(f"guess-{number}", address)


def test_an_owner_a_key(keys: Any) -> None:
    assert keys.owner("anna", HOME) == keys.owner("anna", AWAY) == owner_of("anna")
    assert keys.owner("bert", HOME) == owner_of("bert") != owner_of("anna")


def test_an_owner_does_not_tell_the_key() -> None:
    assert len(owner_of("anna")) == 64 and "anna" not in owner_of("anna")


@pytest.mark.parametrize("key", ["", "ann", "annaa", "Anna", " anna", "anna,bert", "\udcff", "ä"])
def test_wrong_keys(keys: Any, key: str) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        keys.owner(key, HOME)
    assert "got a wrong key; expected one of the server's keys" in str(caught.value)
    assert not key.strip() or key not in str(caught.value).replace("a wrong", "")


def test_no_key(keys: Any) -> None:
    for _ in range(50):  # asking without a key guesses nothing
        with pytest.raises(UnauthorizedError, match="got no key"):
            keys.owner(None, HOME)
    assert keys.owner("anna", HOME)


@pytest.mark.parametrize("key", [None, "", "anything"])
def test_where_there_are_no_keys_everyone_is_one(key: str | None) -> None:
    assert Keys(None).owner(key, HOME) == module.ANYONE


def test_ten_wrong_keys_a_minute(keys: Any, clock: Clock) -> None:
    guess(keys, 10)
    for key in ("guess", "anna"):  # a right guess tells no more than a wrong one
        with pytest.raises(TooManyError) as caught:
            keys.owner(key, AWAY)
        assert caught.value.headers["Retry-After"] == "60"
    clock.now += 59.5
    with pytest.raises(TooManyError) as caught:
        keys.owner("anna", AWAY)
    assert caught.value.headers["Retry-After"] == "1"
    clock.now += 1
    assert keys.owner("anna", AWAY) == owner_of("anna")


def test_waiting_as_long_as_told_is_enough(keys: Any, clock: Clock) -> None:
    guess(keys, 10)
    clock.now += 29.7
    with pytest.raises(TooManyError) as caught:
        keys.owner("anna", AWAY)
    clock.now += int(caught.value.headers["Retry-After"])
    assert keys.owner("anna", AWAY)


def test_refused_guesses_do_not_prolong_the_wait(keys: Any, clock: Clock) -> None:
    guess(keys, 10)
    for _ in range(30):
        clock.now += 2
        if clock.now < 1060:
            with pytest.raises(TooManyError):
                keys.owner("guess", AWAY)
    assert keys.owner("anna", AWAY)


def test_guesses_from_elsewhere_lock_nobody_out(keys: Any) -> None:
    guess(keys, 10, AWAY)
    assert keys.owner("anna", HOME)


def test_who_was_let_in_before_stays_in(keys: Any) -> None:
    """Behind a reverse proxy everyone has one address."""
    keys.owner("anna", HOME)
    guess(keys, 10, HOME)
    assert keys.owner("anna", HOME)
    with pytest.raises(TooManyError):
        keys.owner("bert", HOME)


def test_what_is_remembered_has_an_end(keys: Any) -> None:
    for number in range(module._ADDRESSES + 5):
        keys.owner("anna", f"a-{number}")
        with pytest.raises(UnauthorizedError):
            keys.owner("guess", f"b-{number}")
    assert len(keys._wrong) == len(keys._seen) == module._ADDRESSES


def call(**headers: str) -> Any:
    """Who sends a request to a gateway without keys."""
    settings = Settings(keys=None, model="m")
    served = gateway.Gateway(settings, Keys(None), *[None] * 4)
    return served.caller(make_mocked_request("POST", "/mmaudio/a", headers=headers), None)


@pytest.mark.parametrize("host", ["127.0.0.1:8188", "localhost:8188", "[::1]:8188", "127.0.0.1"])
def test_without_keys_programs_and_pages_of_this_machine_are_let_in(host: str) -> None:
    assert call(Host=host).owner == module.ANYONE
    assert call(Host=host, Origin=f"http://{host}").owner == module.ANYONE


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:8188"},
        {"Host": "127.0.0.1:8188", "Origin": "null"},
        {"Host": "127.0.0.1:8188", "Origin": "https://a.example"},
        {"Host": "127.0.0.1:8188", "Origin": "http://127.0.0.1:8000"},
        {"Host": "127.0.0.1:8188", "Origin": ""},
    ],
)
def test_without_keys_pages_of_other_sites_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnauthorizedError):
        call(**headers)
