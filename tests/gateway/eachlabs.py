"""Eachlabs' service, alone: how the tests ask it, and the shapes of its answers."""

from __future__ import annotations

import json
from typing import Any

import requests

from .stand_in import KEY, StandIn

VIDEO = "https://a.example/clip.mp4"


def call(
    stand_in: StandIn, method: str, path: str, key: str | None = KEY, **options: Any
) -> requests.Response:
    headers = {} if key is None else {"X-API-Key": key}
    url = f"{stand_in.url}/eachlabs/v1/{path}"
    return requests.request(
        method, url, headers=headers, timeout=20, allow_redirects=False, **options
    )


def create(stand_in: StandIn, others: dict[str, Any] | None = None, **inputs: Any) -> Any:
    body = {"model": "mmaudio", "input": {"video": VIDEO, **inputs}, **(others or {})}
    return call(stand_in, "POST", "prediction/", data=json.dumps(body))


def refusal(response: requests.Response, status: int) -> dict[str, Any]:
    """An error, whose shape is checked."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"status", "message", "details"}
    assert body["status"] == "error"
    assert isinstance(body["message"], str) and body["message"]
    assert isinstance(body["details"], str) and body["details"]
    return body


def created(response: requests.Response) -> str:
    """The id of a new prediction."""
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"status", "message", "predictionID"}
    assert body["status"] == "success"
    assert body["message"] == "Prediction created successfully"
    return body["predictionID"]
