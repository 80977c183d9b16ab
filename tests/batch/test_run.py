"""A run in one process: what is written, what is done again, what fails and why."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import av
import pytest
import torch

from mmaudio_core.batch import run as running
from mmaudio_core.batch.attempts import Attempts
from mmaudio_core.batch.batches import plan_batches
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.options import ItemOptions
from mmaudio_core.batch.run import Run
from mmaudio_core.batch.sidecar import RunFacts, Sidecar
from mmaudio_core.batch.stages import Failure
from mmaudio_core.batch.store import LocalStore, store_failure
from mmaudio_core.mux import write_sound
from mmaudio_core.progress import Progress, no_progress
from tests.batch.clips import QUICK, RUN, clip, item, networks

AUDIO = replace(QUICK, audio_only=True, steps=1, duration=Fraction(16, 25))


@dataclass
class Heard:
    """A listener that keeps what it is told."""

    begun: list[list[str]] = field(default_factory=list)
    done_items: list[str] = field(default_factory=list)
    skipped_items: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)

    def begin(self, items: Sequence[Item]) -> Progress:
        self.begun.append([item.out for item in items])
        return no_progress

    def done(self, item: Item, sidecar: Sidecar) -> None:
        self.done_items.append(item.out)

    def skipped(self, item: Item) -> None:
        self.skipped_items.append(item.out)

    def failed(self, item: Item, failure: Failure) -> None:
        self.failures[item.out] = failure


def go(
    items: Sequence[Item],
    folder: Path,
    *,
    size: int = 1,
    facts: RunFacts = RUN,
    retry: bool = False,
) -> Heard:
    heard = Heard()
    run = Run(networks(), LocalStore(folder), facts, heard, retry=retry)
    run.run(plan_batches(items, size))
    return heard


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the records of a run; sidecars without what differs from run to run."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".mmaudio"):
            found[name] = path.read_bytes()
            if path.suffix == ".json":
                entry = json.loads(found[name])
                del entry["seconds"]
                found[name] = json.dumps(entry).encode()
    return found


def failure_lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "failures.jsonl"
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(3):
        clip(folder / f"{seed}.mp4", seed=seed)
    return folder


def test_a_result_lies_beside_what_it_was_made_of(clips: Path, tmp_path: Path) -> None:
    options = replace(QUICK, prompt="rain", seed=5)
    heard = go([item(clips / "0.mp4", "day 1/night", options)], tmp_path)
    assert heard.done_items == ["day 1/night"]
    with av.open(str(tmp_path / "day 1" / "night.mp4")) as file:
        assert [stream.type for stream in file.streams] == ["video", "audio"]
    sidecar = json.loads((tmp_path / "day 1" / "night.json").read_text())
    size = (tmp_path / "day 1" / "night.mp4").stat().st_size
    assert sidecar["files"] == [
        {"name": "day 1/night.mp4", "size": size, "seed": 5, "scores": {}, "unmeasured": {}}
    ]
    assert sidecar["options"] == {
        "prompt": "rain",
        "seed": 5,
        "steps": 2,
        "duration": "1",
    }
    assert sidecar["input"]["size"] == (clips / "0.mp4").stat().st_size
    assert set(sidecar["seconds"]) == {"decode", "features", "sampling", "sound", "write"}
    assert not list((tmp_path / ".mmaudio" / "attempts").iterdir())


def test_takes_are_files_and_the_best_may_be_chosen(clips: Path, tmp_path: Path) -> None:
    two = item(clips / "0.mp4", "two", replace(AUDIO, takes=2))
    best = item(clips / "0.mp4", "best", replace(AUDIO, best_of=3))
    go([two, best], tmp_path)
    assert set(contents(tmp_path)) == {
        "two_take0.flac",
        "two_take1.flac",
        "two.json",
        "best.flac",
        "best.json",
    }
    chosen = json.loads((tmp_path / "best.json").read_text())["files"][0]
    assert chosen["seed"] in (0, 1, 2) and chosen["scores"]["agreement"] is not None
    assert chosen["scores"]["total"] is not None
    if chosen["seed"] < 2:
        take = (tmp_path / f"two_take{chosen['seed']}.flac").read_bytes()
        assert abs(len(take) - chosen["size"]) < 0.1 * chosen["size"]


def test_a_second_run_does_what_is_missing_or_changed(clips: Path, tmp_path: Path) -> None:
    videos = [clip(tmp_path / "in" / f"{seed}.mp4", seed=seed) for seed in range(4)]
    items = [item(video, video.stem, AUDIO) for video in videos]
    out = tmp_path / "out"
    assert go(items, out).done_items == ["0", "1", "2", "3"]
    before = contents(out)
    again = go(items, out)
    assert (again.done_items, again.begun, again.skipped_items) == ([], [], ["0", "1", "2", "3"])

    (out / "0.flac").unlink()  # lost
    (out / "1.flac").write_bytes(b"cut off")
    clip(videos[2], seed=9)  # another picture
    os.utime(videos[3], (1, 1))  # copied: another time, the same content
    assert go(items, out).done_items == ["0", "1", "2"]
    after = contents(out)
    assert {name for name in after if after[name] != before[name]} == {"2.flac", "2.json"}

    items[3] = replace(items[3], options=replace(AUDIO, prompt="rain"))
    assert go(items, out).done_items == ["3"]
    other = replace(RUN, weights={"flow": "1"})
    assert go(items[:1], out, facts=other).done_items == ["0"]


def test_a_result_in_another_form_replaces_the_one_before(clips: Path, tmp_path: Path) -> None:
    for options, expected in (
        (replace(AUDIO, takes=2), {"a_take0.flac", "a_take1.flac"}),
        (replace(AUDIO, container="m4a"), {"a.m4a"}),
        (QUICK, {"a.mp4"}),
    ):
        go([item(clips / "0.mp4", "a", options)], tmp_path)
        assert set(contents(tmp_path)) == expected | {"a.json"}


def test_a_result_that_is_half_replaced_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may be the new one, although its old sidecar would fit the old options."""
    old, new = (item(None, "a", replace(AUDIO, seed=seed)) for seed in (1, 2))
    go([old], tmp_path)
    before = contents(tmp_path)
    real = LocalStore.write

    def refuse(store: LocalStore, name: str, content: bytes) -> None:
        if name == "a.json" and json.loads(content)["digest"] is not None:
            raise OSError("the disk is full")
        real(store, name, content)

    monkeypatch.setattr(LocalStore, "write", refuse)
    assert go([new], tmp_path).failures["a"].stage == "write"
    assert contents(tmp_path)["a.flac"] != before["a.flac"]
    monkeypatch.undo()
    monkeypatch.setattr(LocalStore, "size", lambda store, name: len(before["a.flac"]))
    assert go([old], tmp_path).done_items == ["a"]
    assert contents(tmp_path) == before


