"""Client of a running ComfyUI: HTTP requests and the events on its websocket."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import websocket

_HTTP_SECONDS = 60
_RUN_SECONDS = 600
_ENDS = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}
Prompt = Mapping[str, Mapping[str, Any]]


class PromptRejectedError(Exception):
    """ComfyUI refused a prompt before running it.

    Attributes:
        node_errors: ``class_type`` and ``errors`` by node id.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        lines = [str(body.get("error", {}).get("message", body))]
        for node, rejected in body.get("node_errors", {}).items():
            for error in rejected["errors"]:
                where = f"node {node} ({rejected['class_type']})"
                lines.append(f"{where}: {error['message']}: {error['details']}")
        super().__init__("\n".join(lines))
        self.node_errors: dict[str, dict[str, Any]] = body.get("node_errors") or {}


@dataclass(frozen=True, kw_only=True)
class Event:
    """A websocket message.

    Attributes:
        kind: ComfyUI's name (executing, progress, executed, execution_error, ...).
    """

    kind: str
    data: dict[str, Any]

    @classmethod
    def parse(cls, message: str | bytes) -> Event | None:
        """Decode a websocket message; None for binary ones, such as preview images."""
        if isinstance(message, bytes):
            return None
        decoded = json.loads(message)
        return cls(kind=decoded["type"], data=decoded.get("data") or {})


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a prompt ended.

    Attributes:
        status: success, error or interrupted.
        outputs: UI outputs by node id.
        error: data of the final event, unless it is a success.
    """

    status: str
    outputs: dict[str, dict[str, Any]]
    error: dict[str, Any] | None
    events: tuple[Event, ...]

    @property
    def message(self) -> str:
        """Text of the error, or an empty string."""
        return str((self.error or {}).get("exception_message", "")).strip()

    def files(self) -> list[dict[str, str]]:
        """Saved and previewed files: ``filename``, ``subfolder`` and ``type``, in node order."""
        return [
            item
            for output in self.outputs.values()
            for items in output.values()
            for item in items
            if isinstance(item, dict) and "filename" in item
        ]


class Execution:
    """A queued prompt; ``events`` grows while it is followed."""

    def __init__(self, client: ComfyClient, socket: websocket.WebSocket, prompt_id: str) -> None:
        self.prompt_id = prompt_id
        self.events: list[Event] = []
        self._client = client
        self._socket = socket

    def follow(self, timeout: float = _RUN_SECONDS) -> Iterator[Event]:
        """Yield events as they arrive, until the prompt is done and its history is written.

        Raises:
            TimeoutError: the prompt was not done within ``timeout`` seconds.
            ConnectionError: the server is gone.
        """
        deadline = time.monotonic() + timeout
        try:
            while True:
                self._socket.settimeout(max(0.01, deadline - time.monotonic()))
                event = Event.parse(self._socket.recv())
                if event is None or event.data.get("prompt_id", self.prompt_id) != self.prompt_id:
                    continue
                self.events.append(event)
                yield event
                if event.kind == "executing" and event.data["node"] is None:
                    return
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError(f"the prompt was not done within {timeout:g} s") from error
        except websocket.WebSocketException as error:
            raise ConnectionError(f"lost the connection to ComfyUI: {error}") from error
        finally:
            self._socket.close()

    def result(self, timeout: float = _RUN_SECONDS) -> Result:
        """Follow the prompt to its end, unless that has been done. Raises as ``follow``."""
        last = self._last_event()
        if last is None:
            for _ in self.follow(timeout):
                pass
            last = self._last_event()
        assert last is not None
        status = _ENDS[last.kind]
        return Result(
            status=status,
            outputs=self._client.history(self.prompt_id)["outputs"],
            error=None if status == "success" else last.data,
            events=tuple(self.events),
        )

    def _last_event(self) -> Event | None:
        return next((event for event in reversed(self.events) if event.kind in _ENDS), None)


class ComfyClient:
    """A ComfyUI at ``url``, such as ``http://127.0.0.1:8188``.

    Args:
        authority: certificate that an https server's own is signed with, unless it is a public one.
    """

    def __init__(self, url: str, authority: Path | None = None) -> None:
        self.url = url
        self._session = requests.Session()
        self._tls: dict[str, str] = {}
        if authority is not None:
            self._session.verify = str(authority)
            self._tls["ca_certs"] = str(authority)
        self._session.trust_env = False  # no proxy between two processes on one machine

    def system_stats(self) -> dict[str, Any]:
        return self._get("/system_stats").json()

    def object_info(self, node: str = "") -> dict[str, Any]:
        """Interfaces by node id: of every node, or of one."""
        return self._get(f"/object_info/{node}" if node else "/object_info").json()

    def extensions(self) -> list[str]:
        """Addresses of the scripts that the page loads."""
        return self._get("/extensions").json()

    def templates(self) -> dict[str, list[str]]:
        """Names of the workflow templates, by pack."""
        return self._get("/workflow_templates").json()

    def blueprints(self) -> list[dict[str, Any]]:
        """The subgraph blueprints, without their graphs."""
        return list(self._get("/global_subgraphs").json().values())

    def submit(self, prompt: Prompt) -> Execution:
        """Queue an API prompt.

        Raises:
            PromptRejectedError: the prompt is invalid.
        """
        client_id = uuid.uuid4().hex
        # connect first, or the first events are lost
        socket = websocket.create_connection(
            f"{self.url.replace('http', 'ws', 1)}/ws?clientId={client_id}",
            timeout=_HTTP_SECONDS,
            sslopt=self._tls,
            http_no_proxy=["*"],
        )
        answer = self._post("/prompt", {"prompt": prompt, "client_id": client_id})
        if not answer.ok:
            socket.close()
            raise PromptRejectedError(answer.json())
        return Execution(self, socket, answer.json()["prompt_id"])

    def run(self, prompt: Prompt, timeout: float = _RUN_SECONDS) -> Result:
        """Queue an API prompt and wait until it succeeds or fails."""
        return self.submit(prompt).result(timeout)

    def view(self, file: Mapping[str, str]) -> bytes:
        """Content of one of ``Result.files()``."""
        params = {key: file[key] for key in ("filename", "subfolder", "type")}
        return self._get("/view", params).content

    def history(self, prompt_id: str) -> dict[str, Any]:
        return self._get(f"/history/{prompt_id}").json()[prompt_id]

    def interrupt(self) -> None:
        """Cancel the running prompt."""
        self._post("/interrupt", {}).raise_for_status()

    def free(self) -> None:
        """Unload every model and drop cached outputs."""
        self._post("/free", {"unload_models": True, "free_memory": True}).raise_for_status()

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> requests.Response:
        answer = self._session.get(self.url + path, params=params, timeout=_HTTP_SECONDS)
        answer.raise_for_status()
        return answer

    def _post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        return self._session.post(self.url + path, json=body, timeout=_HTTP_SECONDS)
