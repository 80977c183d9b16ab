"""The sweep over best-of, on tiny networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.best_of import ClipRun, parser, run, table
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from mmaudio_core.scoring.types import TakeScores
from tests.core.made_videos import steady, write_video


def clip_run(*desyncs: float | None) -> ClipRun:
    return ClipRun(
        name="clip",
        scores=tuple(TakeScores(desync=value, voice=0.5 - (value or 0)) for value in desyncs),
        features_seconds=10.0,
        take_seconds={1: 1.0, 2: 2.0, 4: 4.0},
        score_seconds={1: 0.5, 2: 1.0, 4: 2.0},
    )


def test_the_table_is_of_the_best_of_the_first() -> None:
    lines = table([clip_run(0.3, 0.4, 0.1, 0.0), clip_run(0.2, 0.1, 0.4, 0.3)], (1, 2, 4), "sync")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()]
    assert rows[0][:5] == ["best of", "seconds", "times", "total", "desync"]
    assert [row[:3] for row in rows[2:]] == [
        ["1", "11.0", "1.00"],  # a single take is not scored
        ["2", "13.0", "1.18"],
        ["4", "16.0", "1.45"],
    ]
    assert [row[4] for row in rows[2:]] == ["0.250", "0.200", "0.050"]
    assert [row[5] for row in rows[2:]] == ["-"] * 3  # agreement was not measured
    by_voice = table([clip_run(0.3, 0.4, 0.1, 0.0)], (1, 2, 4), "voice").splitlines()
    assert [line.split("|")[5].strip() for line in by_voice[2:]] == ["0.300", "0.400", "0.400"]


def test_the_sweep_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two clips and a file that is none, on weights that make noise."""
    weights, clips = tmp_path / "weights", tmp_path / "clips"
    write_synthetic_bundle(weights, variant="small_16k")
    clips.mkdir()
    for name in ("a.mp4", "b.mp4"):
        write_video(clips / name, steady(25, 25))
    (clips / "c.mp4").write_text("no video")
    file = tmp_path / "figures.json"
    arguments = [str(clips), f"--weights={weights}", f"--json={file}", "--model=small_16k"]
    common = ["--of=1,2", "--steps=1", "--seconds=0.8", "--device=cpu", "--precision=fp32"]
    assert run(parser().parse_args([*arguments, *common])) == 0
    told = capsys.readouterr()
    assert "c.mp4: left out" in told.err
    assert "| best of | seconds | times |" in told.out
    assert "not measured: desync" in told.out
    found: dict[str, Any] = json.loads(file.read_text())
    assert [clip["name"] for clip in found["clips"]] == ["a.mp4", "b.mp4"]
    for clip in found["clips"]:
        totals = [take["total"] for take in clip["takes"]]
        assert len(totals) == 2
        assert clip["kept"] == {"1": 0, "2": totals.index(max(totals))}
        assert clip["seconds"]["2"] > clip["seconds"]["1"] > 0


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(parser().parse_args([str(tmp_path)])) == 1
    assert "there is no video" in capsys.readouterr().err
