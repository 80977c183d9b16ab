"""The feature cache: what a key covers, its bounds, sharing a folder, and being killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from mmaudio_core.feature_cache import (
    FeatureCache,
    VideoDigests,
    item_digests,
    weights_fingerprint,
)
from mmaudio_core.partial_files import delete_abandoned

ROOT = Path(__file__).parents[2]
ROW = torch.arange(256, dtype=torch.float32)  # 1 KB


def key(number: int) -> bytes:
    return number.to_bytes(20, "big")


def test_the_least_recently_used_goes_first() -> None:
    cache = FeatureCache(3 * ROW.nbytes)
    for number in range(3):
        cache.put(key(number), ROW + number)
    assert cache.get(key(0)) is not None
    cache.put(key(3), ROW)
    kept = [number for number in range(4) if cache.get(key(number)) is not None]
    assert kept == [0, 2, 3]
    assert cache.nbytes == 3 * ROW.nbytes
    cache.put(key(3), ROW)  # again: counted once
    assert cache.nbytes == 3 * ROW.nbytes


def test_a_row_does_not_keep_its_batch() -> None:
    cache = FeatureCache()
    batch = torch.zeros(1000, 256)
    cache.put(key(0), batch[0])
    kept = cache.get(key(0))
    assert kept is not None and kept.untyped_storage().nbytes() == ROW.nbytes


def test_too_large_for_memory_is_not_kept() -> None:
    cache = FeatureCache(ROW.nbytes - 1)
    cache.put(key(0), ROW)
    assert cache.get(key(0)) is None and cache.nbytes == 0


def test_all_or_nothing() -> None:
    cache = FeatureCache()
    for number in range(3):
        cache.put(key(number), ROW + number)
    both = cache.get_all([key(2), key(0), key(2)])
    assert both is not None and both[:, 0].tolist() == [2, 0, 2]
    assert cache.get_all([key(0), key(9)]) is None


@pytest.mark.parametrize("change", ["a byte", "the dtype", "the shape", "the encoder"])
def test_a_digest_covers_everything_that_decides_the_features(change: str) -> None:
    items = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    (plain, same), encoder = item_digests(items, "clip:1"), "clip:1"
    assert plain == same
    if change == "a byte":
        items[1, 2, 3, 3] = 1
    elif change == "the dtype":
        items = items.view(torch.int8)
    elif change == "the shape":
        items = items.view(2, 3, 2, 8)
    else:
        encoder = "clip:2"
    assert item_digests(items, encoder)[1] != plain


def test_a_folder_outlives_the_process_and_is_shared(tmp_path: Path) -> None:
    FeatureCache(0, tmp_path).put(key(1), ROW)
    found = FeatureCache(folder=tmp_path).get(key(1))
    assert found is not None and torch.equal(found, ROW)


def test_a_damaged_file_counts_as_missing_and_is_written_anew(tmp_path: Path) -> None:
    FeatureCache(0, tmp_path).put(key(1), ROW)
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert FeatureCache(folder=tmp_path).get(key(1)) is None
    FeatureCache(0, tmp_path).put(key(1), ROW)
    assert FeatureCache(folder=tmp_path).get(key(1)) is not None


def test_a_folder_that_cannot_be_written_costs_nothing_but_speed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = FeatureCache(folder=tmp_path / "file" / "below")
    for number in range(2):
        cache.put(key(number), ROW)
        assert cache.get(key(number)) is not None
    (told,) = caplog.messages
    assert str(tmp_path / "file" / "below") in told and "Not a directory" in told


WRITER = """
import sys
from pathlib import Path

import torch

from mmaudio_core.feature_cache import FeatureCache

cache = FeatureCache(0, Path(sys.argv[1]))
while True:  # the same files again and again: more and more would never be listed
    for number in range(200):
        cache.put(number.to_bytes(20, "big"), torch.full((256,), float(number)))
"""


def test_killed_writers_leave_whole_files_only(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    try:
        while len(list(tmp_path.rglob("*.safetensors"))) < 20:
            assert all(writer.poll() is None for writer in writers)
            time.sleep(0.01)
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    cache = FeatureCache(folder=tmp_path)
    for file in tmp_path.rglob("*.safetensors"):
        found = cache.get(bytes.fromhex(file.stem))
        assert found is not None and found[0] == int(file.stem, 16)


HALF = """
import os
import sys
from pathlib import Path

import torch

from mmaudio_core.feature_cache import FeatureCache


def killed(*_: object) -> None:
    os.kill(os.getpid(), 9)


os.replace = killed
FeatureCache(0, Path(sys.argv[1])).put(bytes(20), torch.ones(256))
"""


@pytest.mark.skipif(os.name == "nt", reason="no kill -9")
def test_what_a_killed_writer_left_is_deleted(tmp_path: Path) -> None:
    """By the sweep at the start, and by the next write beside it."""
    killed = subprocess.run([sys.executable, "-c", HALF, str(tmp_path)], check=False, cwd=ROOT)
    assert killed.returncode < 0
    (left,) = (path for path in tmp_path.rglob("*") if path.is_file())
    minute_ago = time.time() - 60
    os.utime(left, (minute_ago, minute_ago))
    assert delete_abandoned(tmp_path) == 1 and not left.exists()
    left.write_bytes(b"half")
    os.utime(left, (minute_ago, minute_ago))
    FeatureCache(0, tmp_path).put(bytes(20), ROW)
    assert not left.exists()
    assert FeatureCache(folder=tmp_path).get(bytes(20)) is not None


def test_a_full_disk_costs_speed_and_is_said_once(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FeatureCache(folder=small_disk)
    large = torch.zeros(100_000)  # 0.4 MB: two of them fit
    for number in range(6):
        cache.put(key(number), large + number)
    for number in range(6):
        found = cache.get(key(number))
        assert found is not None and found[0] == number
    (told,) = caplog.messages
    assert str(small_disk) in told and "free some space" in told
    kept = [path for path in small_disk.rglob("*") if path.is_file()]
    assert {path.suffix for path in kept} == {".safetensors"} and len(kept) == 2
    later = FeatureCache(folder=small_disk)
    assert sum(later.get(key(number)) is not None for number in range(6)) == 2


def test_videos_are_bounded() -> None:
    cache = FeatureCache()
    digests = VideoDigests(duration=Fraction(1), clip=None, sync=(key(0),), motion=torch.zeros(1))
    for number in range(300):
        cache.put_video((number,), digests)
    assert cache.get_video((299,)) == digests
    assert cache.get_video((0,)) is None


def test_a_fingerprint_knows_weights_and_not_names(tmp_path: Path) -> None:
    data = bytearray(torch.randint(0, 256, (10_000_000,), dtype=torch.uint8).numpy().tobytes())
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(data)
    two.write_bytes(data)
    assert weights_fingerprint(one) == weights_fingerprint(two)
    two.write_bytes(bytes(value ^ 1 for value in data))
    assert weights_fingerprint(one) != weights_fingerprint(two)
    two.write_bytes(data[:-1])
    assert weights_fingerprint(one) != weights_fingerprint(two)
