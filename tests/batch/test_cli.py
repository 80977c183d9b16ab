"""The command: what it prints, what it ends with, and what an interrupt leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # pyright: ignore[reportMissingTypeStubs]
import pytest
import torch
from safetensors.torch import save_file

from mmaudio_core.batch import run as running
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from mmaudio_core.cli.arguments import parser
from mmaudio_core.cli.comfyui import weight_folders
from mmaudio_core.cli.main import main
from mmaudio_core.cli.models import find_weights, load_networks
from mmaudio_core.cli.report import Report
from mmaudio_core.mux import mux_audio
from tests.batch.clips import clip, item
from tests.batch.test_run import contents

ROOT = Path(__file__).parents[2]
MODEL = ("--model", "small_16k", "--precision", "fp32", "--threads", "1")
QUICK = (*MODEL, "--steps", "1", "--duration", "0.8")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_synthetic_bundle(folder, variant="small_16k")
    return folder


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, weights: Path) -> None:
    monkeypatch.setenv("MMAUDIO_WEIGHTS", str(weights))


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_gets_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip(tmp_path / "in" / "day 1" / "a.mp4")
    (tmp_path / "in" / "b.mp4").write_text("no video")
    out = str(tmp_path / "out")
    command = ["sound", str(tmp_path / "in"), "--out", out, *QUICK]
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.out == f"{out}/day 1/a.mp4\n"
    assert "synthetic weights, the sound will be noise" in told.err
    assert "failed (decode): " in told.err and "cannot be opened as a video" in told.err
    assert "1 done, 0 were done before, 1 failed" in told.err
    sidecar = json.loads((tmp_path / "out" / "day 1" / "a.json").read_text())
    assert sidecar["options"] == {"steps": 1, "duration": "4/5"}
    assert set(sidecar["run"]["weights"]) == {"flow", "vae", "vocoder", "clip", "synchformer"}
    assert sidecar["run"]["precision"]["flow"] == "float32"

    (tmp_path / "in" / "b.mp4").unlink()
    assert main([*command, "--json"]) == 0
    told = capsys.readouterr()
    assert [e["event"] for e in events(told.out)] == ["start", "skipped", "end"]
    assert events(told.out)[-1]["skipped"] == 1
    assert "%" not in told.err  # no bars where no terminal is


def test_what_is_asked_wrongly_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.jsonl").write_text('{"video": "a.mp4", "promt": "x"}\n')
    out = ("--out", str(tmp_path / "out"))
    for arguments, told in (
        (["sound", str(tmp_path / "list.jsonl"), *out], 'line 1: there is no key "promt"'),
        (["sound", str(tmp_path / "none"), *out], "does not exist"),
        (["sound", "a.mp4", *out, "--audio-only", "--container", "mp4"], "for sound alone"),
        (["sound", "a.mp4", "--out", "https://example.org/x"], "nothing can be written"),
        (["sound", "a.mp4", "--out", "smb3000://x/y"], "a kind that fsspec knows"),
    ):
        assert main(arguments) == 2
        assert told in capsys.readouterr().err
    for arguments, told in (
        ([], "required: COMMAND"),
        (["sound", "a.mp4"], "--out"),
        (["sound", "a.mp4", *out, "--steps", "0"], "expected a whole number from 1 to 1000"),
        (["sound", "a.mp4", *out, "--cfg", "NaN"], "expected a number from 0 to 20"),
        (["sound", "a.mp4", *out, "--container", "avi"], "expected one of auto, mp4"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    for places in (["a.mp4", "--out", "s3://x/y"], ["s3://x/a.mp4", "--out", str(tmp_path)]):
        assert main(["sound", *places]) == 3
        assert "needs what is not installed" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.jsonl").write_text('{"out": "rain", "duration": 1}\n')
    (tmp_path / "file").touch()
    assert (
        main(["sound", str(tmp_path / "one.jsonl"), "--out", str(tmp_path / "file"), *QUICK]) == 1
    )
    assert "expected a folder with write permission" in capsys.readouterr().err


def test_missing_weights_are_listed_with_where_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(clip(tmp_path / "a.mp4"))
    command = ["sound", video, "--out", str(tmp_path / "out")]
    assert main([*command, "--model", "large_44k_v2"]) == 3
    told = capsys.readouterr().err
    assert "https://huggingface.co/hkchengrex/MMAudio/resolve/main/weights/" in told
    assert f"Put them into {os.environ['MMAUDIO_WEIGHTS']}" in told
    assert main([*command, "--weights", str(tmp_path / "none")]) == 3
    assert "which is no folder" in capsys.readouterr().err
    assert main([*command, "--device", "cuda:9"]) == 3
    assert "'cuda:9'" in capsys.readouterr().err

    monkeypatch.delenv("MMAUDIO_WEIGHTS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(command) == 3
    told = capsys.readouterr().err
    assert "--weights or $MMAUDIO_WEIGHTS" in told
    assert str(tmp_path / "comfy" / "ComfyUI" / "models" / "mmaudio") in told


def test_the_weights_of_a_comfyui_are_found(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMAUDIO_WEIGHTS")
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    (tmp_path / "ComfyUI" / "models").mkdir(parents=True)
    (tmp_path / "ComfyUI" / "models" / "mmaudio").symlink_to(weights, target_is_directory=True)
    (tmp_path / "one.jsonl").write_text('{"out": "rain", "prompt": "rain"}\n')
    arguments = ["sound", str(tmp_path / "one.jsonl"), "--out", str(tmp_path / "out"), *QUICK]
    assert main(arguments) == 0
    assert set(contents(tmp_path / "out")) == {"rain.flac", "rain.json"}


def test_folders_that_a_comfyui_is_told_of_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    comfyui = tmp_path / "ComfyUI"
    monkeypatch.setenv("MMAUDIO_HOME", str(tmp_path / "home"))
    for folder in ("ComfyUI/models/mmaudio", "home/mmaudio", "ComfyUI/more", "first"):
        (tmp_path / folder).mkdir(parents=True)
    configuration = comfyui / "extra_model_paths.yaml"
    configuration.write_text(
        "shared:\n  base_path: $MMAUDIO_HOME\n  mmaudio: |\n    mmaudio\n    not there\n"
        f"other:\n  mmaudio: more\nbest:\n  is_default: true\n  mmaudio: {tmp_path / 'first'}\n"
        "empty:\n"
    )
    assert [path.relative_to(tmp_path).as_posix() for path in weight_folders(comfyui)] == [
        "first",
        "home/mmaudio",
        "home/not there",
        "ComfyUI/more",
        "ComfyUI/models/mmaudio",
    ]
    monkeypatch.delenv("MMAUDIO_WEIGHTS")
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui))
    assert len(find_weights(None)) == 4
    configuration.write_text("shared: [")
    assert main(["sound", str(clip(tmp_path / "a.mp4")), "--out", str(tmp_path / "out")]) == 3
    assert f"{configuration} cannot be read (" in capsys.readouterr().err


def test_a_model_may_be_a_file(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = next(weights.glob("*_flow.safetensors"))
    for name in (flow.name, str(flow)):
        arguments = parser().parse_args(["score", "a.mp4", "--model", name])
        assert load_networks(arguments).bundle.flow.path == flow
    away = tmp_path / "away.safetensors"
    away.touch()
    for name, told in ((str(away), f"expected a file in {weights}"), ("smal_16k", "small_16k, ")):
        assert main(["score", "a.mp4", "--model", name]) == 3
        assert told in capsys.readouterr().err


def test_bars_show_the_end_of_a_long_name(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    report = Report(1, "out", events=False)
    report.begin([item(None, f"{'day/' * 20}door")])
    report.end()
    bar = next(text for text in terminal.getvalue().split("\r") if "door" in text)
    assert bar.startswith(f"...{('day/' * 20 + 'door')[-37:]}:   0%|")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_files_are_inspected(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = clip(tmp_path / "a.mp4")
    flow = next(weights.glob("*_flow.safetensors"))
    assert main(["inspect", str(flow), str(video), "--json"]) == 0
    network, film = events(capsys.readouterr().out)
    assert network["networks"][0]["variant"] == "small_16k"
    assert network["networks"][0]["synthetic"] is True
    assert (film["width"], film["height"], film["duration"]) == (64, 48, 1.2)
    assert film["tracks"] == [{"index": 0, "type": "video", "codec": "h264", "used": True}]
    assert main(["inspect", str(flow), str(tmp_path / "none.mp4"), str(video)]) == 1
    told = capsys.readouterr().out
    assert "flow network (width 64" in told and "does not exist" in told
    assert "a video, 1.2 s, 64x48, 25 frames per second, h264" in told
    fsspec.filesystem("memory").pipe_file("/inspected/a.mp4", video.read_bytes())
    assert main(["inspect", "memory://inspected/a.mp4", "memory://inspected/a.pth"]) == 1
    told = capsys.readouterr().out
    assert "memory://inspected/a.mp4: a video, 1.2 s, 64x48" in told
    assert "expected weights on a disk" in told
    lora = tmp_path / "lora.safetensors"
    shapes = {
        "fused_blocks.0.attn.qkv.lora_A": (8, 448),
        "fused_blocks.0.attn.qkv.lora_B": (1344, 8),
    }
    save_file({f"{key}.weight": torch.zeros(shape) for key, shape in shapes.items()}, lora)
    assert main(["inspect", str(lora)]) == 0
    assert capsys.readouterr().out == (
        f"{lora}: a LoRA of rank 8 for 1 of a network's matrices, 14336 values in float32; it fits "
        "small_16k, small_44k\n"
    )
    if hasattr(os, "mkfifo"):
        pipes = [tmp_path / "pipe.mp4", tmp_path / "pipe.safetensors"]
        for pipe in pipes:
            os.mkfifo(pipe)
        assert main(["inspect", *map(str, pipes)]) == 1
        assert capsys.readouterr().out.count("is a pipe") == 2


def test_the_sound_of_a_video_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = clip(tmp_path / "silent.mp4")
    noise = torch.rand(1, 19_200, generator=torch.Generator().manual_seed(0)) - 0.5
    mux_audio(silent, noise, 16_000, tmp_path / "loud")
    assert main(["score", str(tmp_path / "loud.mp4"), str(silent), *MODEL, "--json"]) == 1
    loud, none = events(capsys.readouterr().out)
    assert loud["scores"]["agreement"] is not None and loud["scores"]["total"] is not None
    assert set(loud["unmeasured"]) == {n for n, v in loud["scores"].items() if v is None}
    assert "has no sound track" in none["error"]


def test_a_signal_ends_a_run_as_ctrl_c_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.jsonl").write_text('{"out": "rain"}\n')
    out = tmp_path / "out"
    command = ["sound", str(tmp_path / "one.jsonl"), "--out", str(out), *QUICK]
    monkeypatch.setattr(running, "generate", lambda *_: signal.raise_signal(signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pytest has a handler of its own
    try:
        assert main(command) == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "ended by SIGTERM: run the same command again" in capsys.readouterr().err
    assert not list((out / ".mmaudio" / "attempts").iterdir())
    assert contents(out) == {}


class _Closed(io.StringIO):
    """A stream whose reader ends before a text comes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def write(self, text: str, /) -> int:
        if self._text in text:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@pytest.mark.parametrize(("last", "flags"), [("progress", ["--json"]), ("rain.flac", [])])
