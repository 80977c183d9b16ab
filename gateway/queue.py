"""ComfyUI's own queue: prompts go in by its own handler, and are followed to their end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .graph import WEIGHTS, Graph

log = logging.getLogger(__name__)

CLIENT_ID = "mmaudio-gateway"
_WATCH_SECONDS = 1.0
_MISSING = 3  # looks in a row
_ENDS = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}


class End(str, Enum):
    """How a prompt ended."""

    SUCCESS = "success"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    CLEARED = "cleared"  # taken out of the queue before it ran


class RejectedError(Exception):
    """ComfyUI refused a prompt.

    Attributes:
        body: of its answer: ``error`` and ``node_errors``.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(json.dumps(body)[:2000])
        self.body = body


def _new_future() -> asyncio.Future[End]:
    return asyncio.get_running_loop().create_future()


@dataclass(kw_only=True, eq=False)
class Ticket:
    """A prompt in ComfyUI's queue.

    Attributes:
        on_change: called when something below has changed.
        position: prompts before it, the running one included.
        progress: 0 to 1; never goes back.
        outputs: what output nodes told, by node id.
        error: data of ``execution_error``.
        end: set once.
    """

    id: str
    graph: Graph
    on_change: Callable[[Ticket], None]
    running: bool = False
    position: int = 0
    progress: float = 0.0
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    end: asyncio.Future[End] = field(default_factory=_new_future)
    _done: dict[str, float] = field(default_factory=dict)
    missing: int = 0

    def finish(self, end: End) -> None:
        if not self.end.done():
            self.end.set_result(end)

    def note(self, node: str, fraction: float) -> None:
        """``fraction`` of a node's work is done."""
        if node not in self.graph:
            return
        self._done[node] = max(self._done.get(node, 0.0), min(1.0, fraction))
        weights = {key: WEIGHTS.get(item["class_type"], 1) for key, item in self.graph.items()}
        done = sum(weights[key] * part for key, part in self._done.items())
        self.progress = max(self.progress, done / sum(weights.values()))


