"""Eachlabs, as its page describes it; it has no client."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from .conftest import Served


@pytest.fixture
def base(served: Served) -> str:
    return f"{served.url}/eachlabs/v1"


def create(served: Served, key: str | None = None, **inputs: Any) -> requests.Response:
    body = {"model": "mmaudio", "input": {"video": served.secure_video_url, **inputs}}
    return requests.post(
        f"{served.url}/eachlabs/v1/prediction/",
        json=body,
        headers={"X-API-Key": key or served.key},
        timeout=30,
    )


def wait(served: Served, prediction: str, timeout: float = 120) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = requests.get(
            f"{served.url}/eachlabs/v1/prediction/{prediction}",
            headers={"X-API-Key": served.key},
            timeout=30,
        ).json()
        if answer["status"] != "processing":
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{prediction} did not end")


def test_smoke(served: Served) -> None:
    answer = create(served, duration=1, num_steps=4)
    print(answer.status_code, answer.text)
    got = wait(served, answer.json()["predictionID"])
    print(got)
    assert got["status"] == "success"