def test_output_that_nobody_takes_is_no_failure_of_an_item(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    last: str,
    flags: list[str],
) -> None:
    (tmp_path / "one.jsonl").write_text('{"out": "rain"}\n')
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "stdout", _Closed(last))
    assert main(["sound", str(tmp_path / "one.jsonl"), "--out", str(out), *QUICK, *flags]) == 1
    assert "nobody takes the output (Broken pipe)" in capsys.readouterr().err
    assert not (out / "failures.jsonl").exists()
    assert not list((out / ".mmaudio" / "attempts").iterdir())


def test_a_process_may_have_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["inspect", str(clip(tmp_path / "a.mp4"))]) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl+C to all processes of a console")
def test_ctrl_c_leaves_nothing_half(tmp_path: Path) -> None:
    lines = [{"out": "a", "steps": 1}, {"out": "b", "steps": 1000}]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("".join(json.dumps({**line, "duration": 2}) + "\n" for line in lines))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mmaudio_core", "sound", str(manifest)]
    command += ["--out", str(out), *MODEL, "--json"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen: list[dict[str, Any]] = []
    for event in _until_sampling(process.stdout, "b"):
        seen.append(event)
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "run the same command again to go on" in told
    assert events(rest)[-1]["interrupted"] is True
    assert set(contents(out)) == {"a.flac", "a.json"}
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]
    assert not list((out / ".mmaudio" / "attempts").iterdir())


def _until_sampling(lines: Iterator[str], out: str) -> Iterator[dict[str, Any]]:
    for line in lines:
        event = json.loads(line)
        yield event
        if event["event"] == "progress" and event["out"] == [out] and event["stage"] == "sampling":
            return
