"""The videos of jobs: sent, uploaded or fetched into our folder of ComfyUI's input folder."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.partial_files import delete_abandoned
from .errors import InvalidInputError, NotFoundError
from .failures import FailedError, of_input
from .fetch import fetch_video
from .files import Files, delete
from .job import Job
from .outgoing import Outgoing, UrlRefusedError
from .tokens import clean_name
from .uploads import MAX_BYTES
from .video_files import FetchError, VideoFacts, decode_data_uri, probe_video, write_video

_FETCHES = 4  # of a key, at once
_NAME = "mmaudio"


@dataclass(frozen=True)
class VideoRules:
    """What a service takes as a video.

    Attributes:
        field: the input's name, for errors.
        data_uri: whether the video itself may be in the request.
        http: whether its URL may be http; uploads to this server may always be.
    """

    field: str
    data_uri: bool = True
    http: bool = True


class Videos:
    """Videos in ``folder``, named after their jobs."""

    def __init__(self, files: Files, outgoing: Outgoing, folder: Path) -> None:
        self._files = files
        self._outgoing = outgoing
        self._place = folder
        # a key's slow videos hold up no other key's
        self._fetching = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(_FETCHES))

    @property
    def _folder(self) -> Path:
        """Made anew where the owner has cleared it away."""
        self._place.mkdir(parents=True, exist_ok=True)
        return self._place

    def start(self) -> None:
        """Make the folder, and delete what a killed process left half fetched."""
        delete_abandoned(self._folder)

    async def check_url(self, url: str, field: str) -> None:
        """Raise InvalidInputError at ``field`` if a URL is not one that may be asked for."""
        try:
            await self._outgoing.check(url)
        except UrlRefusedError as error:
            raise InvalidInputError.at(field, str(error), url[:200]) from None

    async def take(
        self, job_id: str, owner: str, video: str, rules: VideoRules
    ) -> tuple[str | None, str]:
        """Check the video of a request.

        Returns:
            The URL to fetch it from, or None if it is here already; and its name.
        """
        folder = self._folder
        is_data = video[:5].lower() == "data:"
        try:
            own = None if is_data else await self._files.own(video, owner)
        except NotFoundError as error:
            raise InvalidInputError.at(rules.field, error.message, video[:200]) from None
        try:
            if own is not None:
                await asyncio.to_thread(write_video, own.path, folder, job_id)
                return None, PurePosixPath(own.file_name).stem
            if is_data:
                if not rules.data_uri:
                    raise FetchError("got a data URI; expected a public URL of a video.")
                data = await asyncio.to_thread(decode_data_uri, video, MAX_BYTES)
                await asyncio.to_thread(write_video, data, folder, job_id)
                return None, _NAME
        except FetchError as error:
            raise InvalidInputError.at(rules.field, str(error), video[:60]) from None
        await self.check_url(video, rules.field)
        if not rules.http and urlsplit(video).scheme.lower() != "https":
            message = "got no https URL; expected the public https URL of a video."
            raise InvalidInputError.at(rules.field, message, video[:200])
        return video, PurePosixPath(clean_name(unquote(urlsplit(video).path), _NAME)).stem

    async def fetch(self, job: Job) -> str:
        """Name of a job's video in our folder, which is there now, and fits the request.

        Raises:
            FailedError: none comes, or it does not fit.
        """
        try:
            path = self._path(job.id)
            if path is None:
                if job.spec.video_url is None:
                    raise FetchError("the uploaded video is not here any more. Send it again.")
                async with self._fetching[job.owner]:
                    path = await fetch_video(
                        self._outgoing, job.spec.video_url, self._folder, job.id
                    )
            facts = await probe_video(path)
        except (FetchError, UrlRefusedError, MMAudioError) as error:
            raise FailedError(of_input(str(error), "video")) from None
        _check_fit(job, facts)
        return path.name

    def delete(self, job_id: str) -> None:
        """A job has ended: its video is not needed any more."""
        for path in self._folder.glob(f"{job_id}.*"):
            delete(path)

    def forget_expired(self, before: float, needed: Container[str]) -> None:
        """Delete what a crash left of creations before a time, but what jobs still need."""
        for path in self._folder.iterdir():
            if path.stem not in needed and _is_older(path, before):
                delete(path)

    def _path(self, job_id: str) -> Path | None:
        return next(self._folder.glob(f"{job_id}.*"), None)


def _is_older(path: Path, than: float) -> bool:
    try:
        return path.stat().st_mtime < than
    except FileNotFoundError:  # its job has just ended
        return False


def _check_fit(job: Job, facts: VideoFacts) -> None:
    spec = job.spec
    if spec.start_offset >= facts.seconds:
        raise FailedError(
            of_input(
                f"got a start of {spec.start_offset:g} s; the video ends at "
                f"{facts.seconds:.2f} s. Start earlier.",
                "start_offset",
            )
        )
    end = spec.start_offset + (spec.duration or 0.0)
    if spec.must_fit and end > facts.seconds + 0.001:
        raise FailedError(
            of_input(
                f"start and duration end at {end:g} s; the video ends at "
                f"{facts.seconds:.2f} s. Lower the duration.",
                "duration",
            )
        )
