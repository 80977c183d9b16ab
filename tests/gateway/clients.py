"""The services' own clients, each in a process of its own, and what they get."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest
import requests

_SECONDS = 180


@dataclass(frozen=True)
class Played:
    """A file, decoded to its end; ``pictures`` counts frames, the others are in seconds."""

    content_type: str
    pictures: int
    picture: float
    sound: float


def play(url: str) -> Played:
    """Download and decode a result."""
    response = requests.get(url, timeout=60)
    assert response.status_code == 200, response.text
    with av.open(io.BytesIO(response.content)) as container:
        video = container.streams.video[0] if container.streams.video else None
        rate = container.streams.audio[0].rate
        pictures = samples = 0
        for frame in container.decode():
            if isinstance(frame, av.AudioFrame):
                samples += frame.samples
            else:
                pictures += 1
        fps = 0 if video is None or video.average_rate is None else float(video.average_rate)
    picture = pictures / fps if fps else 0.0
    return Played(response.headers["Content-Type"], pictures, picture, samples / rate)


def run_python(code: str, *arguments: str, **environment: str) -> Any:
    """Run Python with the clients installed; what its last line prints, a JSON value."""
    return _run([sys.executable, "-c", code, *arguments], None, environment)


def run_node(folder: Path, code: str, *arguments: str, **environment: str) -> Any:
    """Run JavaScript (a module) in the folder that ``install`` returned, as ``run_python``."""
    node = shutil.which("node")
    assert node is not None
    command = [node, "--input-type=module", "--eval", code, "--", *arguments]
    return _run(command, folder, environment)


def install(package: str, folder: Path) -> Path:
    """Install a package from npm, such as ``wavespeed@0.3.2``; skips where there is no node."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node")
    options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(
        [npm, "install", *options, "--prefix", str(folder), package],
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )
    return folder


def _run(command: list[str], folder: Path | None, environment: dict[str, str]) -> Any:
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])
