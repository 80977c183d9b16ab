"""The gateway's variables: what each may be, and what is said of what it may not be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.pack import load_pack_module

settings = load_pack_module("gateway.settings")
Settings, SettingsError = settings.Settings, settings.SettingsError
LOOPBACK = ["127.0.0.1"]


def read(listen: list[str] | None = None, **variables: str) -> Any:
    """The settings where the gateway is on, with a key; names without their prefix."""
    values = {"KEYS": "key-of-anna"} | variables
    environment = {f"MMAUDIO_GATEWAY_{name}": value for name, value in values.items()}
    return Settings.read(
        {"PATH": "/bin", "MMAUDIO_GATEWAY": "1"} | environment, listen or LOOPBACK, "large_44k_v2"
    )


def refusal(listen: list[str] | None = None, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(listen, **variables)
    return str(caught.value)


def test_defaults() -> None:
    assert read() == Settings(
        keys=frozenset({"key-of-anna"}),
        model="large_44k_v2",
        allow_hosts=frozenset(),
        creates_per_minute=100,
        max_unfinished=10,
        public_url=None,
        retention=24 * 3600.0,
    )


def test_empty_is_unset() -> None:
    unset = dict.fromkeys(("MODEL", "ALLOW_HOSTS", "LIMITS", "PUBLIC_URL", "RETENTION"), " ")
    assert read(**unset) == read()


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off", " 0 "])
def test_off(value: str) -> None:
    environment = {"MMAUDIO_GATEWAY": value, "MMAUDIO_GATEWAY_LIMITS": "nonsense"}
    assert Settings.read(environment, LOOPBACK, "m") is None
    assert Settings.read({}, LOOPBACK, "m") is None


@pytest.mark.parametrize("value", ["1", "true", "Yes", "ON", " 1 "])
def test_on(value: str) -> None:
    environment = {"MMAUDIO_GATEWAY": value, "MMAUDIO_GATEWAY_KEYS": "a"}
    assert Settings.read(environment, LOOPBACK, "m").model == "m"


def test_neither_on_nor_off() -> None:
    with pytest.raises(SettingsError, match=r"^MMAUDIO_GATEWAY: got '2'; expected 1 "):
        Settings.read({"MMAUDIO_GATEWAY": "2"}, LOOPBACK, "m")


def test_a_variable_that_is_none_of_ours_is_named() -> None:
    assert refusal(LIMIT="5/5").startswith(
        "MMAUDIO_GATEWAY_LIMIT: there is no such variable; expected MMAUDIO_GATEWAY_KEYS, "
    )


# keys


@pytest.mark.parametrize("text", ["a,b", " a , b ", "a\nb", "a,,b,", "a\r\nb\r\n"])
def test_keys(text: str) -> None:
    assert read(KEYS=text).keys == {"a", "b"}


@pytest.mark.parametrize(
    "content",
    [
        b"a\nb\n",
        b"\na\n\nb",
        b"a,b",
        b"a\r\nb\r\n",
        b"\xef\xbb\xbfa\nb\n",
        "a\r\nb\r\n".encode("utf-16"),
    ],
)
def test_keys_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = tmp_path / "my keys.txt"
    path.write_bytes(content)
    assert read(KEYS=str(path)).keys == {"a", "b"}
    monkeypatch.chdir(tmp_path)
    assert read(KEYS="my keys.txt").keys == {"a", "b"}
    assert read(KEYS="./my keys.txt").keys == {"a", "b"}
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert read(KEYS="~/my keys.txt").keys == {"a", "b"}


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere/keys",
        "./keys",
        "../keys",
        "~/keys",
        "C:\\keys",
        "C:/keys",
        "~no-one/keys",
        "keys.txt",
        "my keys.TXT",
        "secrets/gateway.keys",
    ],
)
def test_a_file_of_keys_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    text = refusal(KEYS=path)
    assert text.startswith("MMAUDIO_GATEWAY_KEYS: ") and "cannot be read" in text
    assert path not in text  # it may be a key


@pytest.mark.parametrize("content", [b"\xff\xfea\x00\x00", b"\xff"])
def test_a_file_of_keys_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    assert refusal(KEYS=str(path)).startswith("MMAUDIO_GATEWAY_KEYS: ")


@pytest.mark.parametrize("text", ["", " ", ",", "\n"])
def test_no_keys(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    for keys in (text, str(tmp_path / "keys")):
        told = refusal(KEYS=keys)
        assert told.startswith("MMAUDIO_GATEWAY_KEYS: got no key; expected ")
        assert "'none'" in told


@pytest.mark.parametrize("key", ["anna secret", "schlüssel", "a\x07b", "# my keys", "a\tb"])
def test_keys_that_no_client_can_send(tmp_path: Path, key: str) -> None:
    (tmp_path / "keys").write_text(f"good\n{key}\n", "utf-8")
    for keys in (f"good,{key}", str(tmp_path / "keys")):
        text = refusal(KEYS=keys)
        assert text.startswith("MMAUDIO_GATEWAY_KEYS: got a key with ")
        assert key not in text


def test_a_long_key_is_no_path() -> None:
    assert read(KEYS="k" * 5000).keys == {"k" * 5000}


@pytest.mark.parametrize("text", ["none", "None", " NONE "])
@pytest.mark.parametrize(
    "listen", [["127.0.0.1"], ["127.0.0.1", "::1"], ["127.8.0.1"], ["localhost"], ["[::1]"]]
)
def test_none_lets_everyone_of_this_machine_in(text: str, listen: list[str]) -> None:
    assert read(listen, KEYS=text).keys is None


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.168.1.5", "example.com", "::ffff:1.2.3.4"]
)
def test_none_needs_a_comfyui_on_loopback(address: str) -> None:
    text = refusal(["127.0.0.1", address], KEYS="none")
    assert text.startswith(f"MMAUDIO_GATEWAY_KEYS: got 'none' while ComfyUI listens on {address}")


@pytest.mark.parametrize("listen", ["", "127.0.0.1,", ",127.0.0.1", "0.0.0.0,::"])
def test_where_comfyui_listens(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    """ComfyUI makes an address of everything between commas; an empty one is every address."""
    gateway, arguments = load_pack_module("gateway"), SimpleNamespace(listen=listen)
    monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
    monkeypatch.setitem(sys.modules, "comfy.cli_args", SimpleNamespace(args=arguments))
    assert "while ComfyUI listens on " in refusal(gateway._listen(), KEYS="none")
    arguments.listen = "127.0.0.1,::1"
    assert read(gateway._listen(), KEYS="none").keys is None


def test_an_empty_address_is_told() -> None:
    assert "listens on every address: everyone" in refusal([""], KEYS="none")


def test_keys_may_be_asked_for_anywhere() -> None:
    assert read(["0.0.0.0"], KEYS="a").keys == {"a"}


# the others


def test_model() -> None:
    assert read(MODEL="small_16k").model == "small_16k"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("nas.local", {"nas.local"}),
        ("NAS.local:8080, 10.0.0.5", {"nas.local:8080", "10.0.0.5"}),
        ("[fd00::5]:8080 [::1]", {"[fd00::5]:8080", "[::1]"}),
    ],
)
def test_hosts(text: str, hosts: set[str]) -> None:
    assert read(ALLOW_HOSTS=text).allow_hosts == hosts


@pytest.mark.parametrize(
    "host",
    ["http://nas.local", "nas.local/videos", "anna@nas", "fd00::5", "nas:port", "nas:99999", "*"],
)
def test_wrong_hosts(host: str) -> None:
    text = refusal(ALLOW_HOSTS=f"good.example.com,{host}")
    assert text.startswith(f"MMAUDIO_GATEWAY_ALLOW_HOSTS: got the host '{host}'; expected ")


@pytest.mark.parametrize(
    ("text", "minute", "unfinished"), [("1/1", 1, 1), ("5 / 2", 5, 2), ("100000/50", 100_000, 50)]
)
def test_limits(text: str, minute: int, unfinished: int) -> None:
    read_ = read(LIMITS=text)
    assert (read_.creates_per_minute, read_.max_unfinished) == (minute, unfinished)


@pytest.mark.parametrize("text", ["100", "0/10", "100/0", "-1/5", "1.5/5", "a/b", "1/2/3", "/"])
def test_wrong_limits(text: str) -> None:
    assert refusal(LIMITS=text).startswith(f"MMAUDIO_GATEWAY_LIMITS: got '{text}'; expected jobs ")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://sound.example.com/mmaudio", "https://sound.example.com/mmaudio"),
        ("http://10.0.0.5:8000/comfy/mmaudio/", "http://10.0.0.5:8000/comfy/mmaudio"),
        ("https://[::1]:8000/mmaudio", "https://[::1]:8000/mmaudio"),
    ],
)
def test_public_url(text: str, url: str) -> None:
    assert read(PUBLIC_URL=text).public_url == url


@pytest.mark.parametrize(
    "text",
    [
        "sound.example.com/mmaudio",
        "ftp://sound.example.com/mmaudio",
        "https:///mmaudio",
        "https://sound.example.com",
        "https://sound.example.com/mmaudio2",
        "https://sound.example.com/mmaudio?a=1",
        "https://sound.example.com/mmaudio#a",
        "https://sound.example.com:99999/mmaudio",
        "https://sound example.com/mmaudio",
        "https://[::1/mmaudio",
    ],
)
def test_wrong_public_urls(text: str) -> None:
    told = refusal(PUBLIC_URL=text)
    assert told.startswith(f"MMAUDIO_GATEWAY_PUBLIC_URL: got '{text}'; expected where clients ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24", 86_400), ("90m", 5400), ("7d", 604_800), ("0.5h", 1800), ("60s", 60), ("1 H", 3600)],
)
def test_retention(text: str, seconds: float) -> None:
    assert read(RETENTION=text).retention == seconds


@pytest.mark.parametrize("text", ["0", "59s", "-1h", "1w", "forever", "1e3", "nan", "0.01"])
def test_wrong_retention(text: str) -> None:
    told = refusal(RETENTION=text)
    assert told.startswith(f"MMAUDIO_GATEWAY_RETENTION: got '{text}'; expected hours, ")
