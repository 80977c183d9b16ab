"""What a user of ``fal-client`` writes; prints what came of it as JSON.

Its arguments are the name of a function here and the function's arguments, as JSON. The environment
says where fal is: ``FAL_RUN_HOST``, ``FAL_QUEUE_RUN_HOST`` and ``FAL_KEY``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fal_client
import httpx

APP = "fal-ai/mmaudio-v2"


def _told(update: fal_client.Status) -> dict[str, Any]:
    return {"status": type(update).__name__, **vars(update)}


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, fal_client.FalClientHTTPError):
        return {
            "status": error.status_code,
            "message": error.message,
            "error_type": error.error_type,
            "headers": error.response_headers,
        }
    return {"kind": type(error).__name__, "message": str(error)}


def subscribe(app: str = APP, **arguments: Any) -> Any:
    updates: list[dict[str, Any]] = []
    ids: list[str] = []
    result = fal_client.subscribe(
        app,
        arguments,
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=lambda update: updates.append(_told(update)),
    )
    return {"id": ids[0], "updates": updates, "result": result}


def handle(app: str = APP, **arguments: Any) -> Any:
    """Every call on a request, by its handle and by its id."""
    request = fal_client.submit(app, arguments, hint="a hint", priority="low")
    id = request.request_id
    first = _told(request.status())
    updates = [_told(update) for update in request.iter_events()]
    return {
        "urls": [request.response_url, request.status_url, request.cancel_url],
        "id": id,
        "first": first,
        "updates": updates,
        "result": request.get(),
        "by id": fal_client.result(app, id),
        "with logs": _told(fal_client.status(app, id, with_logs=True)),
        "without logs": _told(fal_client.status(app, id)),
        "cancelled": _tried(lambda: fal_client.cancel(app, id)),
    }


def run(app: str = APP, **arguments: Any) -> Any:
    return fal_client.run(app, arguments)


def tried(app: str = APP, **arguments: Any) -> Any:
    return _tried(lambda: fal_client.subscribe(app, arguments))


def status(id: str, **arguments: Any) -> Any:
    return _told(fal_client.status(APP, id))


def result(id: str, **arguments: Any) -> Any:
    return fal_client.result(APP, id)


def encoded(path: str, **arguments: Any) -> Any:
    return fal_client.run(APP, {**arguments, "video_url": fal_client.encode_file(Path(path))})


def cancel(when: str, position: int = 0, **arguments: Any) -> Any:
    """Cancel in the state ``when``, with as many before it; how the request ended, and how soon."""
    request = fal_client.submit(APP, arguments)
    for update in request.iter_events():
        if type(update).__name__ == when and getattr(update, "position", position) >= position:
            break
    else:
        return {"missed": when}
    asked = time.monotonic()
    request.cancel()
    end = [_told(update) for update in request.iter_events()][-1]
    took = time.monotonic() - asked
    return {"id": request.request_id, "end": end, "took": took, "result": _tried(request.get)}


def through_crash(**arguments: Any) -> Any:
    """Wait for a request whose server goes away for longer than the client's ten attempts."""
    request = fal_client.submit(APP, arguments)
    for _ in range(5):
        with contextlib.suppress(httpx.TransportError):
            return {"id": request.request_id, "result": request.get()}
    return None


def submit(webhook_url: str | None = None, count: int = 1, **arguments: Any) -> Any:
    return [
        fal_client.submit(APP, arguments, webhook_url=webhook_url).request_id for _ in range(count)
    ]


def start_timeout(seconds: float, **arguments: Any) -> Any:
    return {
        "run": _tried(lambda: fal_client.run(APP, arguments, start_timeout=seconds)),
        "subscribe": _tried(
            lambda: fal_client.subscribe(APP, arguments, start_timeout=seconds, with_logs=True)
        ),
    }


def impatient(seconds: float, **arguments: Any) -> Any:
    """A run that is given up (with a time to start, the client does not try again)."""
    return _tried(lambda: fal_client.run(APP, arguments, timeout=seconds, start_timeout=60))


def client_timeout(seconds: float, **arguments: Any) -> Any:
    return _tried(lambda: fal_client.subscribe(APP, arguments, client_timeout=seconds))


def unknown(id: str, app: str = APP, **arguments: Any) -> Any:
    """What there is not: a request, an application, an event stream of an application."""
    return {
        "status": _tried(lambda: fal_client.status(app, id)),
        "result": _tried(lambda: fal_client.result(app, id)),
        "cancel": _tried(lambda: fal_client.cancel(app, id)),
        "application": _tried(lambda: fal_client.submit("fal-ai/other", arguments)),
        "stream": _tried(lambda: list(fal_client.stream(app, arguments))),
    }


async def _asynchronously(app: str, arguments: dict[str, Any]) -> Any:
    """As ``subscribe``, ``handle``, ``run`` and ``cancel``."""
    updates: list[dict[str, Any]] = []
    result = await fal_client.subscribe_async(
        app,
        arguments,
        with_logs=True,
        on_queue_update=lambda update: updates.append(_told(update)),
    )
    request = await fal_client.submit_async(app, arguments)
    first = await fal_client.status_async(app, request.request_id, with_logs=True)
    got = await fal_client.result_async(app, request.request_id)
    ran = await fal_client.run_async(app, arguments)
    dropped = await fal_client.submit_async(app, arguments)
    await fal_client.cancel_async(app, dropped.request_id)
    end = [_told(update) async for update in dropped.iter_events()][-1]
    return {
        "updates": updates,
        "result": result,
        "first": _told(first),
        "got": got,
        "ran": ran,
        "end": end,
    }


def asynchronously(app: str = APP, **arguments: Any) -> Any:
    return asyncio.run(_asynchronously(app, arguments))


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return {"answer": call()}
    except Exception as error:
        return _error(error)


if __name__ == "__main__":
    scenario, given = globals()[sys.argv[1]], json.loads(sys.argv[2])
    print(json.dumps(_tried(lambda: scenario(**given))))
