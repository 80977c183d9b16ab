"""A job: what a client asked for, in no service's words, and what became of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from .compat import timeout as time_limit

MAX_SEED = 2**64 - 1


class State(str, Enum):
    """Where a job is; the last three are ends."""

    RECEIVED = "received"
    FETCHING = "fetching"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDS = frozenset({State.DONE, State.FAILED, State.CANCELLED})


class Output(str, Enum):
    """A kind of file that a job makes: the video with sound (take 0), or the sound of each take."""

    VIDEO = "video"
    M4A = "m4a"
    FLAC = "flac"


class Fault(str, Enum):
    """Why a job failed."""

    INPUT = "input"  # what the client sent
    INTERNAL = "internal"  # ours
    TIMEOUT = "timeout"  # not started within JobSpec.start_within


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class WebhookTarget(_Frozen):
    """Where to tell the end of a job.

    Attributes:
        field: the input's name, for errors.
        secret: key of its signature; None: the key's own.
        timeout: seconds that the receiver has to answer.
    """

    url: str
    field: str = "webhook"
    secret: str | None = None
    timeout: float = 15.0


class JobSpec(_Frozen):
    """What a client asked for. A service makes one of a request.

    Attributes:
        service: ``Service.name``.
        model: the service's name of what is asked for, such as ``fal-ai/mmaudio-v2``.
        duration: seconds of sound, cut at the video's end; None: the rest of the video.
        start_offset: where in the video the sound starts, in seconds.
        seed: of take 0; take k has ``seed + k``.
        outputs: the kinds of files to make.
        auto_prompt: where ``prompt`` is empty, the style of music that goes with the video.
        must_fit: ``start_offset + duration`` beyond the video's end is an error of the input.
        has_video: False: from text alone.
        video_url: where the video is fetched from; None: it was sent. Set by ``Jobs``.
        name: what the results are named after, without an ending. Set by ``Jobs``.
        input: as the client sent it, for answers that repeat it; long texts are cut.
        start_within: seconds until the job fails if it has not started by then.
    """

    service: str
    model: str
    prompt: str = ""
    negative_prompt: str = ""
    duration: float | None = 8.0
    start_offset: float = 0.0
    steps: int = 25
    cfg: float = 4.5
    seed: int = 0
    takes: int = 1
    mask_away_clip: bool = False
    outputs: tuple[Output, ...] = (Output.VIDEO,)
    auto_prompt: bool = False
    must_fit: bool = False
    has_video: bool = True
    video_url: str | None = None
    name: str = "mmaudio"
    input: dict[str, Any] = {}
    webhook: WebhookTarget | None = None
    start_within: float | None = None


class ResultFile(_Frozen):
    """A file that a job made.

    Attributes:
        url: where anyone gets it until it expires.
        path: on this machine.
        size: bytes.
        duration: seconds.
        sample_rate: Hz.
    """

    output: Output
    url: str
    path: Path
    file_name: str
    content_type: str
    size: int
    duration: float
    sample_rate: int


class JobError(_Frozen):
    """Why a job failed.

    Attributes:
        message: for the client.
        location: the field of the input that is at fault, by its name in ``JobSpec``; ``video``
            for the video.
    """

    fault: Fault
    message: str
    location: str | None = None


@dataclass(frozen=True)
class LogLine:
    """A line of a job's log; ``time`` in seconds since 1970."""

    message: str
    time: float


@dataclass(kw_only=True, eq=False)
class Job:
    """A job on its way. Only ``Jobs`` changes it; services read it.

    Attributes:
        id: also the prompt's id in ComfyUI's queue and history.
        owner: ``Keys.owner``.
        base_url: start of the URLs that its client gets, with ``/mmaudio``.
        progress: 0 to 1; never goes back.
        position: jobs and prompts before it in ComfyUI's queue.
        cancelling: its client asked for an end.
        end_with: the error that it then ends with; None: it is cancelled.
        created_at: seconds since 1970, as are the other times.
    """

    id: str
    owner: str
    spec: JobSpec
    base_url: str
    created_at: float = field(default_factory=time.time)
    state: State = State.RECEIVED
    updated_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    progress: float = 0.0
    position: int = 0
    cancelling: bool = False
    end_with: JobError | None = None
    error: JobError | None = None
    files: tuple[ResultFile, ...] = ()
    logs: list[LogLine] = field(default_factory=list)
    version: int = 0
    _waiting: set[asyncio.Future[None]] = field(default_factory=set, repr=False)

    @property
    def ended(self) -> bool:
        return self.state in ENDS

    @property
    def inference_seconds(self) -> float:
        """Seconds from the start of the work to its end, or until now."""
        if self.started_at is None:
            return 0.0
        return max(0.0, (self.finished_at or time.time()) - self.started_at)

    def files_of(self, output: Output) -> tuple[ResultFile, ...]:
        return tuple(file for file in self.files if file.output == output)

    def touch(self) -> None:
        """Tell everyone who waits that something has changed."""
        self.version += 1
        self.updated_at = time.time()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def changed(self, since: int, timeout: float) -> bool:
        """Wait until ``version`` is not ``since`` any more; False after ``timeout`` seconds."""
        if self.version != since:
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with time_limit(timeout):
                await future
        except asyncio.TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return True

    async def end(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended; False if it has not after ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not self.ended:
            left = 60.0 if deadline is None else deadline - loop.time()
            if left <= 0:
                return False
            await self.changed(self.version, min(left, 60.0))
        return True
