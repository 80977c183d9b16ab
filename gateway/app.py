"""The sub-application under ``/mmaudio``: what belongs to no service, and all of the services."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from .errors import GatewayError, of_status
from .files import Files
from .gateway import Gateway
from .job import Job
from .jobs import Folders, Jobs
from .keys import Keys
from .limits import Limits
from .outgoing import Outgoing
from .queue import ComfyQueue
from .services import SERVICES
from .services.service import Service
from .settings import Settings
from .status_page import status_page
from .store import Store
from .webhooks import OwedWebhook, Webhooks

log = logging.getLogger(__name__)
_TIDY_SECONDS = 60.0


def build_app(
    settings: Settings, server: Any, folders: Folders, user_folder: Path
) -> web.Application:
    """The gateway, to be added to ComfyUI's application.

    Args:
        server: ComfyUI's ``PromptServer.instance``.
        user_folder: for the database and uploads; no address of ComfyUI's leads there.

    Raises:
        StoreError: the database cannot be used.
    """
    store = Store(user_folder / "gateway.db")
    outgoing = Outgoing(settings.allow_hosts)
    webhooks = Webhooks(store, outgoing)
    queue = ComfyQueue(server)
    files = Files(store, user_folder / "uploads", settings.retention)
    limits = Limits(settings.creates_per_minute, settings.max_unfinished)
    services: dict[str, Service] = {}

    async def make_webhook(job: Job) -> OwedWebhook | None:
        target = job.spec.webhook
        if target is None:
            return None
        secret = target.secret or await store.webhook_secret(job.owner)
        return OwedWebhook(
            id=str(uuid.uuid4()),
            job_id=job.id,
            url=target.url,
            body=json.dumps(services[job.spec.service].webhook_body(job)).encode(),
            secret=secret,
            timeout_s=target.timeout,
            attempts=0,
            next_at=time.time(),
        )

    jobs = Jobs(
        store=store,
        files=files,
        outgoing=outgoing,
        queue=queue,
        webhooks=webhooks,
        limits=limits,
        folders=folders,
        model=settings.model,
        retention=settings.retention,
        make_webhook=make_webhook,
    )
    gateway = Gateway(settings, Keys(settings.keys), store, jobs, files, limits)
    services.update((kind.name, kind(gateway)) for kind in SERVICES)

    refuse = _Refuse()
    app = web.Application(middlewares=[refuse, _plain_errors])
    page = status_page(settings.model, jobs, queue, list(services.values()))
    app.add_routes([web.get("", page), web.get("/", page)])
    app.add_routes(files.routes())
    for service in services.values():
        app.add_subapp(service.prefix, service.app())

    tasks: list[asyncio.Task[None]] = []

    async def start(_app: web.Application) -> None:
        try:  # or ComfyUI would not start either
            queue.start()
            await jobs.start()
        except Exception:
            log.exception("The MMAudio gateway does not start.")
            refuse.all = True
            return
        loop = asyncio.get_running_loop()
        tasks.extend([loop.create_task(webhooks.run()), loop.create_task(_tidy(jobs))])

    app.on_startup.append(start)
    return app


class _Refuse:
    """A middleware that answers 503 to everything once ``all`` is set."""

    __middleware_version__ = 1

    def __init__(self) -> None:
        self.all = False

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.all:
            message = "The gateway did not start; ComfyUI's log says why."
            return web.json_response({"error": "not_started", "message": message}, status=503)
        return await handler(request)


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of files, uploads and unknown paths; a service shapes its own."""
    try:
        return await handler(request)
    except GatewayError as error:
        return _plain(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _plain(of_status(error.status, error.reason, error.headers))
    except ConnectionError:  # the client has left
        raise
    except Exception:
        log.exception("MMAudio: %s of a file failed.", request.method)  # its path is a secret
        return _plain(GatewayError("An internal error; the server's log says more."))


def _plain(error: GatewayError) -> web.Response:
    return web.json_response(
        {"error": error.code, "message": error.message}, status=error.status, headers=error.headers
    )


async def _tidy(jobs: Jobs) -> None:
    while True:
        try:
            await jobs.forget_expired()
        except Exception:
            log.exception("MMAudio: deleting what has expired failed.")
        await asyncio.sleep(_TIDY_SECONDS)
