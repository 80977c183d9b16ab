"""What the owner of the server set, in environment variables."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .urls import AllowedHost

PREFIX = "MMAUDIO_GATEWAY"
NO_KEYS = "none"
_OFF = {"", "0", "false", "no", "off"}
_ON = {"1", "true", "yes", "on"}
_KEY = re.compile(r"[!-+\--~]+")  # printable ASCII but spaces and commas
_FILE = re.compile(r".*\.(txt|keys?|env|conf|cfg|ini|csv|json|ya?ml|toml)", re.IGNORECASE)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNITS = {"": 3600, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class SettingsError(Exception):
    """A variable is set to what it cannot be; the gateway does not start."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The gateway's settings.

    Attributes:
        keys: who may use it; None: everyone who reaches this machine's own loopback.
        model: as Load MMAudio Model takes it.
        allow_hosts: hosts, optionally with ``:port``, that are fetched from wherever they are.
        creates_per_minute: jobs that a key may create in a minute.
        max_unfinished: unfinished jobs that a key may have.
        public_url: start of every URL that clients get, up to and with ``/mmaudio``; None: as the
            client wrote it.
        retention: seconds for which results, uploads, fetched videos and jobs are kept.
    """

    keys: frozenset[str] | None
    model: str
    allow_hosts: frozenset[str] = frozenset()
    creates_per_minute: int = 100
    max_unfinished: int = 10
    public_url: str | None = None
    retention: float = 24 * 3600.0

    @classmethod
    def read(
        cls, environment: Mapping[str, str], listen: Sequence[str], default_model: str
    ) -> Settings | None:
        """The settings in ``environment``; None where the gateway is off.

        Args:
            listen: addresses that ComfyUI listens on; an empty one is every address.

        Raises:
            SettingsError: naming the variable, what it is, and what it may be.
        """
        values = {name: environment.get(_name(name), "").strip() for name in ("", *_READ)}
        if values[""].lower() in _OFF:
            return None
        if values[""].lower() not in _ON:
            raise _wrong("", values[""], "1 to serve the APIs, or nothing")
        for name in environment:
            if name.startswith(f"{PREFIX}_") and name.removeprefix(f"{PREFIX}_") not in _READ:
                expected = ", ".join(_name(known) for known in _READ)
                raise SettingsError(f"{name}: there is no such variable; expected {expected}.")
        limits = _limits(values["LIMITS"] or "100/10")
        return cls(
            keys=_keys(values["KEYS"], listen),
            model=values["MODEL"] or default_model,
            allow_hosts=_hosts(values["ALLOW_HOSTS"]),
            creates_per_minute=limits[0],
            max_unfinished=limits[1],
            public_url=_public_url(values["PUBLIC_URL"]),
            retention=_retention(values["RETENTION"] or "24h"),
        )


_READ = ("KEYS", "MODEL", "ALLOW_HOSTS", "LIMITS", "PUBLIC_URL", "RETENTION")


def _name(name: str) -> str:
    return f"{PREFIX}_{name}" if name else PREFIX


def _wrong(name: str, got: str, expected: str) -> SettingsError:
    return SettingsError(f"{_name(name)}: got {got!r}; expected {expected}.")


def _keys(text: str, listen: Sequence[str]) -> frozenset[str] | None:
    if text.lower() == NO_KEYS:
        far = [address or "every address" for address in listen if not is_loopback(address)]
        if far:
            raise SettingsError(
                f"{_name('KEYS')}: got {NO_KEYS!r} while ComfyUI listens on {', '.join(far)}: "
                "everyone there could use it. Set keys, or let ComfyUI listen on 127.0.0.1 only."
            )
        return None
    keys = _content(text) if _is_path(text) else text
    found = frozenset(key.strip() for key in re.split(r"[,\r\n]", keys) if key.strip())
    if not found:
        raise SettingsError(
            f"{_name('KEYS')}: got no key; expected keys (long random texts) with commas between "
            f"them, the path of a file of them, or {NO_KEYS!r} for a ComfyUI that listens on "
            "127.0.0.1 only."
        )
    if not all(_KEY.fullmatch(key) for key in found):
        raise SettingsError(
            f"{_name('KEYS')}: got a key with a space, or with what is not ASCII; expected keys "
            "with commas between them, or a file with a key a line and nothing else."
        )
    return found


def _is_path(text: str) -> bool:
    if text.startswith(("/", "~", "./", "../")) or text[1:3] in (":\\", ":/"):
        return True
    if _FILE.fullmatch(text):  # if it is not there, its name must not become a key
        return True
    try:
        return bool(text) and Path(text).is_file()
    except OSError:  # keys that are too long for a path
        return False


def _content(path: str) -> str:
    try:
        content = Path(path).expanduser().read_bytes()
        # Windows PowerShell writes UTF-16
        return content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8-sig")
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        # the path may be a key: it is not repeated
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SettingsError(
            f"{_name('KEYS')}: got what looks like the path of a file, which cannot be read "
            f"({reason}); expected keys with commas between them, or a file with a key a line."
        ) from None


def is_loopback(address: str) -> bool:
    """Whether an address, or ``localhost``, is this machine's own."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def _hosts(text: str) -> frozenset[str]:
    hosts = [host for host in re.split(r"[,\s]+", text.lower()) if host]
    for host in hosts:
        try:
            AllowedHost.read(host)
        except ValueError as error:
            raise SettingsError(f"{_name('ALLOW_HOSTS')}: {error}.") from None
    return frozenset(hosts)


def _limits(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})\s*/\s*(\d{1,9})", text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise _wrong(
            "LIMITS", text, "jobs a minute and unfinished jobs of a key, such as 100/10, at least 1"
        )
    return int(match[1]), int(match[2])


def _public_url(text: str) -> str | None:
    if not text:
        return None
    expected = "where clients reach the gateway, such as https://sound.example.com/mmaudio"
    try:
        parts = urlsplit(text)
        _ = parts.port
        if re.search(r"\s", text):
            raise ValueError
    except ValueError:
        raise _wrong("PUBLIC_URL", text, expected) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise _wrong("PUBLIC_URL", text, expected)
    if not parts.path.rstrip("/").endswith("/mmaudio"):
        raise _wrong("PUBLIC_URL", text, f"{expected}; its path ends with /mmaudio")
    return text.rstrip("/")


def _retention(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*([smhd]?)", text.lower())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds < 60:
        raise _wrong("RETENTION", text, "hours, or 90m, 24h, 7d; at least a minute")
    return seconds
