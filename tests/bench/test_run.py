"""The whole benchmark on tiny networks, as ``dev.py bench`` runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest

from bench import options
from bench.__main__ import run
from bench.stages import Stage, phases
from bench.video import repeat_video
from dev.demo import sample_video
from mmaudio_core.checkpoint import VARIANTS

_STAGE_KEYS = {
    *("ours_s", "ours_cold_s", "ours_mb", "ours_added_mb", "ours_cpu_s"),
    *("published_s", "published_cold_s", "published_mb", "published_added_mb", "published_cpu_s"),
    *("ratio", "difference", "notes", "limit_share", "limit_s", "kijai_s", "kijai_ratio"),
}
_KEYS = {
    *("device", "precision", "decoders", "compared_precision", "variant", "seconds", "takes"),
    *("steps", "cfg", "total", "load_average", "rates", "load", "stages", "peak_mb"),
}


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    """The JSON that ``dev.py bench`` writes for the tiny variant."""
    path = folder / "figures.json"
    common = ["--variant=tiny", "--device=cpu", "--seconds=1", "--steps=1", "--rounds=1"]
    files = [f"--weights={folder}", f"--json={path}"]
    assert run(options.bench_parser().parse_args([*common, *files, *arguments])) == 0
    return json.loads(path.read_text())


def test_every_stage_of_ours(tmp_path: Path) -> None:
    data = bench(tmp_path)
    assert set(data) == _KEYS
    assert set(data["stages"]) == {stage.value for stage in Stage}
    for name, stage in data["stages"].items():
        assert set(stage) == _STAGE_KEYS
        assert stage["ours_s"] > 0, name
        assert stage["published_s"] is None and stage["ratio"] is None
    assert data["peak_mb"]["ours"] > 0


def test_whole_jobs_of_each_duration(tmp_path: Path) -> None:
    data = bench(tmp_path, "--stages=total", "--takes=2", "--seconds=1,2")
    assert (data["takes"], data["total"]) == (2, "run")
    assert list(data["stages"]) == ["total"]
    assert [job["seconds"] for job in data["runs"]] == [1, 2]


def test_a_repeated_video_is_continuous(tmp_path: Path) -> None:
    with av.open(str(repeat_video(sample_video(), 25, tmp_path / "long.mp4"))) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([number / 25 for number in range(750)])


@pytest.mark.parametrize(
    "argument", ["--stages=sampling", "--takes=0", "--seconds=long", "--reference=/no/such"]
)
def test_wrong_arguments_are_refused(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.bench_parser().parse_args([argument])
    assert argument.partition("=")[0] in capsys.readouterr().err


def test_every_published_variant_can_be_chosen() -> None:
    assert (*VARIANTS, "tiny") == options.VARIANTS


def test_every_stage_has_a_process() -> None:
    assert sorted(stage for phase in phases(tuple(Stage)) for stage in phase) == sorted(Stage)
