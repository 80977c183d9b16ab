"""A web server on this machine that hands out videos, well and badly, and receives webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request that was received, with its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def signed_with(self, secret: str) -> bool:
        """Whether it is a webhook signed with that key, now."""
        number, sent = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        message = f"{number}.{sent}.".encode() + self.body
        signature = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        now = abs(int(sent) - time.time()) < 120
        return now and self.headers["webhook-signature"] == f"v3,{signature}"


@dataclass
class VideoHost:
    """What is served and what was received.

    Attributes:
        files: content by path.
        handlers: called instead, by path.
        delay: seconds before an answer.
        answer: status that POST requests get.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    handlers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    delay: float = 0.0
    answer: int = 200
    received: list[Received] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """As ``MMAUDIO_GATEWAY_ALLOW_HOSTS`` takes it."""
        return self.url.partition("://")[2]

    @contextmanager
    def holding(self, path: str) -> Iterator[None]:
        """Whoever GETs ``path`` waits until the block ends, and then gets a 404."""
        ended = threading.Event()

        def hold(handler: BaseHTTPRequestHandler) -> None:
            ended.wait(120)
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self.handlers[path] = hold
        try:
            yield
        finally:
            ended.set()

    def wait_for(self, count: int, path: str = "", timeout: float = 60.0) -> list[Received]:
        """The POST requests whose path starts with ``path``, at least ``count`` of them."""
        deadline = time.monotonic() + timeout
        while True:
            found = [item for item in self.received if item.path.startswith(path)]
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"received {found} in {timeout:g} s, expected {count}")
            time.sleep(0.05)


@contextmanager
def video_host(context: ssl.SSLContext | None = None) -> Iterator[VideoHost]:
    """Serve on a free port of 127.0.0.1, over TLS with ``context``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            host.gets.append(path)
            time.sleep(host.delay)
            if path in host.handlers:
                host.handlers[path](self)
                return
            content = host.files.get(path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            host.received.append(Received(self.path, dict(self.headers), body))
            self.send_response(host.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    host = VideoHost(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
