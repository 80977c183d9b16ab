"""What survives a crash: jobs, files, uploads, webhooks owed, in an SQLite file of our own."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import Engine, LargeBinary, create_engine, delete, event, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .job import ENDS, Job, JobError, JobSpec, ResultFile, State
from .webhooks import OwedWebhook

log = logging.getLogger(__name__)

T = TypeVar("T")


class StoreError(Exception):
    """The database cannot be used."""


class _Base(DeclarativeBase):
    pass


class _JobRow(_Base):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float]
    finished_at: Mapped[float | None] = mapped_column(index=True)
    document: Mapped[str]  # JSON: what _dump writes


class _FileRow(_Base):
    __tablename__ = "files"
    token: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    job_id: Mapped[str | None] = mapped_column(index=True)
    path: Mapped[str]
    file_name: Mapped[str]
    content_type: Mapped[str]
    expires_at: Mapped[float] = mapped_column(index=True)


class _UploadRow(_Base):
    __tablename__ = "uploads"
    token: Mapped[str] = mapped_column(primary_key=True)
    file_token: Mapped[str]
    max_bytes: Mapped[int]
    expires_at: Mapped[float] = mapped_column(index=True)


class _WebhookRow(_Base):
    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    url: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    secret: Mapped[str]
    timeout_s: Mapped[float]
    attempts: Mapped[int]
    next_at: Mapped[float] = mapped_column(index=True)


class _SecretRow(_Base):
    __tablename__ = "secrets"
    owner: Mapped[str] = mapped_column(primary_key=True)
    secret: Mapped[str]


@dataclass(frozen=True)
class StoredFile:
    """A file that a token stands for; ``expires_at`` in seconds since 1970."""

    token: str
    owner: str
    job_id: str | None
    path: Path
    file_name: str
    content_type: str
    expires_at: float


@dataclass(frozen=True)
class Upload:
    """Leave to send one file, once, until ``expires_at``."""

    token: str
    file: StoredFile
    max_bytes: int
    expires_at: float


class Store:
    """The database. Its calls run in one thread, in order, and are on disk when they return.

    Args:
        path: of the SQLite file; its folder is made.

    Raises:
        StoreError: another process uses it, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{path}.lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{path} is in use by another ComfyUI, which serves its jobs"
            ) from None
        except OSError as error:
            raise StoreError(f"{path} cannot be used ({error})") from error
        try:
            self._engine = _engine(path)
            _Base.metadata.create_all(self._engine)
        except Exception as error:
            self._lock.release()
            raise StoreError(f"{path} cannot be opened ({error})") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mmaudio gateway store")

    def close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()
        self._lock.release()

    async def _run(self, work: Callable[[Session], T]) -> T:
        def transaction() -> T:
            with Session(self._engine) as session, session.begin():
                return work(session)

        task = asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        return await asyncio.shield(task)  # a client that leaves does not undo what is written

    # jobs

    async def save(self, job: Job, webhook: OwedWebhook | None = None) -> None:
        """Write a job as it is now, with the webhook that its end owes."""
        row = _JobRow(
            id=job.id,
            owner=job.owner,
            state=job.state.value,
            created_at=job.created_at,
            finished_at=job.finished_at,
            document=_dump(job),
        )
        hook = None if webhook is None else _hook_row(webhook)

        def work(session: Session) -> None:
            session.merge(row)
            if hook is not None:
                session.merge(hook)

        await self._run(work)

    async def job(self, job_id: str) -> Job | None:
        def work(session: Session) -> Job | None:
            row = session.get(_JobRow, job_id)
            return None if row is None else _load(row)

        return await self._run(work)

    async def unfinished(self) -> list[Job]:
        """Jobs that a crash interrupted, oldest first."""
        ends = [state.value for state in ENDS]
        query = select(_JobRow).where(_JobRow.state.not_in(ends)).order_by(_JobRow.created_at)

        def work(session: Session) -> list[Job]:
            jobs: list[Job] = []
            for row in session.scalars(query):
                try:
                    jobs.append(_load(row))
                except (ValueError, KeyError, TypeError):  # of another version: others run
                    log.exception("MMAudio: the job %s cannot be read; it does not run.", row.id)
            return jobs

        return await self._run(work)

    async def forget_jobs(self, before: float) -> list[str]:
        """Delete jobs that ended before a time, and return their ids."""

        def work(session: Session) -> list[str]:
            old = _JobRow.finished_at < before
            ids = list(session.scalars(select(_JobRow.id).where(old)))
            session.execute(delete(_JobRow).where(old))
            return ids

        return await self._run(work)

    # files

    async def add_files(self, files: list[StoredFile]) -> None:
        rows = [_file_row(file) for file in files]
        await self._run(lambda session: session.add_all(rows))

    async def file(self, token: str) -> StoredFile | None:
        """The file of a token, also for a while after it has expired."""

        def work(session: Session) -> StoredFile | None:
            row = session.get(_FileRow, token)
            return None if row is None else _file(row)

        return await self._run(work)

    async def forget_files_of(self, job_id: str) -> None:
        """Delete a job's files from the table: the job runs again."""
        await self._run(lambda s: s.execute(delete(_FileRow).where(_FileRow.job_id == job_id)))

    async def expired_files(self, now: float) -> list[StoredFile]:
        query = select(_FileRow).where(_FileRow.expires_at < now)
        return await self._run(lambda session: [_file(row) for row in session.scalars(query)])

    async def forget_files(self, before: float) -> None:
        """Delete the rows of files that expired before a time: their tokens are unknown then."""
        await self._run(lambda s: s.execute(delete(_FileRow).where(_FileRow.expires_at < before)))

    # uploads

    async def add_upload(self, upload: Upload) -> None:
        row = _UploadRow(
            token=upload.token,
            file_token=upload.file.token,
            max_bytes=upload.max_bytes,
            expires_at=upload.expires_at,
        )
        rows = [_file_row(upload.file), row]
        await self._run(lambda session: session.add_all(rows))

    async def upload(self, token: str) -> Upload | None:
        def work(session: Session) -> Upload | None:
            row = session.get(_UploadRow, token)
            file = None if row is None else session.get(_FileRow, row.file_token)
            if row is None or file is None:
                return None
            return Upload(row.token, _file(file), row.max_bytes, row.expires_at)

        return await self._run(work)

    async def end_upload(self, upload: Upload) -> None:
        """The file is there: its ticket is used up."""

        def work(session: Session) -> None:
            session.execute(delete(_UploadRow).where(_UploadRow.token == upload.token))
            session.execute(
                update(_FileRow)
                .where(_FileRow.token == upload.file.token)
                .values(content_type=upload.file.content_type)
            )

        await self._run(work)

    async def forget_uploads(self, now: float) -> None:
        """Delete tickets that were not used in time."""
        await self._run(lambda s: s.execute(delete(_UploadRow).where(_UploadRow.expires_at < now)))

    # webhooks

    async def webhook_secret(self, owner: str) -> str:
        def work(session: Session) -> str:
            row = session.get(_SecretRow, owner)
            if row is None:
                row = _SecretRow(owner=owner, secret=secrets.token_hex(32))
                session.add(row)
            return row.secret

        return await self._run(work)

    async def due_webhooks(self, now: float) -> list[OwedWebhook]:
        query = select(_WebhookRow).where(_WebhookRow.next_at <= now).order_by(_WebhookRow.next_at)
        return await self._run(lambda session: [_hook(row) for row in session.scalars(query)])

    async def save_webhook(self, hook: OwedWebhook) -> None:
        row = _hook_row(hook)
        await self._run(lambda session: session.merge(row))

    async def delete_webhook(self, id: str) -> None:
        await self._run(lambda s: s.execute(delete(_WebhookRow).where(_WebhookRow.id == id)))


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")  # survives a killed process
        cursor.close()

    return engine


