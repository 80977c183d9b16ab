"""Videos and results at URLs, in a store that is slow and fails one call in ten."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import fsspec  # pyright: ignore[reportMissingTypeStubs]
import pytest
from fsspec.implementations.memory import (  # pyright: ignore[reportMissingTypeStubs]
    MemoryFileSystem,
)

from mmaudio_core.batch import remote
from mmaudio_core.batch.batches import plan_batches
from mmaudio_core.batch.expand import expand
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.run import Run
from mmaudio_core.batch.store import open_store
from mmaudio_core.errors import MMAudioError
from tests.batch.clips import QUICK, RUN, clip, networks
from tests.batch.test_run import Heard, contents, go

AUDIO = replace(QUICK, audio_only=True, steps=1, duration=Fraction(16, 25))
CALLS = {"all": 0, "failed": 0, "read": 0}


def call() -> None:
    """Every tenth one fails."""
    time.sleep(0.001)
    CALLS["all"] += 1
    if CALLS["all"] % 10 == 0:
        CALLS["failed"] += 1
        raise ConnectionResetError("the store is having a bad day")


class FlakyFile(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        call()
        content = super().read(size)
        CALLS["read"] += len(content)
        return content


class Flaky(MemoryFileSystem):
    protocol = "flaky"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("flaky://"))

    def _open(self, path: str, mode: str = "rb", *arguments: Any, **options: Any) -> Any:
        call()
        file = super()._open(path, mode, *arguments, **options)
        return FlakyFile(file.getvalue()) if mode == "rb" else file

    def info(self, path: str, **options: Any) -> Any:
        call()
        return super().info(path, **options)

    def rm_file(self, path: str) -> None:
        call()
        super()._rm(path)

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        call()
        super().mv(path1, path2, **options)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    monkeypatch.setattr(remote, "_FIRST_WAIT", 0.001)
    Flaky.store.clear()
    Flaky.pseudo_dirs[:] = [""]
    CALLS.update(all=0, failed=0, read=0)
    yield fsspec.filesystem("flaky")


def run(items: list[Item], url: str) -> Heard:
    heard = Heard()
    Run(networks(), open_store(url), RUN, heard).run(plan_batches(items, 1))
    return heard


def test_a_slow_store_that_fails_one_call_in_ten_gets_all_results(
    flaky: Flaky, tmp_path: Path
) -> None:
    for seed in range(2):
        path = clip(tmp_path / "in" / f"{seed}.mp4", seed=seed)
        Flaky.store[f"/data/in/{seed}.mp4"] = remote_copy(
            flaky, f"/data/in/{seed}.mp4", path.read_bytes()
        )
    lines = [
        {"video": "in/0.mp4", "out": "a", "takes": 2},
        {"video": "in/1.mp4", "audio_only": False},
        {"video": "in/missing.mp4"},
        {"out": "rain", "prompt": "rain"},
    ]
    text = "\n".join(json.dumps(line) for line in lines).encode()
    Flaky.store["/data/list.jsonl"] = remote_copy(flaky, "/data/list.jsonl", text)
    items = expand(["flaky://data/list.jsonl"], AUDIO, None)
    heard = run(items, "flaky://results")
    assert heard.done_items == ["a", "in/1", "rain"], heard.failures
    assert "does not exist" in heard.failures["in/missing"].reason
    assert CALLS["failed"] > 5

    # the same as with files on a disk, and no trace of what failed
    local = [
        replace(one, video=one.video and one.video.replace("flaky://data", str(tmp_path)))
        for one in items
    ]
    go(local, tmp_path / "out")
    stored = {name: file.getvalue() for name, file in Flaky.store.items()}
    results = {n.removeprefix("/results/"): c for n, c in stored.items() if "/results/" in n}
    expected = contents(tmp_path / "out")
    assert set(results) == set(expected)
    for name, content in expected.items():
        if name.endswith((".flac", ".mp4")):
            assert results[name] == content, name
    with av.open(io.BytesIO(results["in/1.mp4"])) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]

    again = run(items[:2], "flaky://results")
    assert (again.done_items, again.skipped_items) == ([], ["a", "in/1"])


def remote_copy(flaky: Flaky, path: str, content: bytes) -> Any:
    from fsspec.implementations.memory import (  # pyright: ignore[reportMissingTypeStubs]
        MemoryFile,
    )

    return MemoryFile(flaky, path, content)


def test_folders_and_patterns_at_urls(flaky: Flaky) -> None:
    for name in ("/clips/a.mp4", "/clips/b/c.MOV", "/clips/b/notes.txt"):
        Flaky.store[name] = remote_copy(flaky, name, b"x")
    for source, outs in (
        ("flaky://clips", ["a", "b/c"]),
        ("flaky://clips/*.mp4", ["a"]),
        ("flaky://clips/**", ["a", "b/c"]),
        ("flaky://clips/b/c.MOV", ["c"]),
    ):
        items = expand([source], AUDIO, None)
        assert [one.out for one in items] == outs
        assert items[0].video is not None and items[0].video.startswith("flaky://")
    with pytest.raises(MMAudioError, match="found no video"):
        expand(["flaky://none/*.mp4"], AUDIO, None)


def test_what_a_url_needs_is_told() -> None:
    with pytest.raises(MMAudioError, match="pip install 'mmaudio-native"):
        expand(["gs://bucket/*.mp4"], AUDIO, None)
