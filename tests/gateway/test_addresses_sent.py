"""Whatever address a client sends, of a video or a webhook, is answered and reaches nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pack import load_pack_module

from .fake_comfy import FakeComfy
from .servers import StubResolver
from .stand_in import KEY, listen

app_module = load_pack_module("gateway.app")
jobs_module = load_pack_module("gateway.jobs")
outgoing = load_pack_module("gateway.outgoing")
settings_module = load_pack_module("gateway.settings")

# No name resolves here, and no address that is public can be spelled with these.
PIECES = (
    *("http://", "https://", "HTTPS:", "ftp://", "file:///", "//", "/", "data:", ";base64,", ","),
    *("127.0.0.1", "0", "[::1]", "[", "]", "a.example", "localhost", ":80", ":", ":99999", "@"),
    *("/mmaudio/files/", "A" * 43, "/clip.mp4", "?", "#", "%", "%00", "%2F", "\\", "\0", "\r\n"),
    *(" ", "\ud800", "é", "٣", "。", "a" * 300, ".", "..", "xn--", "-", "_"),
)
addresses = st.lists(st.sampled_from(PIECES), max_size=7).map("".join) | st.text(max_size=30)
BROKEN = ("http://[", "https://[::1]@", "http://a.example:port/", "https://a。example/\0")
SMALL = settings(max_examples=150, deadline=None)
Send = Callable[[str, str, str | None], requests.Response]


class Unconnected(outgoing.Outgoing):
    """Checks as ever, and connects to nothing."""

    def __init__(self, allow_hosts: frozenset[str]) -> None:
        super().__init__(allow_hosts, StubResolver())

    async def open(self, url: str) -> Any:
        raise AssertionError(f"{url!r} was to be fetched")

    async def post(self, url: str, *_: Any) -> int:
        raise AssertionError(f"{url!r} was to be posted to")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gateway")
    values = settings_module.Settings(
        keys=frozenset({KEY}), model="small_16k", creates_per_minute=10**9, max_unfinished=10**9
    )
    folders = jobs_module.Folders(folder / "input", folder / "output")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "Outgoing", Unconnected)
        app = app_module.build_app(values, FakeComfy(folder / "output"), folders, folder / "user")
    with listen(app) as (address, _):
        yield address


def wavespeed(url: str, video: str, webhook: str | None) -> requests.Response:
    query = "" if webhook is None else f"?webhook={quote(webhook, errors='replace')}"
    return requests.post(
        f"{url}/wavespeed/api/v3/wavespeed-ai/mmaudio-v2{query}",
        data=json.dumps({"video": video, "prompt": ""}),
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=20,
    )


def eachlabs(url: str, video: str, webhook: str | None) -> requests.Response:
    body = {"model": "mmaudio", "input": {"video": video}, "webhook_url": webhook}
    return requests.post(
        f"{url}/eachlabs/v1/prediction",
        data=json.dumps(body),
        headers={"X-API-Key": KEY},
        timeout=20,
    )


def inferencesh(url: str, video: str, webhook: str | None) -> requests.Response:
    body: dict[str, Any] = {"app": "infsh/mmaudio"}
    body["input"] = {"prompt": "waves", "video_input": video}
    if webhook is not None:
        body["webhook"] = webhook
    return requests.post(
        f"{url}/inferencesh/apps/run",
        data=json.dumps(body),
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=20,
    )


def fal(app: str) -> Send:
    def send(url: str, video: str, webhook: str | None) -> requests.Response:
        query = "" if webhook is None else f"?fal_webhook={quote(webhook, errors='replace')}"
        return requests.post(
            f"{url}/fal/queue/{app}{query}",
            data=json.dumps({"video_url": video, "prompt": ""}),
            headers={"Authorization": f"Key {KEY}"},
            timeout=20,
        )

    return send


SERVICES: dict[str, tuple[Send, int]] = {
    "fal": (fal("fal-ai/mmaudio-v2"), 422),
    "sonilo": (fal("sonilo/v1.1/video-to-music"), 422),
    "wavespeed": (wavespeed, 400),
    "eachlabs": (eachlabs, 400),
    "inferencesh": (inferencesh, 400),
}


@pytest.mark.parametrize("service", SERVICES)
@SMALL
@given(video=addresses)
def test_any_video_is_answered(url: str, service: str, video: str) -> None:
    send, status = SERVICES[service]
    response = send(url, video, None)
    assert response.status_code == status, (video, response.text)
    assert "video" in response.text


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("service", SERVICES)
def test_broken_addresses_are_answered(url: str, service: str, broken: str) -> None:
    send, status = SERVICES[service]
    assert send(url, broken, None).status_code == status
    assert send(url, "https://a.example/clip.mp4", broken).status_code == status


@pytest.mark.parametrize("service", SERVICES)
@SMALL
@given(webhook=addresses.filter(bool))
def test_any_webhook_is_answered(url: str, service: str, webhook: str) -> None:
    send, status = SERVICES[service]
    response = send(url, "https://a.example/clip.mp4", webhook)
    assert response.status_code == status, (webhook, response.text)
    assert "webhook" in response.text


def test_what_is_refused_is_not_logged_as_a_fault(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for send, _ in SERVICES.values():
        send(url, "http://127.0.0.1/", "http://[")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
