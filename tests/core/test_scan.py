"""Scanning folders of weights: bounded, total, and nothing twice."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mmaudio_core.checkpoint import Catalog, PartKind, fingerprint_part, load_part
from mmaudio_core.checkpoint import header as header_module
from mmaudio_core.checkpoint.identify import identify
from mmaudio_core.checkpoint.scan import Scanner
from mmaudio_core.errors import CheckpointError
from tests.golden_files import tiny_weights

ROOT = Path(__file__).parents[2]
ENDINGS = {".safetensors", ".pth"}


def scan(scanner: Scanner, *folders: Path) -> Catalog:
    return scanner.scan([str(folder) for folder in folders], ENDINGS)


def save(path: Path, name: str = "vae_16k") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tiny_weights(name), path)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the files whose header was read."""
    module = sys.modules["mmaudio_core.checkpoint.identify"]
    seen: list[str] = []

    def counting(path: Path) -> header_module.Header:
        seen.append(path.name)
        return header_module.read_header(path)

    monkeypatch.setattr(module, "read_header", counting)
    yield seen


def test_a_header_is_read_once_until_its_file_changes(tmp_path: Path, reads: list[str]) -> None:
    scanner = Scanner()
    path = save(tmp_path / "w.safetensors")
    (tmp_path / "bad.pth").write_bytes(b"<html>")
    first = scan(scanner, tmp_path)
    assert scan(scanner, tmp_path) is first
    assert sorted(reads) == ["bad.pth", "w.safetensors"]
    save(tmp_path / "more.safetensors")
    assert len(scan(scanner, tmp_path).names(PartKind.VAE)) == 2
    assert reads[2:] == ["more.safetensors"]
    save(path, "bigvgan_16k")
    found = scan(scanner, tmp_path)
    assert found.names(PartKind.VOCODER) == ["w.safetensors"]
    assert reads[3:] == ["w.safetensors"]
    path.unlink()
    assert scan(scanner, tmp_path).names(PartKind.VOCODER) == []
    assert len(reads) == 4


def test_more_files_than_any_cache_are_read_once(tmp_path: Path, reads: list[str]) -> None:
    for number in range(4500):
        (tmp_path / f"{number}.pth").write_bytes(b"x")
    scanner = Scanner()
    for _ in range(3):
        assert len(scan(scanner, tmp_path).unusable) == 4500
    assert len(reads) == 4500


def test_a_file_of_equal_size_and_time_is_another_one(tmp_path: Path) -> None:
    """As ``cp -p`` and ``mv`` leave it."""
    path = save(tmp_path / "w.safetensors")
    stat = path.stat()
    scanner = Scanner()
    before = scanner.fingerprint([str(tmp_path)], ENDINGS)
    assert scan(scanner, tmp_path).names(PartKind.VAE)
    other = tmp_path / "w.new"
    other.write_bytes(b"x" * stat.st_size)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert not scan(scanner, tmp_path).names(PartKind.VAE)
    assert scanner.fingerprint([str(tmp_path)], ENDINGS) != before


def test_a_file_written_in_place_with_its_old_time_is_another_one(tmp_path: Path) -> None:
    path = save(tmp_path / "w.safetensors")
    stat = path.stat()
    scanner = Scanner()
    assert scan(scanner, tmp_path).names(PartKind.VAE)
    with path.open("r+b") as file:
        file.write(b"\0" * 20)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_ino == stat.st_ino
    assert not scan(scanner, tmp_path).names(PartKind.VAE)


def test_the_fingerprint_is_of_usable_files(tmp_path: Path) -> None:
    """So a download in progress, or another model's file, does not load the model again."""
    scanner = Scanner()
    where = [str(tmp_path)], ENDINGS
    save(tmp_path / "a.safetensors")
    first = scanner.fingerprint(*where)
    (tmp_path / "half.pth").write_bytes(b"PK\x03\x04")
    assert scanner.fingerprint(*where) == first
    save(tmp_path / "b.safetensors")
    assert scanner.fingerprint(*where) != first


def test_unusable_files_are_logged_once_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(13):
        (tmp_path / f"{number:02}.pth").write_bytes(b"<html>")
    scanner = Scanner()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            scan(scanner, tmp_path)
    assert len(caplog.records) == 11
    assert "not a weights file but a web page" in caplog.messages[0]
    assert "3 more files" in caplog.messages[-1]


