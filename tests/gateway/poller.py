"""A client that creates jobs and asks for them until they end, for what no service differs in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import requests


class Poller:
    """Speaks Eachlabs' API, the shortest of all.

    Args:
        url: of the gateway.
        authority: certificate of an https gateway.
    """

    def __init__(self, url: str, key: str, authority: Path | None = None) -> None:
        self.base = f"{url}/eachlabs/v1/prediction"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-API-Key"] = key
        if authority is not None:
            self._session.verify = str(authority)

    def post(self, video: str, **inputs: Any) -> requests.Response:
        webhook = {
            key: inputs.pop(key) for key in ("webhook_url", "webhook_secret") & inputs.keys()
        }
        small = {"duration": 1, "num_steps": 4}
        body = {"model": "mmaudio", "input": small | {"video": video} | inputs, **webhook}
        return self._session.post(self.base, json=body, timeout=60)

    def create(self, video: str, **inputs: Any) -> str:
        """The new job's id."""
        answer = self.post(video, **inputs)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictionID"]

    def get(self, job_id: str) -> dict[str, Any]:
        answer = self._session.get(f"{self.base}/{job_id}", timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(
        self, job_id: str, timeout: float = 240, through_restart: bool = False
    ) -> dict[str, Any]:
        """The job's end."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                answer = self.get(job_id)
            except requests.ConnectionError:
                if not through_restart:
                    raise
            else:
                if answer["status"] != "processing":
                    return answer
            time.sleep(0.25)
        raise AssertionError(f"{job_id} did not end in {timeout:g} s")
