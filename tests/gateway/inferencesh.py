"""inference.sh's service, alone: how the tests ask it, and the shape of its errors."""

from __future__ import annotations

import json
from typing import Any

import requests

from .stand_in import KEY

HEADERS = {"Authorization": f"Bearer {KEY}"}


def run(base: str, asked: Any, app: Any = "infsh/mmaudio", **others: Any) -> requests.Response:
    body = {"app": app, "input": asked, **others}
    return requests.post(f"{base}/apps/run", data=json.dumps(body), headers=HEADERS, timeout=10)


def check_problem(answer: requests.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert "/inferencesh/errors/" in body["type"]
    assert body["title"]
    for word in words:
        assert word in body["detail"]