def test_a_batch_that_is_resumed_in_part_ends_alike(tmp_path: Path) -> None:
    items = [item(None, f"{seed}", replace(AUDIO, seed=seed)) for seed in range(3)]
    go(items, tmp_path, size=3)
    whole = contents(tmp_path)
    for kept in range(3):
        for lost in {0, 1, 2} - {kept}:
            (tmp_path / f"{lost}.json").unlink()
            (tmp_path / f"{lost}.flac").write_bytes(b"half")
        assert go(items, tmp_path, size=3).skipped_items == [str(kept)]
        assert contents(tmp_path) == whole


def test_bad_items_are_told_and_the_rest_goes_on(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    (bad / "folder.mp4").mkdir(parents=True)
    (bad / "empty.mp4").touch()
    (bad / "text.mp4").write_text("no video")
    whole = (clips / "0.mp4").read_bytes()
    (bad / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (bad / "page.mp4").write_bytes(b"<!DOCTYPE html><html>404</html>" * 50)
    clip(bad / "short.mp4", seconds=0.4)
    write_sound(torch.zeros(1, 16_000), 16_000, bad / "sound", "m4a")
    cases: dict[str, tuple[Item, str]] = {
        "missing": (item(bad / "missing.mp4", "missing", AUDIO), "cannot be read"),
        "folder": (item(bad / "folder.mp4", "folder", AUDIO), "is a folder"),
        "empty": (item(bad / "empty.mp4", "empty", AUDIO), "is empty"),
        "text": (item(bad / "text.mp4", "text", AUDIO), "cannot be opened as a video"),
        "half": (item(bad / "half.mp4", "half", AUDIO), "cannot be opened as a video"),
        "page": (item(bad / "page.mp4", "page", AUDIO), "cannot be opened as a video"),
        "short": (item(bad / "short.mp4", "short", AUDIO), "expected at least 0.64 s"),
        "sound": (item(bad / "sound.m4a", "sound", AUDIO), "has no video stream"),
        "late": (
            item(clips / "0.mp4", "late", replace(AUDIO, start=Fraction(9))),
            "past the end of the video",
        ),
        "brief": (item(None, "brief", replace(AUDIO, duration=Fraction(1, 2))), "0.64 s"),
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(bad / "pipe.mp4")  # whoever opens it waits forever
        cases["pipe"] = (item(bad / "pipe.mp4", "pipe", AUDIO), "is a pipe")
    good = [item(clips / f"{seed}.mp4", f"good {seed}", AUDIO) for seed in range(2)]
    items = [good[0], *(one for one, _ in cases.values()), good[1]]
    heard = go(items, tmp_path / "out", size=4)
    assert heard.done_items == ["good 0", "good 1"]
    lines = {line["out"]: line for line in failure_lines(tmp_path / "out")}
    assert set(lines) == set(cases)
    for name, (_, reason) in cases.items():
        assert reason in lines[name]["reason"]
        assert lines[name]["stage"] == ("generate" if name == "brief" else "decode")
        assert "Traceback" in lines[name]["trace"]
    written = {f"good {seed}.{end}" for seed in range(2) for end in ("flac", "json")}
    assert set(contents(tmp_path / "out")) == {"failures.jsonl"} | written


def test_failures_are_tried_again_and_forgotten_once_done(clips: Path, tmp_path: Path) -> None:
    video, name = tmp_path / "in" / "a.mp4", "a\u2028b"  # which some take for the end of a line
    items = [item(video, name, AUDIO)]
    for _ in range(2):
        assert set(go(items, tmp_path / "out").failures) == {name}
        assert [line["out"] for line in failure_lines(tmp_path / "out")] == [name]
    clip(video)
    assert go(items, tmp_path / "out").done_items == [name]
    assert failure_lines(tmp_path / "out") == []


def test_a_video_that_changes_meanwhile_gets_no_sound_made_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = clip(tmp_path / "a.mp4")
    real = running.generate

    def generate(*arguments: Any) -> Any:
        made = real(*arguments)
        clip(video, seed=9)
        return made

    monkeypatch.setattr(running, "generate", generate)
    options = replace(QUICK, steps=1)
    out = tmp_path / "out"
    failure = go([item(video, "a", options)], out).failures["a"]
    assert failure.stage == "write" and "changed while its sound was made" in failure.reason
    assert set(contents(out)) == {"failures.jsonl"}
    assert go([item(video, "b", replace(options, audio_only=True))], out).done_items == ["b"]
    monkeypatch.undo()
    assert go([item(video, "a", options)], out).done_items == ["a"]


def test_a_place_that_refuses_one_result_takes_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalStore.read

    def refuse(store: LocalStore, name: str) -> bytes | None:
        if name.startswith("locked/"):
            raise store_failure(Path(name), "read", PermissionError(13, "Permission denied"))
        return real(store, name)

    monkeypatch.setattr(LocalStore, "read", refuse)
    (tmp_path / "failures.jsonl").write_text('[1]\n{"cut o')  # from another hand
    long = "/".join(["x" * 200] * 30)  # more than a path may have
    items = [item(None, name, AUDIO) for name in ("locked/a", long, "good")]
    heard = go(items, tmp_path)
    assert heard.done_items == ["good"]
    assert {name: failure.stage for name, failure in heard.failures.items()} == {
        "locked/a": "write",
        long: "write",
    }


def test_what_ended_a_process_is_done_alone_and_then_no_more(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    items = [item(None, f"{seed}", AUDIO) for seed in range(3)]

    def crashed(times: int) -> None:
        Attempts(store).end(items[0])
        for _ in range(times):
            Attempts(store).begin(items[0])
        for path in tmp_path.glob("*.json"):
            path.unlink()

    crashed(2)
    assert go(items, tmp_path, size=3).begun == [["0", "1", "2"]]
    crashed(3)
    assert go(items, tmp_path, size=3).begun == [["1", "2"], ["0"]]
    crashed(4)
    for _ in range(2):
        heard = go(items, tmp_path, size=3)
        assert heard.failures["0"].stage == "crash" and "0" not in heard.done_items
    assert [line["out"] for line in failure_lines(tmp_path)] == ["0"]
    assert go(items, tmp_path, size=3, retry=True).done_items == ["0"]
    assert failure_lines(tmp_path) == []


def test_an_interrupted_run_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [item(None, f"{seed}", AUDIO) for seed in range(3)]
    real = running.generate
    calls: list[int] = []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(running, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(items, tmp_path)
    assert not list((tmp_path / ".mmaudio" / "attempts").iterdir())
    assert set(contents(tmp_path)) in ({"0.flac", "0.json"}, set[str]())
    monkeypatch.undo()
    go(items, tmp_path)
    assert len(contents(tmp_path)) == 6


def test_reading_and_writing_overlap_the_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next item is read, and the last one written, while one is generated."""
    begun = {("decode_item", "1"): Event(), ("write_item", "0"): Event()}
    awaited = {("generate", "0"): ("decode_item", "1"), ("generate", "1"): ("write_item", "0")}
    overlapped: list[str] = []

    def watched(name: str, which: Any) -> None:
        real = getattr(running, name)

        def waiting(*arguments: Any) -> Any:
            call = name, which(arguments)
            if call in begun:
                begun[call].set()
            if call in awaited and begun[awaited[call]].wait(60):
                overlapped.append(call[1])
            return real(*arguments)

        monkeypatch.setattr(running, name, waiting)

    watched("decode_item", lambda arguments: arguments[0].out)
    watched("generate", lambda arguments: arguments[1].items[0].out)
    watched("write_item", lambda arguments: arguments[0].out)
    go([item(None, f"{seed}", AUDIO) for seed in range(3)], tmp_path)
    assert overlapped == ["0", "1"]


def test_a_prompt_alone_becomes_sound_alone(tmp_path: Path) -> None:
    options = ItemOptions(prompt="rain", duration=Fraction(1), steps=1)
    go([item(None, "rain", options)], tmp_path)
    assert set(contents(tmp_path)) == {"rain.flac", "rain.json"}
