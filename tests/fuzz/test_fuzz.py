"""A part of ``python -m tests.fuzz``, and tests that it finds faults."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from . import hunt as hunting
from .cases import run_case
from .hunt import hunt
from .mutate import mutated, mutated_safetensors
from .seeds import KINDS, make_seeds


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    make_seeds(folder)
    return folder


def test_intact_files_pass(seeds: Path, tmp_path: Path) -> None:
    """Otherwise the errors of damaged ones would prove nothing."""
    for kind in KINDS:
        for intact in sorted((seeds / kind).iterdir()):
            folder = tmp_path / intact.name
            folder.mkdir()
            path = folder / f"case{intact.suffix}"
            path.write_bytes(intact.read_bytes())
            assert run_case(kind, path) == "ok", intact.name


def test_equal_seeds_give_equal_damage(seeds: Path) -> None:
    video = (seeds / "media" / "plain.mp4").read_bytes()
    weights = (seeds / "weights" / "vae_16k.safetensors").read_bytes()
    for data, damage in ((video, mutated), (weights, mutated_safetensors)):
        damaged = [damage(data, Random(n)) for n in (1, 1, 2)]
        assert damaged[0] == damaged[1] != damaged[2]
        assert all(damage(data, Random(n)) != data for n in (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("media", 60), ("others", 30), ("weights", 40)])
def test_damaged_files_end_in_an_error_or_a_correct_result(
    kind: str, count: int, seeds: Path
) -> None:
    tally = hunt(kind, range(count), 0, seeds)
    assert tally.faults == {}
    assert tally.cases == count
    assert tally.correct and tally.errors
    assert not any("Traceback" in error for error in tally.errors.values())


def test_crashes_and_endless_loops_are_faults(
    seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is replaced by one that crashes, and by one that hangs."""
    for fault, words in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with -11"),
        ("import time; time.sleep(60)", "nothing came back within 1 s"),
    ):
        package = tmp_path / words.split()[-1] / "tests" / "fuzz"
        package.mkdir(parents=True)
        for name, text in (("../__init__", ""), ("__init__", ""), ("worker", fault)):
            (package / f"{name}.py").write_text(text)
        monkeypatch.setattr(hunting, "ROOT", package.parents[1])
        monkeypatch.setattr(hunting, "_START", 1.0 if "sleep" in fault else 30.0)
        tally = hunt("media", range(2), 0, seeds)
        assert tally.cases == 2
        assert all(words in fault for fault in tally.faults.values())
