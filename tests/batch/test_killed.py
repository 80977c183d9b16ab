"""Processes that are killed or work side by side, and what is found after them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from mmaudio_core.batch import run as running
from tests.batch.killed import ITEMS, run, seeded_noise
from tests.batch.test_run import contents

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks")


def seconds(path: Path) -> float:
    """Of a sound file, by decoding all of it."""
    with av.open(str(path)) as file:
        return sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))


def test_a_run_killed_anywhere_is_resumed_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "generate", seeded_noise)  # and back again
    done = subprocess.run(
        [sys.executable, "-m", "tests.batch.killed", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = json.loads(done.stdout)
    whole = contents(tmp_path / "whole")
    assert len(whole) == 7
    # per item: a record of the attempt, a file per take, and the sidecar
    assert told["points"] == 3 + 4 + 3
    for folder in sorted(tmp_path.glob("* *")):
        left = contents(folder)
        for path in folder.glob("*.flac"):
            assert seconds(path) == pytest.approx(0.64)
        for path in folder.glob("*.json"):
            assert left[path.name] == whole[path.name]
            assert all((folder / f["name"]).exists() for f in json.loads(left[path.name])["files"])
        run(ITEMS, folder)
        assert contents(folder) == whole, folder.name
        assert not list((folder / ".mmaudio" / "attempts").glob("*.json"))

    one, other = told["two"]
    assert sorted([*one, *other]) == [str(number) for number in range(8)]
    assert one and other
