"""A slice of ``python -m tests.fuzz``, and that the hunt sees what it is there to see."""

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


def test_whole_files_pass(seeds: Path, tmp_path: Path) -> None:
    """Or else damage would be told for another reason."""
    for kind in KINDS:
        for sound in sorted((seeds / kind).iterdir()):
            folder = tmp_path / sound.name
            folder.mkdir()
            path = folder / f"case{sound.suffix}"
            path.write_bytes(sound.read_bytes())
            assert run_case(kind, path) == "ok", sound.name


def test_damage_is_drawn_again_from_the_same_seed(seeds: Path) -> None:
    video = (seeds / "media" / "plain.mp4").read_bytes()
    weights = (seeds / "weights" / "vae_16k.safetensors").read_bytes()
    for data, damage in ((video, mutated), (weights, mutated_safetensors)):
        damaged = [damage(data, Random(n)) for n in (1, 1, 2)]
        assert damaged[0] == damaged[1] != damaged[2]
        assert all(damage(data, Random(n)) != data for n in (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("media", 60), ("others", 30), ("weights", 40)])
def test_damage_is_told_or_does_no_harm(kind: str, count: int, seeds: Path) -> None:
    tally = hunt(kind, range(count), 0, seeds)
    assert tally.faults == {}
    assert tally.cases == count
    assert tally.right and tally.told
    assert not any("Traceback" in error for error in tally.errors.values())


def test_crashes_and_endless_loops_are_seen(
    seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a worker that does one or the other."""
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
        assert all(words in told for told in tally.faults.values())
