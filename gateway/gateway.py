"""What a service may do: create jobs, look at them, end them, take uploads."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from .errors import NotFoundError, UnauthorizedError
from .files import Files
from .job import Job, JobSpec
from .jobs import Jobs
from .keys import Keys
from .limits import Limits
from .settings import Settings, is_loopback
from .store import Store
from .tables import StoredFile
from .uploads import UploadTicket
from .videos import VideoRules as VideoRules


def _refuse_pages(request: web.Request) -> None:
    """Without keys, any site that is open in a browser of this machine could send requests.

    ComfyUI looks at where they come from, too, but lets those of ``Origin: null`` pass, which any
    page can send from a frame.

    Raises:
        UnauthorizedError: a page of another origin sent it, or one under a name that was made to
            resolve to this machine.
    """
    if not _names_this_machine(request.host):
        raise UnauthorizedError(
            f"got a request to {request.host[:80]!r}; without keys only 127.0.0.1 and "
            "localhost are answered. Set keys."
        )
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise UnauthorizedError(
            f"got a request of a page from {origin[:80]!r}; without keys pages of other sites are "
            "not answered. Set keys."
        )


def _names_this_machine(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


@dataclass(frozen=True)
class Caller:
    """Who asks, and where: ``base_url`` is how the gateway is reached, with ``/mmaudio``."""

    owner: str
    base_url: str


class Gateway:
    """The jobs, files and keys, as services use them."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        store: Store,
        jobs: Jobs,
        files: Files,
        limits: Limits,
    ) -> None:
        self.settings = settings
        self._files = files
        self._limits = limits
        self._keys = keys
        self._store = store
        self._jobs = jobs

    def caller(self, request: web.Request, key: str | None) -> Caller:
        """Who sent a request.

        Raises:
            UnauthorizedError, TooManyError: as ``Keys.owner``.
        """
        if self.settings.keys is None:
            _refuse_pages(request)
        owner = self._keys.owner(key, request.remote or "")
        return Caller(owner, self.base_url(request))

    def base_url(self, request: web.Request) -> str:
        """How the client reached the gateway, or the owner's public URL."""
        return self.settings.public_url or f"{request.scheme}://{request.host}/mmaudio"

    async def create(
        self, caller: Caller, spec: JobSpec, video: str | None, rules: VideoRules | None = None
    ) -> Job:
        """Create a job, kept on disk before this returns.

        Args:
            video: as the client sent it: a URL, a data URI, or the URL of an upload.
            rules: needed with a video.

        Raises:
            TooManyError: a limit of the key.
            InvalidInputError: the video's URL is wrong or refused; a webhook's is too.
        """
        return await self._jobs.create(caller.owner, caller.base_url, spec, video, rules)

    async def job(self, caller: Caller, job_id: str, service: str) -> Job:
        """A job of the caller's.

        Raises:
            NotFoundError: there is none of that id, or it is another key's or service's.
        """
        job = await self._jobs.find(job_id)
        if job is None or job.owner != caller.owner or job.spec.service != service:
            raise NotFoundError(f"got the id {job_id[:64]!r}; there is no such job of this key.")
        return job

    async def cancel(self, job: Job) -> bool:
        """Ask for the end of a job; False if it has ended already. It ends a little later."""
        return await self._jobs.cancel(job)

    async def ticket(
        self, caller: Caller, file_name: str, content_type: str | None, size: int | None = None
    ) -> UploadTicket:
        """Leave to upload one file of at most ``size`` bytes (None: 500 MB), once, in an hour.

        Raises:
            TooLargeError: ``size`` is above 500 MB.
            TooManyError: too many in a minute.
        """
        self._limits.count(caller.owner)
        return await self._files.uploads.ticket(
            caller.owner, caller.base_url, file_name, content_type, size
        )

    async def upload(self, caller: Caller, url: str) -> StoredFile | None:
        """The caller's upload of that URL; None for a URL that is none of ours.

        Raises:
            NotFoundError: it has not arrived, has expired, or is another key's.
        """
        return await self._files.own(url, caller.owner)

    async def webhook_secret(self, caller: Caller) -> str:
        """The secret that signs the webhooks of a key: made once, kept."""
        return await self._store.webhook_secret(caller.owner)
