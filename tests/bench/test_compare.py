"""Implementations take turns, and their figures are put together, with fake workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bench.compare import compare
from bench.implementations import OURS, PUBLISHED
from bench.job import Job
from bench.process import WorkerSpec
from bench.results import Results, Row, summarize
from bench.stages import PARTS, Stage
from bench.table import table
from tests.bench.fake_worker import SECONDS


def measure(folder: Path, stages: tuple[Stage, ...], *names: str, total: str = "run") -> Results:
    for name in names:  # the fake workers start quickly because they do not import torch
        torch.save(torch.ones(4) * SECONDS[name], folder / f"result_of_{name}")
    job = Job(
        device="cpu",
        precision="fp32",
        decoders="fp32",
        compared_precision="fp32",
        variant="tiny",
        seconds=1,
        takes=1,
        steps=2,
        cfg=4.5,
        video=folder,
        weights=folder,
        out=folder,
    )
    python, module = Path(sys.executable), "tests.bench.fake_worker"
    specs = [WorkerSpec(name=name, python=python, module=module) for name in names]
    return summarize(compare(specs, job, stages, rounds=3), total=total)


def row_of(results: Results, stage: Stage) -> Row:
    return next(row for row in results.rows if row.name == stage.value)


def test_implementations_alternate(tmp_path: Path) -> None:
    measure(tmp_path, (Stage.CONDITIONS, Stage.SAMPLER), OURS, PUBLISHED)
    lines = (tmp_path / "order.txt").read_text().splitlines()
    once = ["ours conditions", "published conditions", "ours sampler", "published sampler"]
    assert lines == once * 3


def test_figures(tmp_path: Path) -> None:
    results = measure(tmp_path, (Stage.MEDIA, Stage.SAMPLER), OURS, PUBLISHED)
    row = row_of(results, Stage.SAMPLER)
    assert (row.timings[OURS].cold, row.timings[OURS].warm) == (10, 1)
    assert row.ratio == 3
    assert row.difference == pytest.approx(2 / 3)
    data = results.to_json()
    assert list(data["stages"]) == ["media", "sampler"]
    assert data["load"]["ours_s"] == 20  # one load for each of two processes
    assert data["peak_mb"] == {OURS: 100, PUBLISHED: 100, "ratio": 1}


def test_failures_leave_the_rest(tmp_path: Path) -> None:
    results = measure(tmp_path, PARTS, OURS, PUBLISHED, total="sum")
    clip, vocoder = row_of(results, Stage.CLIP), row_of(results, Stage.VOCODER)
    assert clip.notes == ("published: no CLIP here",)
    assert "exited with code 7" in vocoder.notes[0] and "about to exit" in vocoder.notes[0]
    assert vocoder.timings[OURS].warm == 1 and PUBLISHED not in vocoder.timings
    total = row_of(results, Stage.TOTAL)
    assert total.timings[OURS].warm == len(PARTS) and PUBLISHED not in total.timings
    text = table(results)
    assert "no CLIP here" in text
    assert "3.00x" in text
