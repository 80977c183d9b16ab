"""Which URLs may be requested, as far as their text tells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yarl import URL

from .addresses import read_literal

MAX_LETTERS = 8192
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.IGNORECASE)


class OutgoingError(Exception):
    """A request that got no whole answer.

    The text is for the user. None of the other server's own words are in it.
    """


class UrlRefusedError(OutgoingError):
    """A URL that may not be requested."""


class HostNotFoundError(UrlRefusedError):
    """A URL whose host's name does not resolve, maybe only for now."""


@dataclass(frozen=True)
class AllowedHost:
    """A host that may be requested though it is not public.

    Attributes:
        host: as yarl reads it out of a URL, in lower case; an IPv6 address without brackets.
        port: None for all that are allowed of public hosts.
    """

    host: str
    port: int | None

    @classmethod
    def read(cls, text: str) -> AllowedHost:
        """From ``host``, ``host:port``, ``[IPv6]`` or ``[IPv6]:port``.

        Raises:
            ValueError: if it is none of these.
        """
        try:
            url = parse_url(f"http://{text}")
            host = _read_host(url)
            if url == URL.build(scheme="http", host=host, port=url.explicit_port, path="/"):
                return cls(host, url.explicit_port)
        except (ValueError, UrlRefusedError):
            pass
        raise ValueError(
            f"got the host {text!r}; expected it as in a URL, such as nas.local, nas.local:8080,"
            " 192.168.1.5 or [fd00::5]:8080"
        )


@dataclass(frozen=True)
class Target:
    """A URL that may be requested.

    Attributes:
        url: as aiohttp takes it, so that both read the same host out of it.
        host, port: of the server; the host as in ``url.raw_host``.
        trusted: an allowed host: its addresses need not be public.
        literal: the host is an address, which no resolver will see.
    """

    url: URL
    host: str
    port: int
    trusted: bool
    literal: bool


def read_url(text: str, allowed: frozenset[AllowedHost]) -> Target:
    """Read a URL.

    Raises:
        UrlRefusedError: if it is not http or https, holds credentials, or its port is not allowed.
            Which addresses its host has, and whether they are public, is not looked at here.
    """
    if len(text) > MAX_LETTERS:
        raise UrlRefusedError(
            f"got a URL of {len(text)} characters; expected at most {MAX_LETTERS}. Upload the file."
        )
    try:
        url = parse_url(text)
        host, port = _read_host(url), url.port
    except ValueError as error:  # of its port, its brackets, or its international name
        raise UrlRefusedError(
            "got a URL that cannot be read; expected http:// or https://, a host and a path"
        ) from error
    if url.raw_user is not None or url.raw_password is not None:
        raise UrlRefusedError(
            "got a URL with a user name or password; expected none."
            " Give one that is open for a while, such as a presigned URL."
        )
    if port is None:
        raise UrlRefusedError("got a URL without a port; expected http:// or https://")
    named = AllowedHost(host, port) in allowed
    if not named and port not in (80, 443) and port <= 1023:
        raise UrlRefusedError(f"got a URL with port {port}; expected 80, 443, or above 1023")
    trusted = named or AllowedHost(host, None) in allowed
    return Target(url, host, port, trusted=trusted, literal=read_literal(host) is not None)


def parse_url(text: str) -> URL:
    """A URL, unchecked.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        return URL(text)
    except IndexError as error:  # yarl 1.25, of http://[::1]@
        raise ValueError("got nothing after the @") from error


def not_public(host: str) -> UrlRefusedError:
    """The error for a host that has an address that is not public."""
    return UrlRefusedError(
        f"got a URL whose host, {host}, is not public; expected a server on the internet. The owner"
        " of this ComfyUI can allow the host with MMAUDIO_GATEWAY_ALLOW_HOSTS."
    )


def _read_host(url: URL) -> str:
    if url.scheme not in ("http", "https"):
        raise UrlRefusedError(
            "got a URL that is neither http nor https; expected one of these."
            " Upload the file, or put it on a web server."
        )
    host = url.raw_host
    if host is None:
        raise UrlRefusedError("got a URL without a host; expected one such as https://a.example/b")
    try:
        literal = read_literal(host)
    except ValueError as error:
        raise UrlRefusedError(
            "got a URL whose host is an IP address in an unusual spelling; expected a name, or an"
            " address such as 203.0.113.5 or [2001:db8::5]"
        ) from error
    if literal is None and not _NAME.fullmatch(host):
        raise UrlRefusedError("got a URL whose host is not a name; expected one such as a.example")
    return host