class ComfyQueue:
    """The queue of the ComfyUI that this process is.

    Args:
        server: ComfyUI's ``PromptServer.instance``.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._tickets: dict[str, Ticket] = {}
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen to ComfyUI's events, as a page would."""
        self._server.sockets[CLIENT_ID] = self
        self._server.sockets_metadata[CLIENT_ID] = {"feature_flags": {}}
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def submit(
        self, prompt_id: str, graph: Graph, on_change: Callable[[Ticket], None]
    ) -> Ticket:
        """Put a prompt into the queue.

        Raises:
            RejectedError: ComfyUI refused it.
        """
        ticket = Ticket(id=prompt_id, graph=graph, on_change=on_change)
        self._tickets[prompt_id] = ticket
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": CLIENT_ID}
        try:
            response = await self._handler()(_PromptRequest(body))
            if response.status != 200:
                raise RejectedError(json.loads(response.text or "{}"))
        except BaseException:
            self._tickets.pop(prompt_id, None)
            self.cancel(prompt_id)  # whoever cancelled this may have come after the queue
            raise
        self._find_positions()
        return ticket

    def release(self, ticket: Ticket) -> None:
        """The end of a prompt has been dealt with."""
        self._tickets.pop(ticket.id, None)

    def cancel(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or interrupt it if it runs."""
        queue = self._server.prompt_queue
        if queue.delete_queue_item(lambda item: item[1] == prompt_id):
            ticket = self._tickets.get(prompt_id)
            if ticket is not None:
                ticket.finish(End.CLEARED)
        elif hasattr(queue, "interrupt_if_running"):
            queue.interrupt_if_running(prompt_id)
        else:  # before 0.33
            import comfy.model_management

            with queue.mutex:  # or the interrupt could hit the next prompt
                if any(item[1] == prompt_id for item in queue.currently_running.values()):
                    comfy.model_management.interrupt_current_processing()

    def size(self) -> tuple[int, int]:
        """Prompts of anyone that run and wait."""
        running, waiting = self._server.prompt_queue.get_current_queue_volatile()
        return len(running), len(waiting)

    # ComfyUI sends its events here as to a websocket

    async def send_bytes(self, data: bytes) -> None:
        """Preview images are not looked at."""

    async def send_json(self, message: Mapping[str, Any]) -> None:
        try:
            self._take(message)
        except Exception:  # it would end ComfyUI's loop of messages, for every page
            log.exception("MMAudio: an event of ComfyUI's could not be read.")

    def _take(self, message: Mapping[str, Any]) -> None:
        kind, data = message.get("type"), message.get("data") or {}
        if kind == "status":
            self._find_positions()
            return
        ticket = self._tickets.get(str(data.get("prompt_id")))
        if ticket is None:
            return
        if kind == "execution_start":
            ticket.running = True
        elif kind == "execution_cached":
            for node in data.get("nodes") or ():
                ticket.note(node, 1.0)
        elif kind == "progress_state":
            for node, state in (data.get("nodes") or {}).items():
                done = state.get("value", 0) / (state.get("max") or 1)
                ticket.note(node, 1.0 if state.get("state") == "finished" else min(done, 0.99))
        elif kind == "executed":
            ticket.outputs[str(data.get("node"))] = data.get("output") or {}
        elif kind == "execution_error":
            ticket.error = dict(data)
        ticket.on_change(ticket)
        if kind in _ENDS:
            ticket.finish(End(_ENDS[kind]))

    def _handler(self) -> Callable[[Any], Any]:
        """ComfyUI's own handler of ``POST /prompt``: it checks, and knows its queue's tuples."""
        for route in self._server.routes:
            if route.method == "POST" and route.path == "/prompt":
                return route.handler
        raise RuntimeError("this ComfyUI has no POST /prompt")

    def _find_positions(self) -> None:
        if not any(not ticket.running for ticket in self._tickets.values()):
            return
        running, waiting = self._server.prompt_queue.get_current_queue_volatile()
        order = {item[1]: place for place, item in enumerate(sorted(waiting, key=lambda i: i[:2]))}
        for ticket in self._tickets.values():
            place = order.get(ticket.id)
            if place is not None and ticket.position != place + len(running):
                ticket.position = place + len(running)
                ticket.on_change(ticket)

    async def _watch(self) -> None:
        """Notice prompts that went without an event: the owner cleared them."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                self._find_missing()
            except Exception:
                log.exception("MMAudio: looking at ComfyUI's queue failed.")

    def _find_missing(self) -> None:
        waiting_for = [ticket for ticket in self._tickets.values() if not ticket.end.done()]
        if not waiting_for:
            return
        queue = self._server.prompt_queue
        with queue.mutex:
            held = {item[1] for item in queue.queue}
            held |= {item[1] for item in queue.currently_running.values()}
            ended = {ticket.id: queue.history.get(ticket.id) for ticket in waiting_for}
        for ticket in waiting_for:
            ticket.missing = 0 if ticket.id in held else ticket.missing + 1
            if ticket.missing < _MISSING:  # the event of its end may be on its way
                continue
            entry = ended[ticket.id]
            if entry is not None:
                ticket.finish(_read_history(ticket, entry))
            else:
                ticket.finish(End.INTERRUPTED if ticket.running else End.CLEARED)


def _read_history(ticket: Ticket, entry: Mapping[str, Any]) -> End:
    """The end of a prompt whose events did not arrive."""
    ticket.outputs = dict(entry.get("outputs") or {})
    end = End.SUCCESS
    for kind, data in (entry.get("status") or {}).get("messages") or ():
        end = End(_ENDS.get(kind, end))
        if kind == "execution_error":
            ticket.error = dict(data)
    return end


class _PromptRequest:
    """As much of a request as ComfyUI's handler reads."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.headers: dict[str, str] = {}
        self._body = body

    async def json(self) -> dict[str, Any]:
        return self._body
