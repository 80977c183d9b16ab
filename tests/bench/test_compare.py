"""Sides take turns, and their figures are put together, with a made-up worker on each side."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from bench.compare import compare
from bench.job import Job
from bench.process import SideSpec
from bench.results import OURS, PUBLISHED, Results, results
from bench.stages import PARTS, Stage
from bench.table import table
from tests.bench.fake_worker import SECONDS

_FIGURES = {"ours_s", "published_s", "ratio", "limit_share"}


def spec(name: str) -> SideSpec:
    return SideSpec(name=name, python=sys.executable, module="tests.bench.fake_worker")


def job(folder: Path) -> Job:
    return Job(
        device="cpu",
        precision="fp32",
        decoders="fp32",
        compared_precision="fp32",
        variant="tiny",
        seconds=1,
        takes=1,
        steps=2,
        cfg=4.5,
        video="",
        weights="",
        out=str(folder),
    )


def measured(folder: Path, stages: tuple[Stage, ...], *sides: str, total: str = "run") -> Results:
    for side in sides:  # workers that do without torch start quickly
        torch.save(torch.ones(4) * SECONDS[side], folder / f"made_by_{side}")
    comparison = compare([spec(side) for side in sides], job(folder), stages, rounds=3)
    return results(comparison, {Stage.SAMPLER: 0.25}, total=total)


def test_sides_alternate(tmp_path: Path) -> None:
    measured(tmp_path, (Stage.CONDITIONS, Stage.SAMPLER), OURS, PUBLISHED)
    lines = (tmp_path / "order.txt").read_text().splitlines()
    once = ["ours conditions", "published conditions", "ours sampler", "published sampler"]
    assert lines == once * 3


def test_figures(tmp_path: Path) -> None:
    found = measured(tmp_path, (Stage.MEDIA, Stage.SAMPLER), OURS, PUBLISHED)
    row = found.row(Stage.SAMPLER)
    assert row is not None
    assert (row.sides[OURS].cold, row.sides[OURS].warm) == (10, 1)
    assert row.ratio() == 3
    assert row.limit_share == 0.25
    assert row.difference == pytest.approx(2 / 3)
    data = json.loads(json.dumps(found.to_json()))
    assert list(data["stages"]) == ["media", "sampler"]
    assert all(set(figures) >= _FIGURES for figures in data["stages"].values())
    assert data["device"] == "cpu"
    assert data["peak_mb"][OURS] == 100
    assert data["rates"] == [{"precision": "fp32", "flops": 1e12, "bytes": 1e10}]


def test_without_a_reference(tmp_path: Path) -> None:
    data = measured(tmp_path, PARTS, OURS, total="sum").to_json()
    assert list(data["stages"]) == [stage.value for stage in Stage]
    assert all(figures["published_s"] is None for figures in data["stages"].values())
    assert all(figures["ratio"] is None for figures in data["stages"].values())
    assert data["stages"]["total"]["ours_s"] == len(PARTS)


def test_failures_leave_the_rest(tmp_path: Path) -> None:
    found = measured(tmp_path, PARTS, OURS, PUBLISHED, total="sum")
    clip, vocoder = found.row(Stage.CLIP), found.row(Stage.VOCODER)
    assert clip is not None and vocoder is not None
    assert clip.notes == ("published: no CLIP here",)
    assert "ended with 7" in vocoder.notes[0] and "about to go" in vocoder.notes[0]
    assert vocoder.seconds(OURS) == 1 and vocoder.seconds(PUBLISHED) is None
    total = found.row(Stage.TOTAL)
    assert total is not None and total.seconds(PUBLISHED) is None
    text = table(found)
    assert "no CLIP here" in text
    assert "3.00x" in text
    assert "25%" in text
