"""Telling receivers how jobs ended: signed, repeated until they take it, and across restarts."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit

from .outgoing import Outgoing
from .urls import OutgoingError

RETRY_SECONDS = (30.0, 120.0, 600.0, 1800.0, 3600.0)
"""From the end of a failed attempt to the next; after the last one the webhook is given up."""
_AT_ONCE = 8
_AT_ONCE_PER_RECEIVER = 2
_POLL_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OwedWebhook:
    """A webhook not delivered yet.

    Attributes:
        id: sent as ``webhook-id``, the same in every attempt.
        job_id: the job that it is about.
        url: where it is posted.
        body: JSON, sent and signed as it is.
        secret: the key of the signature.
        timeout_s: seconds for the receiver to answer.
        attempts: how many have failed.
        next_at: when the next one is due, in seconds since 1970.
    """

    id: str
    job_id: str
    url: str
    body: bytes
    secret: str
    timeout_s: float
    attempts: int
    next_at: float


class WebhookStore(Protocol):
    """Where owed webhooks are kept."""

    async def due_webhooks(self, now: float) -> list[OwedWebhook]:
        """Those whose ``next_at`` is not after ``now``, the longest due first."""
        ...

    async def save_webhook(self, hook: OwedWebhook) -> None:
        """Replace the one of the same id."""
        ...

    async def delete_webhook(self, id: str) -> None:
        """Forget it, delivered or given up."""
        ...


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Headers that prove who sent a webhook (WaveSpeed's scheme, version 3).

    Args:
        secret: the key as it is: what follows ``whsec_`` of a WaveSpeed secret.
        message_id: the webhook's.
        timestamp: of this attempt, in seconds since 1970.
        body: as it is sent.
    """
    message = f"{message_id}.{timestamp}.".encode() + body
    signature = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v3,{signature}",
    }


class Webhooks:
    """Delivers owed webhooks, a few at a time, and no receiver more than two of them.

    A webhook stays in the store until its receiver has taken it, so one may come twice, under the
    same id, if ComfyUI ends in between.
    """

    def __init__(
        self, store: WebhookStore, outgoing: Outgoing, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._outgoing = outgoing
        self._clock = clock
        self._wake = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._receivers: Counter[str] = Counter()

    def wake(self) -> None:
        """Deliver at once what is due, as when a job has ended. To be called on the loop."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver for as long as this task lives; cancelled, it cancels what is being sent."""
        try:
            while True:
                self._wake.clear()
                try:
                    # What is being sent may be settled while the store is read: next time.
                    busy = set(self._sending)
                    for hook in await self._store.due_webhooks(self._clock()):
                        if hook.id not in busy:
                            self._start(hook)
                except Exception:
                    _log.exception("Webhooks that are due could not be read; trying again.")
                timer = asyncio.get_running_loop().call_later(_POLL_SECONDS, self.wake)
                await self._wake.wait()
                timer.cancel()
        finally:
            tasks = list(self._sending.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, hook: OwedWebhook) -> None:
        """Send a webhook, unless as many are being sent as may be."""
        receiver = urlsplit(hook.url).netloc
        if len(self._sending) >= _AT_ONCE or self._receivers[receiver] >= _AT_ONCE_PER_RECEIVER:
            return
        self._receivers[receiver] += 1
        self._sending[hook.id] = asyncio.create_task(self._send(hook, receiver))

    async def _send(self, hook: OwedWebhook, receiver: str) -> None:
        try:
            await self._settle(hook, await self._attempt(hook))
        except Exception:  # of the store: a receiver must not get it over and over meanwhile
            _log.exception("How webhook %s went could not be kept; sending it again.", hook.id)
            await asyncio.sleep(RETRY_SECONDS[0])
        finally:
            del self._sending[hook.id]
            self._receivers[receiver] -= 1
            self.wake()  # others wait for its place

    async def _attempt(self, hook: OwedWebhook) -> str | None:
        """What went wrong, or None."""
        headers = sign(hook.secret, hook.id, int(self._clock()), hook.body)
        headers["Content-Type"] = "application/json"
        try:
            status = await self._outgoing.post(hook.url, hook.body, headers, hook.timeout_s)
        except OutgoingError as error:
            return str(error)
        except Exception as error:  # counts as an attempt, or it would be repeated for ever
            _log.exception("Webhook %s could not be sent.", hook.id)
            return type(error).__name__
        return None if 200 <= status < 300 else f"it answered with status {status}"

    async def _settle(self, hook: OwedWebhook, problem: str | None) -> None:
        if problem is None:
            await self._store.delete_webhook(hook.id)
        elif hook.attempts >= len(RETRY_SECONDS):
            _log.warning("Webhook of job %s is given up: %s", hook.job_id, problem)
            await self._store.delete_webhook(hook.id)
        else:
            next_at = self._clock() + RETRY_SECONDS[hook.attempts]
            await self._store.save_webhook(
                replace(hook, attempts=hook.attempts + 1, next_at=next_at)
            )
