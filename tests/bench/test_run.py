"""The whole benchmark on tiny networks, as ``dev.py bench`` starts it."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from bench.__main__ import main
from bench.stages import Stage
from bench.video import made


def test_every_stage_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "figures.svg"
    options = ["--variant=tiny", "--device=cpu", "--seconds=1", "--steps=1", "--rounds=1"]
    options += [f"--weights={tmp_path}", f"--json={figures}", f"--picture={picture}"]
    assert main([*options, "--threads=2"]) == 0
    data = json.loads(figures.read_text())
    assert set(data["stages"]) == {stage.value for stage in Stage}
    for name, stage in data["stages"].items():
        assert stage["ours_s"] > 0, name
        assert stage["published_s"] is None and stage["ratio"] is None
        assert stage["limit_share"] > 0, name
    assert data["peak_mb"]["ours"] > 0
    assert picture.read_text().startswith("<svg")
    assert "sampler" in capsys.readouterr().out


def test_a_whole_job(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ["--variant=tiny", "--device=cpu", "--seconds=1", "--steps=1", "--rounds=1"]
    options += [f"--weights={tmp_path}", "--stages=total", "--takes=2", f"--json={figures}"]
    assert main([*options, "--made=64x48"]) == 0
    data = json.loads(figures.read_text())
    assert (data["takes"], data["total"]) == (2, "run")
    assert list(data["stages"]) == ["total"]
    assert data["stages"]["total"]["limit_share"] > 0


def test_each_duration_has_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ["--variant=tiny", "--device=cpu", "--seconds=1,2", "--rounds=1", "--stages=media"]
    assert main([*options, f"--weights={tmp_path}", f"--json={figures}"]) == 0
    assert [run["seconds"] for run in json.loads(figures.read_text())["runs"]] == [1, 2]


def test_made_videos_are_as_long_as_asked_for(tmp_path: Path) -> None:
    with av.open(str(made(64, 48, 5, tmp_path))) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert len(times) == 150
    assert times == pytest.approx([number / 25 for number in range(150)])
