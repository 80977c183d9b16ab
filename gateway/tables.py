"""The tables of the gateway's database, and what their rows stand for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import LargeBinary
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .job import Job, JobError, JobSpec, ResultFile, State
from .webhooks import OwedWebhook


class Base(DeclarativeBase):
    pass


class JobRow(Base):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[float]
    finished_at: Mapped[float | None] = mapped_column(index=True)
    document: Mapped[str]  # JSON, see _document


class FileRow(Base):
    __tablename__ = "files"
    token: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    job_id: Mapped[str | None] = mapped_column(index=True)
    path: Mapped[str]
    file_name: Mapped[str]
    content_type: Mapped[str]
    expires_at: Mapped[float] = mapped_column(index=True)


class UploadRow(Base):
    __tablename__ = "uploads"
    token: Mapped[str] = mapped_column(primary_key=True)
    file_token: Mapped[str]
    max_bytes: Mapped[int]
    expires_at: Mapped[float] = mapped_column(index=True)


class WebhookRow(Base):
    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    url: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    secret: Mapped[str]
    timeout_s: Mapped[float]
    attempts: Mapped[int]
    next_at: Mapped[float] = mapped_column(index=True)


class SecretRow(Base):
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


def job_row(job: Job) -> JobRow:
    """A job as it is now."""
    return JobRow(
        id=job.id,
        owner=job.owner,
        state=job.state.value,
        created_at=job.created_at,
        finished_at=job.finished_at,
        document=_document(job),
    )


def _document(job: Job) -> str:
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


def read_job(row: JobRow) -> Job:
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


def file_row(file: StoredFile) -> FileRow:
    return FileRow(
        token=file.token,
        owner=file.owner,
        job_id=file.job_id,
        path=str(file.path),
        file_name=file.file_name,
        content_type=file.content_type,
        expires_at=file.expires_at,
    )


def read_file(row: FileRow) -> StoredFile:
    return StoredFile(
        token=row.token,
        owner=row.owner,
        job_id=row.job_id,
        path=Path(row.path),
        file_name=row.file_name,
        content_type=row.content_type,
        expires_at=row.expires_at,
    )


def webhook_row(hook: OwedWebhook) -> WebhookRow:
    return WebhookRow(
        id=hook.id,
        job_id=hook.job_id,
        url=hook.url,
        body=hook.body,
        secret=hook.secret,
        timeout_s=hook.timeout_s,
        attempts=hook.attempts,
        next_at=hook.next_at,
    )


def read_webhook(row: WebhookRow) -> OwedWebhook:
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
