"""What a finished prompt wrote, as files that a client can get."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from .files import Files
from .graph import RESULTS
from .job import Job, Output, ResultFile
from .tables import StoredFile
from .tokens import file_url, new_token

_TYPES = {Output.VIDEO: "video/mp4", Output.M4A: "audio/mp4", Output.FLAC: "audio/flac"}


@dataclass(frozen=True)
class _Sound:
    seconds: float
    rate: int


async def publish(
    job: Job,
    outputs: Mapping[str, Mapping[str, Any]],
    folder: Path,
    files: Files,
    retention: float,
) -> tuple[ResultFile, ...]:
    """Give every file of a job an address.

    Args:
        outputs: what output nodes told, by node id.
        folder: ComfyUI's output folder.
        retention: seconds that the addresses hold.
    """
    results: list[ResultFile] = []
    stored: list[StoredFile] = []
    for output in job.spec.outputs:
        told = outputs.get(RESULTS[output])
        if told is None:  # no video was asked for
            continue
        paths = _paths(told, folder)
        for number, path in enumerate(paths, 1):
            name = job.spec.name if len(paths) == 1 else f"{job.spec.name}_{number}"
            file = StoredFile(
                token=new_token(),
                owner=job.owner,
                job_id=job.id,
                path=path,
                file_name=f"{name}{path.suffix}",
                content_type=_TYPES[output],
                expires_at=time.time() + retention,
            )
            sound = await asyncio.to_thread(_measure, path)
            stored.append(file)
            results.append(
                ResultFile(
                    output=output,
                    url=file_url(job.base_url, file),
                    path=path,
                    file_name=file.file_name,
                    content_type=file.content_type,
                    size=path.stat().st_size,
                    duration=sound.seconds,
                    sample_rate=sound.rate,
                )
            )
    if not results:
        raise RuntimeError(f"the job {job.id} wrote no file: {dict(outputs)}")
    await files.add(stored)
    return tuple(results)


def _paths(told: Mapping[str, Any], folder: Path) -> list[Path]:
    return [
        folder / item["subfolder"] / item["filename"]
        for items in told.values()
        if isinstance(items, (list, tuple))
        for item in items
        if isinstance(item, Mapping) and "filename" in item
    ]


def _measure(path: Path) -> _Sound:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (container.duration or 0) / av.time_base
        return _Sound(seconds, stream.rate)