def _dump(job: Job) -> str:
    return json.dumps(
        {
            "spec": job.spec.model_dump(mode="json"),
            "base_url": job.base_url,
            "updated_at": job.updated_at,
            "started_at": job.started_at,
            "cancelling": job.cancelling,
            "end_with": None if job.end_with is None else job.end_with.model_dump(mode="json"),
            "error": None if job.error is None else job.error.model_dump(mode="json"),
            "files": [file.model_dump(mode="json") for file in job.files],
        }
    )


def _load(row: _JobRow) -> Job:
    held = json.loads(row.document)
    state = State(row.state)
    return Job(
        id=row.id,
        owner=row.owner,
        spec=JobSpec.model_validate(held["spec"]),
        base_url=held["base_url"],
        created_at=row.created_at,
        state=state,
        updated_at=held["updated_at"],
        started_at=held["started_at"],
        finished_at=row.finished_at,
        progress=1.0 if state is State.DONE else 0.0,
        cancelling=held["cancelling"],
        end_with=None if held["end_with"] is None else JobError.model_validate(held["end_with"]),
        error=None if held["error"] is None else JobError.model_validate(held["error"]),
        files=tuple(ResultFile.model_validate(file) for file in held["files"]),
    )


def _file_row(file: StoredFile) -> _FileRow:
    return _FileRow(
        token=file.token,
        owner=file.owner,
        job_id=file.job_id,
        path=str(file.path),
        file_name=file.file_name,
        content_type=file.content_type,
        expires_at=file.expires_at,
    )


def _file(row: _FileRow) -> StoredFile:
    return StoredFile(
        token=row.token,
        owner=row.owner,
        job_id=row.job_id,
        path=Path(row.path),
        file_name=row.file_name,
        content_type=row.content_type,
        expires_at=row.expires_at,
    )


def _hook_row(hook: OwedWebhook) -> _WebhookRow:
    return _WebhookRow(
        id=hook.id,
        job_id=hook.job_id,
        url=hook.url,
        body=hook.body,
        secret=hook.secret,
        timeout_s=hook.timeout_s,
        attempts=hook.attempts,
        next_at=hook.next_at,
    )


def _hook(row: _WebhookRow) -> OwedWebhook:
    return OwedWebhook(
        id=row.id,
        job_id=row.job_id,
        url=row.url,
        body=row.body,
        secret=row.secret,
        timeout_s=row.timeout_s,
        attempts=row.attempts,
        next_at=row.next_at,
    )
