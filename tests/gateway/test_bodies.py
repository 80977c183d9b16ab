"""Bodies that are no JSON of any kind, sent to every service: each answers in its own shape."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests

from tests.gateway.stand_in import KEY, StandIn, serve
from tests.pack import load_pack_module

fields = load_pack_module("gateway.fields")


@dataclass(frozen=True)
class Creating:
    """A request that creates a job, and a field of its errors."""

    service: str
    path: str
    headers: dict[str, str]
    shape: str


CREATING = (
    Creating("fal", "/fal/queue/fal-ai/mmaudio-v2", {"Authorization": f"Key {KEY}"}, "detail"),
    Creating(
        "wavespeed",
        "/wavespeed/api/v3/wavespeed-ai/mmaudio-v2",
        {"Authorization": f"Bearer {KEY}"},
        "code",
    ),
    Creating("eachlabs", "/eachlabs/v1/prediction/", {"X-API-Key": KEY}, "status"),
    Creating("inferencesh", "/inferencesh/apps/run", {"Authorization": f"Bearer {KEY}"}, "type"),
)


@pytest.fixture(params=CREATING, ids=lambda creating: creating.service)
def creating(request: pytest.FixtureRequest) -> Creating:
    return request.param


@pytest.fixture
def here(creating: Creating) -> Iterator[StandIn]:
    with serve(creating.service) as stand_in:
        yield stand_in


def test_a_body_that_is_wrongly_compressed(creating: Creating, here: StandIn) -> None:
    headers = creating.headers | {"Content-Encoding": "gzip"}
    answer = requests.post(here.url + creating.path, b"no gzip", headers=headers, timeout=30)
    assert answer.status_code == 400
    assert creating.shape in answer.json()


@contextmanager
def beginning(creating: Creating, here: StandIn) -> Iterator[socket.socket]:
    """A connection on which one of the 50 bytes of a body was sent."""
    url = urlsplit(here.url + creating.path)
    headers = creating.headers | {"Host": url.netloc, "Content-Length": "50"}
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    with socket.create_connection(("127.0.0.1", url.port or 0), timeout=10) as client:
        client.sendall("\r\n".join([*lines, "", "{"]).encode())
        yield client


def test_a_body_that_never_ends(
    creating: Creating, here: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "BODY_SECONDS", 0.2)
    with beginning(creating, here) as client:
        assert b" 400 " in client.recv(4096).splitlines()[0]


def test_a_client_that_leaves_within_its_body_is_no_fault_of_the_server(
    creating: Creating, here: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    with beginning(creating, here):
        requests.get(here.url + creating.path, headers=creating.headers, timeout=30)
    for _ in range(3):  # until the server has noticed
        requests.get(here.url + creating.path, headers=creating.headers, timeout=30)
    assert not [record for record in caplog.records if record.exc_info]
