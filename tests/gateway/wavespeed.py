"""WaveSpeed's service, alone: how the tests ask it, and the shapes of its answers."""

from __future__ import annotations

from typing import Any

import requests

from .stand_in import KEY, StandIn

MODEL = "wavespeed-ai/mmaudio-v2"
VIDEO = "https://a.example/clip.mp4"


def call(
    stand_in: StandIn, method: str, path: str, key: str | None = KEY, **options: Any
) -> requests.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return requests.request(
        method, f"{stand_in.url}/wavespeed/api/v3/{path}", headers=headers, timeout=20, **options
    )


def submit(stand_in: StandIn, query: str = "", **inputs: Any) -> requests.Response:
    body = {"video": VIDEO, "prompt": "waves", **inputs}
    return call(stand_in, "POST", f"{MODEL}{query}", json=body)


def refusal(response: requests.Response, status: int) -> str:
    """The message of an error, whose shape is checked."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"code", "message", "data"}
    assert body["code"] == status and body["data"] is None
    assert isinstance(body["message"], str) and body["message"]
    return body["message"]


def prediction(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"code", "message", "data"}
    assert (body["code"], body["message"]) == (200, "success")
    return body["data"]
