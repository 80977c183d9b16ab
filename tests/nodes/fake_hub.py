"""A local Hugging Face hub that misbehaves on demand."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(kw_only=True)
class FakeHub:
    """Content by ``repo/filename``, the ways to misbehave, and a log of the requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    cut_after: int | None = None  # bytes of each answer, after which the connection drops
    stall_after: int | None = None  # bytes of each answer, after which the connection hangs
    answers: int | None = None  # GETs that get an answer; later ones get none
    spoiled: bool = False  # sends zeros instead of the content
    ranges: bool = True
    large_files: bool = True  # announces a sha256, as for files in LFS
    lengths: bool = True  # announces how long a file is
    slow: float = 0.0  # seconds before each half of an answer
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    logins: set[str | None] = field(default_factory=set)
    endpoint: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def downloads(self) -> list[str | None]:
        """The Range header of each GET of a file."""
        gets = [(path, span) for method, path, span in self.requests if method == "GET"]
        return [span for path, span in gets if "/resolve/" in path]


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Run ``hub`` on a free port while the context is open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            span = self.headers.get("Range")
            hub.requests.append((self.command, self.path, span))
            if hub.answers is not None and len(hub.downloads) > hub.answers:
                self.close_connection = True
                return
            match = re.fullmatch(rf"/(.+)/resolve/(?:main|{COMMIT})/(.+)", self.path)
            content = hub.files.get(f"{match[1]}/{match[2]}") if match else None
            if match:
                hub.logins.add(self.headers.get("Authorization"))
            if hub.status != 200 or content is None:
                self.send_response(hub.status if hub.status != 200 else 404)
                self.send_header("X-Error-Code", "EntryNotFound" if hub.status == 200 else "Other")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(span.split("=")[1].rstrip("-")) if span and hub.ranges else 0
            self.send_response(206 if start else 200)
            if start:
                whole = len(content)
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            if hub.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            etag = hashlib.sha256 if hub.large_files else hashlib.sha1
            self.send_header("ETag", f'"{etag(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self._send(bytes(len(content) - start) if hub.spoiled else content[start:])

        def _send(self, body: bytes) -> None:
            limits = [n for n in (hub.cut_after, hub.stall_after) if n is not None]
            sent = body[: min(limits)] if limits else body
            try:
                for half in (sent[: len(sent) // 2], sent[len(sent) // 2 :]):
                    hub.released.wait(hub.slow)
                    self.wfile.write(half)
                if hub.stall_after is not None:
                    hub.released.wait(30)
            except OSError:
                pass  # the client closed the connection, as some tests want
            self.close_connection = len(sent) < len(body) or not hub.lengths

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
