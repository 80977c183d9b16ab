"""The services' own clients, each in a process of its own, and what they get."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
import requests

from dev.environment import ROOT

_NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")
_SECONDS = 180
_ON_THE_PAGES = {
    "server": "http://127.0.0.1:8188",
    "key": "YOUR-KEY",
    "video": "https://example.com/clip.mp4",
    "file": '"clip.mp4"',
}


@dataclass(frozen=True)
class Played:
    """A file, decoded to its end.

    Attributes:
        picture, sound: seconds.
        digest: of the sound's samples.
    """

    content_type: str
    picture: float
    sound: float
    digest: str


def play(url: str, authority: Path | None = None) -> Played:
    """Download and decode a result; ``authority`` is the certificate of an https server."""
    verify = True if authority is None else str(authority)
    response = requests.get(url, timeout=60, verify=verify)
    assert response.status_code == 200, response.text
    digest = hashlib.sha256()
    with av.open(io.BytesIO(response.content)) as container:
        video = container.streams.video[0] if container.streams.video else None
        rate = container.streams.audio[0].rate
        pictures = samples = 0
        for frame in container.decode():
            if isinstance(frame, av.AudioFrame):
                samples += frame.samples
                digest.update(frame.to_ndarray().tobytes())
            else:
                pictures += 1
        fps = 0 if video is None or video.average_rate is None else float(video.average_rate)
    return Played(
        content_type=response.headers["Content-Type"],
        picture=pictures / fps if fps else 0.0,
        sound=samples / rate,
        digest=digest.hexdigest(),
    )


def run_python(code: str, *arguments: str, **environment: str) -> str:
    """Run Python with the clients installed; the last line that it prints."""
    return _run([sys.executable, "-c", code, *arguments], None, environment)


def run_node(folder: Path, code: str, *arguments: str, **environment: str) -> str:
    """Run JavaScript (a module) in the folder that ``install`` returned, as ``run_python``."""
    node = shutil.which("node")
    assert node is not None
    command = [node, "--input-type=module", "--eval", code, "--", *arguments]
    return _run(command, folder, environment)


def run_shell(code: str) -> str:
    """Run a shell's commands, as ``run_python``; skips where there is no bash or curl."""
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("no bash or no curl")
    return _run([bash, "-ec", code], None, {})


def examples(page: str, language: str, **replaced: str) -> list[str]:
    """The code of a language in ``docs/gateway/<page>.md``, for another server.

    Args:
        replaced: what stands in for ``server``, ``key``, ``video`` and ``file`` of the page.
    """
    text = (ROOT / "docs" / "gateway" / f"{page}.md").read_text("utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for name, value in replaced.items():
        blocks = [block.replace(_ON_THE_PAGES[name], value) for block in blocks]
    assert blocks
    return blocks


def install(package: str, folder: Path) -> Path:
    """Install a package from npm, such as ``wavespeed@0.3.2``.

    Skips where there is no node, or no registry.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node")
    options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        [npm, "install", *options, "--prefix", str(folder), package],
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if any(code in done.stderr for code in _NO_NETWORK):
        pytest.skip(f"npm reaches no registry: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return folder


def _run(command: list[str], folder: Path | None, environment: dict[str, str]) -> str:
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
    return done.stdout.splitlines()[-1]
