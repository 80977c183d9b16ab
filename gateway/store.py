"""What survives a crash: jobs, files, uploads, webhooks owed, in an SQLite file of our own."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import Engine, create_engine, delete, event, select, update
from sqlalchemy.orm import Session

from .job import ENDS, Job
from .tables import (
    Base,
    FileRow,
    JobRow,
    SecretRow,
    StoredFile,
    Upload,
    UploadRow,
    WebhookRow,
    file_row,
    job_row,
    read_file,
    read_job,
    read_webhook,
    webhook_row,
)
from .webhooks import OwedWebhook

log = logging.getLogger(__name__)

T = TypeVar("T")


class StoreError(Exception):
    """The database cannot be used."""


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
            Base.metadata.create_all(self._engine)
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
        row = job_row(job)
        hook = None if webhook is None else webhook_row(webhook)

        def work(session: Session) -> None:
            session.merge(row)
            if hook is not None:
                session.merge(hook)

        await self._run(work)

    async def job(self, job_id: str) -> Job | None:
        def work(session: Session) -> Job | None:
            row = session.get(JobRow, job_id)
            return None if row is None else read_job(row)

        return await self._run(work)

    async def unfinished(self) -> list[Job]:
        """Jobs that a crash interrupted, oldest first."""
        ends = [state.value for state in ENDS]
        query = select(JobRow).where(JobRow.state.not_in(ends)).order_by(JobRow.created_at)

        def work(session: Session) -> list[Job]:
            jobs: list[Job] = []
            for row in session.scalars(query):
                try:
                    jobs.append(read_job(row))
                except (ValueError, KeyError, TypeError):  # of another version: others run
                    log.exception("MMAudio: the job %s cannot be read; it does not run.", row.id)
            return jobs

        return await self._run(work)

    async def forget_jobs(self, before: float) -> list[str]:
        """Delete jobs that ended before a time, and return their ids."""

        def work(session: Session) -> list[str]:
            old = JobRow.finished_at < before
            ids = list(session.scalars(select(JobRow.id).where(old)))
            session.execute(delete(JobRow).where(old))
            return ids

        return await self._run(work)

    # files

    async def add_files(self, files: list[StoredFile]) -> None:
        rows = [file_row(file) for file in files]
        await self._run(lambda session: session.add_all(rows))

    async def file(self, token: str) -> StoredFile | None:
        """The file of a token, also for a while after it has expired."""

        def work(session: Session) -> StoredFile | None:
            row = session.get(FileRow, token)
            return None if row is None else read_file(row)

        return await self._run(work)

    async def forget_files_of(self, job_id: str) -> None:
        """Delete a job's files from the table: the job runs again."""
        await self._run(lambda s: s.execute(delete(FileRow).where(FileRow.job_id == job_id)))

    async def expired_files(self, now: float) -> list[StoredFile]:
        query = select(FileRow).where(FileRow.expires_at < now)
        return await self._run(lambda session: [read_file(row) for row in session.scalars(query)])

    async def forget_files(self, before: float) -> None:
        """Delete the rows of files that expired before a time: their tokens are unknown then."""
        await self._run(lambda s: s.execute(delete(FileRow).where(FileRow.expires_at < before)))

    # uploads

    async def add_upload(self, upload: Upload) -> None:
        row = UploadRow(
            token=upload.token,
            file_token=upload.file.token,
            max_bytes=upload.max_bytes,
            expires_at=upload.expires_at,
        )
        rows = [file_row(upload.file), row]
        await self._run(lambda session: session.add_all(rows))

    async def upload(self, token: str) -> Upload | None:
        def work(session: Session) -> Upload | None:
            row = session.get(UploadRow, token)
            file = None if row is None else session.get(FileRow, row.file_token)
            if row is None or file is None:
                return None
            return Upload(row.token, read_file(file), row.max_bytes, row.expires_at)

        return await self._run(work)

    async def end_upload(self, upload: Upload) -> None:
        """The file is there: its ticket is used up."""

        def work(session: Session) -> None:
            session.execute(delete(UploadRow).where(UploadRow.token == upload.token))
            session.execute(
                update(FileRow)
                .where(FileRow.token == upload.file.token)
                .values(content_type=upload.file.content_type)
            )

        await self._run(work)

    async def forget_uploads(self, now: float) -> None:
        """Delete tickets that were not used in time."""
        await self._run(lambda s: s.execute(delete(UploadRow).where(UploadRow.expires_at < now)))

    # webhooks

    async def webhook_secret(self, owner: str) -> str:
        def work(session: Session) -> str:
            row = session.get(SecretRow, owner)
            if row is None:
                row = SecretRow(owner=owner, secret=secrets.token_hex(32))
                session.add(row)
            return row.secret

        return await self._run(work)

    async def due_webhooks(self, now: float) -> list[OwedWebhook]:
        query = select(WebhookRow).where(WebhookRow.next_at <= now).order_by(WebhookRow.next_at)
        return await self._run(
            lambda session: [read_webhook(row) for row in session.scalars(query)]
        )

    async def save_webhook(self, hook: OwedWebhook) -> None:
        row = webhook_row(hook)
        await self._run(lambda session: session.merge(row))

    async def delete_webhook(self, id: str) -> None:
        await self._run(lambda s: s.execute(delete(WebhookRow).where(WebhookRow.id == id)))


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a commit survives a power cut, too
        cursor.close()

    return engine