def test_subfolders_links_and_what_is_left_out(tmp_path: Path) -> None:
    weights = tmp_path / "models"
    kept = {"top.safetensors", "a/b/deep.safetensors", "linked/elsewhere.safetensors"}
    save(weights / "top.safetensors")
    save(weights / "a" / "b" / "deep.safetensors")
    save(tmp_path / "other" / "elsewhere.safetensors")
    save(weights / ".hidden" / "x.safetensors")
    save(weights / ".x.safetensors")
    save(weights / "notes.txt")
    (weights / "linked").symlink_to(tmp_path / "other")
    (weights / "a" / "circle").symlink_to(weights)
    (weights / "a" / "b" / "circle").symlink_to(weights / "a")
    (weights / "nowhere.pth").symlink_to(tmp_path / "nothing")
    (weights / "folder.pth").mkdir()
    os.mkfifo(weights / "pipe.pth")  # opening it would wait forever
    os.mkfifo(weights / "a" / "pipe.safetensors")
    scanner = Scanner()
    found = scan(scanner, weights, tmp_path / "not there")
    assert set(found.names(PartKind.VAE)) == kept
    assert not found.unusable


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    """Each of 30 folders links to the next one twice: 2^30 ways to the last."""
    for number in range(30):
        (tmp_path / "f" / str(number)).mkdir(parents=True)
        for name in ("x", "y") if number else ():
            (tmp_path / "f" / str(number - 1) / name).symlink_to(tmp_path / "f" / str(number))
    save(tmp_path / "f" / "29" / "w.safetensors")
    assert len(scan(Scanner(), tmp_path / "f" / "0").names(PartKind.VAE)) == 1


def test_of_two_files_with_one_name_the_first_folder_s_counts(tmp_path: Path) -> None:
    save(tmp_path / "1" / "w.safetensors")
    save(tmp_path / "2" / "w.safetensors", "bigvgan_16k")
    for first, kind in (("1", PartKind.VAE), ("2", PartKind.VOCODER)):
        second = "2" if first == "1" else "1"
        found = scan(Scanner(), tmp_path / first, tmp_path / second)
        assert found.names(kind) == ["w.safetensors"]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    save(tmp_path / "w.safetensors")
    try:
        os.rename(tmp_path / "w.safetensors", os.fsencode(tmp_path) + b"/\xff.safetensors")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (reason,) = scan(Scanner(), tmp_path).unusable.values()
    assert "rename" in reason
    reason.encode()


def test_whatever_a_file_raises_stays_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "good.safetensors")
    save(tmp_path / "bad.safetensors")
    module = sys.modules["mmaudio_core.checkpoint.identify"]

    def failing(path: Path) -> header_module.Header:
        if path.name == "bad.safetensors":
            raise MemoryError
        return header_module.read_header(path)

    monkeypatch.setattr(module, "read_header", failing)
    found = scan(Scanner(), tmp_path)
    assert found.names(PartKind.VAE) == ["good.safetensors"]
    assert "MemoryError" in found.unusable["bad.safetensors"]


@pytest.mark.slow
def test_hostile_and_mutated_files(tmp_path: Path) -> None:
    """See ``tests/fuzz/scan.py``, which limits memory and time."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.scan", "--cases", "100"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_file_that_is_written_to_while_it_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a mixture of two files nor the end of the process, as with a mapped file."""
    path = save(tmp_path / "w.safetensors")
    read = header_module._StoredTensors._read  # pyright: ignore[reportPrivateUsage]
    whole = path.read_bytes()
    written = b""

    def while_writing(self: object, offset: int, target: memoryview) -> None:
        read(self, offset, target)  # pyright: ignore
        path.write_bytes(written)

    monkeypatch.setattr(header_module._StoredTensors, "_read", while_writing)  # pyright: ignore
    for written in (whole[:2000], whole + b"x"):  # noqa: B007  (read by while_writing)
        path.write_bytes(whole)
        (part,) = identify(path)
        with pytest.raises(CheckpointError, match="was written to while it was read"):
            load_part(part)


def test_a_file_that_was_replaced_since_it_was_listed(tmp_path: Path) -> None:
    """Features of one file must not be stored under the fingerprint of another."""
    path = save(tmp_path / "w.safetensors")
    (part,) = identify(path)
    fingerprint_part(part)
    stat = path.stat()
    (tmp_path / "new").write_bytes(path.read_bytes())
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(tmp_path / "new", path)
    for use in (load_part, fingerprint_part):
        with pytest.raises(CheckpointError, match=r"w\.safetensors is not the file any more"):
            use(part)
    path.unlink()
    for use in (load_part, fingerprint_part):
        with pytest.raises(CheckpointError, match=r"w\.safetensors cannot be read"):
            use(part)


def test_loaded_weights_are_not_the_file_s_memory(tmp_path: Path) -> None:
    """A copy over the file, as ``cp`` does it, changes no network that is loaded."""
    path = save(tmp_path / "w.safetensors")
    network = load_part(identify(path)[0])
    before = [value.clone() for value in network.state_dict().values()]
    with path.open("r+b") as file:
        file.truncate(0)
        shutil.copyfileobj((ROOT / "README.md").open("rb"), file)
    for value, expected in zip(network.state_dict().values(), before, strict=True):
        assert torch.equal(value, expected)
