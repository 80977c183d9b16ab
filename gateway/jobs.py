"""Jobs from their creation to their end: fetch the video, queue, follow, keep what came of it."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .failures import OURS, FailedError, of_node
from .files import Files
from .graph import FOLDER, graph_of
from .job import Fault, Job, JobError, JobSpec, LogLine, ResultFile, State
from .limits import Limits
from .outgoing import Outgoing
from .queue import ComfyQueue, End, RejectedError, Ticket
from .results import publish
from .store import Store
from .videos import VideoRules, Videos
from .webhooks import OwedWebhook, Webhooks

log = logging.getLogger(__name__)

_REMEMBERED = 1000  # finished jobs in memory
MakeWebhook = Callable[[Job], Awaitable["OwedWebhook | None"]]


@dataclass(frozen=True)
class Folders:
    """ComfyUI's input and output folders; ours are ``FOLDER`` in them."""

    input: Path
    output: Path

    def video(self) -> Path:
        return self.input / FOLDER

    def results(self, job_id: str) -> Path:
        return self.output / FOLDER / job_id


class Jobs:
    """All jobs.

    Args:
        make_webhook: the webhook that an ended job owes, as its service words it.
    """

    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        outgoing: Outgoing,
        queue: ComfyQueue,
        webhooks: Webhooks,
        limits: Limits,
        folders: Folders,
        model: str,
        retention: float,
        make_webhook: MakeWebhook,
    ) -> None:
        self._store = store
        self._files = files
        self._videos = Videos(files, outgoing, folders.video())
        self._queue = queue
        self._webhooks = webhooks
        self._limits = limits
        self._folders = folders
        self._model = model
        self._retention = retention
        self._make_webhook = make_webhook
        self._unfinished: dict[str, Job] = {}
        self._ending: set[str] = set()  # their end is being written: it can no longer change
        self._finished: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Run again what a crash interrupted, under the same ids."""
        self._videos.start()
        for job in await self._store.unfinished():
            await asyncio.to_thread(shutil.rmtree, self._folders.results(job.id), True)
            await self._store.forget_files_of(job.id)
            job.started_at = None
            job.files = ()
            self._limits.resume(job.owner)
            self._unfinished[job.id] = job
            if job.cancelling:
                await self._finish_cancelled(job)
            else:
                self._run_soon(job)

    def counts(self) -> tuple[int, int]:
        """Jobs that wait (also for their videos) and that run."""
        running = sum(job.state is State.RUNNING for job in self._unfinished.values())
        return len(self._unfinished) - running, running

    async def create(
        self,
        owner: str,
        base_url: str,
        spec: JobSpec,
        video: str | None,
        rules: VideoRules | None,
    ) -> Job:
        """As ``Gateway.create``."""
        self._limits.begin(owner)  # before anything is waited for: requests come in parallel
        job_id = _new_id()
        try:
            if spec.webhook is not None:
                await self._videos.check_url(spec.webhook.url, spec.webhook.field)
            if spec.has_video:
                if video is None or rules is None:
                    raise ValueError("a job with a video needs one, and rules")
                url, name = await self._videos.take(job_id, owner, video, rules)
                spec = spec.model_copy(update={"video_url": url, "name": name})
            job = Job(id=job_id, owner=owner, spec=spec, base_url=base_url)
            job.updated_at = job.created_at
            await self._store.save(job)
        except BaseException:
            self._limits.end(owner)
            self._videos.delete(job_id)
            raise
        self._unfinished[job_id] = job
        self._run_soon(job)
        return job

    async def find(self, job_id: str) -> Job | None:
        """A job of anyone; those that ended long ago come from the disk."""
        job = self._unfinished.get(job_id) or self._finished.get(job_id)
        if job is None and len(job_id) == 36:
            job = await self._store.job(job_id)
            if job is not None:
                self._remember(job)
        return job

    async def cancel(self, job: Job, error: JobError | None = None) -> bool:
        """As ``Gateway.cancel``; with ``error`` the job fails with it."""
        if job.ended or job.id in self._ending:
            return False
        job.cancelling = True
        job.end_with = error
        job.touch()
        await self._store.save(job)
        task = self._tasks.get(job.id)
        if job.state in (State.QUEUED, State.RUNNING):
            self._queue.cancel(job.id)
        elif task is not None:
            task.cancel()
        return True

    async def forget_expired(self) -> None:
        """Delete jobs, results, uploads and fetched videos that were kept for long enough."""
        now = time.time()
        for job_id in await self._store.forget_jobs(now - self._retention):
            self._finished.pop(job_id, None)
            await asyncio.to_thread(shutil.rmtree, self._folders.results(job_id), True)
            self._videos.delete(job_id)
        self._videos.forget_expired(now - self._retention, self._unfinished)
        await self._files.forget_expired(now)

    # the work

    def _run_soon(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _task: self._tasks.pop(job.id, None))

    async def _run(self, job: Job) -> None:
        timer = None
        if job.spec.start_within is not None:
            loop = asyncio.get_running_loop()
            left = job.created_at + job.spec.start_within - time.time()
            timer = loop.call_later(max(0.0, left), self._start_expired, job)
        try:
            video = await self._fetch(job) if job.spec.has_video else None
            ticket = await self._enqueue(job, video)
            try:
                await self._follow(job, ticket)
            finally:
                self._queue.release(ticket)
        except asyncio.CancelledError:
            if not job.cancelling:  # ComfyUI ends: the job runs again at its next start
                raise
            await self._finish_cancelled(job)
        except FailedError as failure:
            await self._finish(job, State.FAILED, failure.error)
        except Exception:
            log.exception("MMAudio: the job %s failed.", job.id)
            await self._finish(job, State.FAILED, OURS)
        finally:
            if timer is not None:
                timer.cancel()

    def _start_expired(self, job: Job) -> None:
        if job.state is not State.RUNNING and not job.ended:
            error = JobError(
                fault=Fault.TIMEOUT, message="The job did not start within the time asked for."
            )
            asyncio.get_running_loop().create_task(self.cancel(job, error))

    async def _fetch(self, job: Job) -> str:
        self._change(job, State.FETCHING, "Fetching the video.")
        await self._store.save(job)
        return await self._videos.fetch(job)

    async def _enqueue(self, job: Job, video: str | None) -> Ticket:
        graph = graph_of(job.spec, job.id, self._model, video)

        def changed(ticket: Ticket) -> None:
            self._note(job, ticket)

        try:
            ticket = await self._queue.submit(job.id, graph, changed)
        except RejectedError as error:
            log.error("MMAudio: ComfyUI refused the job %s: %s", job.id, error)
            raise FailedError(OURS) from None
        if not job.ended and job.state is not State.RUNNING:
            self._change(job, State.QUEUED, "Waiting in the queue.")
        await self._store.save(job)
        if job.cancelling:
            self._queue.cancel(job.id)
        return ticket

    async def _follow(self, job: Job, ticket: Ticket) -> None:
        end = await ticket.end
        if end is End.SUCCESS:
            folder = self._folders.output
            files = await publish(job, ticket.outputs, folder, self._files, self._retention)
            await self._finish(job, State.DONE, files=files)
        elif end is End.ERROR:
            raise FailedError(of_node(job, ticket.error or {}))
        else:
            await self._finish_cancelled(job)

    def _note(self, job: Job, ticket: Ticket) -> None:
        """ComfyUI told something about a prompt."""
        if job.ended:
            return
        if ticket.running and job.state is not State.RUNNING:
            job.started_at = time.time()
            self._change(job, State.RUNNING, "Started.")
        percent = int(100 * ticket.progress)
        if percent > int(100 * job.progress) or job.position != ticket.position:
            if percent // 10 > int(100 * job.progress) // 10:
                job.logs.append(LogLine(f"{percent} % done.", time.time()))
            job.progress = max(job.progress, ticket.progress)
            job.position = ticket.position
            job.touch()

    def _change(self, job: Job, state: State, line: str) -> None:
        job.state = state
        job.logs.append(LogLine(line, time.time()))
        job.touch()

    async def _finish(
        self,
        job: Job,
        state: State,
        error: JobError | None = None,
        files: tuple[ResultFile, ...] = (),
    ) -> None:
        """Keep the end of a job, and the webhook that it owes; then tell it."""
        self._ending.add(job.id)
        ended = replace(job, state=state, error=error, files=files, finished_at=time.time())
        hook = None
        try:
            hook = await self._make_webhook(ended)
            await self._store.save(ended, hook)
        except Exception:  # a full disk: its client is told all the same
            log.exception("MMAudio: the end of the job %s could not be written.", job.id)
        self._videos.delete(job.id)
        self._unfinished.pop(job.id, None)
        self._ending.discard(job.id)
        self._limits.end(job.owner)
        self._remember(job)
        job.error, job.files, job.finished_at = error, files, ended.finished_at
        if state is State.DONE:
            job.progress = 1.0
        self._change(job, state, f"Ended: {state.value}.")
        if hook is not None:
            self._webhooks.wake()

    async def _finish_cancelled(self, job: Job) -> None:
        """The end of a job that its client, or the owner in ComfyUI's page, ended."""
        if job.end_with is not None:
            await self._finish(job, State.FAILED, job.end_with)
        else:
            await self._finish(job, State.CANCELLED)

    def _remember(self, job: Job) -> None:
        self._finished[job.id] = job
        self._finished.move_to_end(job.id)
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)


def _new_id() -> str:
    """A random UUID without "429": a client that finds it in an error may submit the job again."""
    while "429" in (job_id := str(uuid.uuid4())):
        pass
    return job_id
