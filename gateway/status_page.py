"""The page at ``/mmaudio``: what is served, and how busy it is. It needs no key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from html import escape

from aiohttp import web

from .jobs import Jobs
from .queue import ComfyQueue
from .services.service import Service

_LICENSE = (
    "The weights of MMAudio are licensed CC-BY-NC 4.0: neither they nor the sound that they make "
    "may be used commercially, whatever the license of the service whose API this is."
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>MMAudio gateway</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto }}
:root {{ color-scheme: light dark }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8886 }}
</style></head><body>
<h1>MMAudio gateway</h1>
<p>Model: <strong>{model}</strong>. Jobs waiting: <strong>{waiting}</strong>, running:
<strong>{running}</strong>. Prompts in ComfyUI's queue: {queued}.</p>
<table><thead><tr><th>Service</th><th>Path</th><th>Models</th></tr></thead>
<tbody>{services}</tbody></table>
<p>{license}</p>
</body></html>
"""


def status_page(
    model: str, jobs: Jobs, queue: ComfyQueue, services: Sequence[Service]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The page's handler: HTML for browsers, JSON for who accepts that only."""

    async def page(request: web.Request) -> web.StreamResponse:
        waiting, running = jobs.counts()
        if "text/html" not in request.headers.get("Accept", ""):
            return web.json_response(
                {
                    "model": model,
                    "services": {s.name: {"path": s.prefix, "models": s.models} for s in services},
                    "waiting": waiting,
                    "running": running,
                    "license": _LICENSE,
                }
            )
        rows = "".join(
            f"<tr><td>{escape(s.title)}</td><td><code>/mmaudio{escape(s.prefix)}</code></td>"
            f"<td>{escape(', '.join(s.models))}</td></tr>"
            for s in services
        )
        text = _PAGE.format(
            model=escape(model),
            waiting=waiting,
            running=running,
            queued=sum(queue.size()),
            services=rows,
            license=escape(_LICENSE),
        )
        return web.Response(
            text=text,
            content_type="text/html",
            headers={
                "Cache-Control": "no-store",
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
                "X-Content-Type-Options": "nosniff",
            },
        )

    return page
