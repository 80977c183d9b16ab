"""Downloads, against a hub on this machine."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, file_download
from safetensors.torch import save

from tests.golden_files import tiny_weights
from tests.nodes.fake_hub import FakeHub, serving
from tests.pack import ROOT, load_pack_module

module = load_pack_module("nodes.download")
hub_module = load_pack_module("nodes.hub")
published = load_pack_module("mmaudio_core.checkpoint.published")
kinds = load_pack_module("mmaudio_core.checkpoint.kinds")

REPO = "someone/weights"
CONTENT = {
    "ext/vae.pth": bytes(range(256)) * 1200,
    "vocoder.pt": b"vocoder" * 10_000,
}
TOTAL = sum(map(len, CONTENT.values()))


def silent(stage: str, done: int, total: int) -> None:
    pass


def published_file(name: str = "ext/vae.pth", **changes: Any) -> Any:
    content = CONTENT[name]
    fields: dict[str, Any] = {
        "kind": kinds.PartKind.VAE,
        "repo": REPO,
        "filename": name,
        "bytes": len(content) - 7,  # as in the table: not exact
        "md5": hashlib.md5(content).hexdigest(),
        "license": published.CC_BY_NC,
    }
    return published.PublishedFile(**fields | changes)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A fake hub that huggingface_hub asks; small chunks, and no wait between attempts."""
    with serving(FakeHub(files={f"{REPO}/{name}": body for name, body in CONTENT.items()})) as fake:
        template = fake.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        for place in (constants, file_download):
            monkeypatch.setattr(place, "ENDPOINT", fake.endpoint, raising=False)
            monkeypatch.setattr(place, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(hub_module, "_CHUNK_BYTES", 16 * 1024)
        monkeypatch.setattr(hub_module, "_RETRY_SECONDS", 0)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield fake


def names(folder: Path) -> list[str]:
    """All but the hidden lock files."""
    return sorted(path.name for path in folder.rglob("*") if path.suffix != ".lock")


def the_half(folder: Path) -> Path:
    """What an interrupted download left."""
    (name,) = names(folder)
    assert name.endswith(".incomplete")
    return folder / name


def failing(files: list[Any], folder: Path, progress: Callable[..., None] = silent) -> str:
    """The message of the error that the download ends in."""
    with pytest.raises(ValueError) as caught:
        module.download(files, folder, progress)
    assert type(caught.value) is module.MMAudioError
    return str(caught.value)


def test_files_arrive_under_their_names_with_progress_over_all(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str, int, int]] = []
    files = [
        published_file(),
        published_file("vocoder.pt", md5=None, license=published.MIT),
    ]
    folder = tmp_path / "models" / "mmaudio"
    with caplog.at_level(logging.INFO):
        paths = module.download(files, folder, lambda *call: seen.append(call))
    assert paths == [folder / "vae.pth", folder / "vocoder.pt"]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert names(folder) == ["vae.pth", "vocoder.pt"]
    assert seen[-1] == ("download", TOTAL, TOTAL)
    done = [count for _, count, _ in seen]
    assert done == sorted(done)
    assert len(CONTENT["ext/vae.pth"]) in done
    assert "VAE" in caplog.text and "not for commercial use" in caplog.text
    assert "MIT" in caplog.text


def test_what_is_there_already_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "vae.pth").write_bytes(CONTENT["ext/vae.pth"])
    assert module.download([published_file()], tmp_path, silent) == [tmp_path / "vae.pth"]
    assert hub.downloads == []


def test_another_file_of_that_name_is_kept(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "vae.pth").write_bytes(b"half a download, or something of the user's own")
    module.download([published_file()], tmp_path, silent)
    assert (tmp_path / "vae.pth").read_bytes() == CONTENT["ext/vae.pth"]
    assert (tmp_path / "vae.pth.replaced").read_bytes().startswith(b"half a download")


@pytest.mark.parametrize("checksum", ["md5", "sha256"])
def test_a_wrong_checksum_removes_the_file(hub: FakeHub, tmp_path: Path, checksum: str) -> None:
    hub.spoiled = True
    file = published_file() if checksum == "md5" else published_file(md5=None)
    message = failing([file], tmp_path)
    assert f"its {checksum} is" in message and "instead of the published" in message
    assert "removed" in message and "Run it again" in message
    assert names(tmp_path) == []


class Cancelled(Exception):
    """What ComfyUI raises from a progress callback, here."""


def cancel_midway(stage: str, done: int, total: int) -> None:
    if done >= 64 * 1024:
        raise Cancelled


def test_a_cancelled_download_leaves_no_model_and_is_continued(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.stall_after = 100 * 1024
    began = time.monotonic()
    with pytest.raises(Cancelled):
        module.download([published_file()], tmp_path, cancel_midway)
    assert time.monotonic() - began < 20  # though the connection hangs for 30
    half = the_half(tmp_path)
    kept = half.stat().st_size
    assert kept >= 64 * 1024

    hub.stall_after = None
    module.download([published_file()], tmp_path, silent)
    assert names(tmp_path) == ["vae.pth"]
    assert hub.downloads == [None, f"bytes={kept}-"]


def test_a_cancelled_thread_writes_no_more(hub: FakeHub, tmp_path: Path) -> None:
    hub.stall_after = 100 * 1024
    with pytest.raises(Cancelled):
        module.download([published_file()], tmp_path, cancel_midway)
    half = the_half(tmp_path)
    kept = half.stat().st_size
    hub.released.set()
    for thread in [t for t in threading.enumerate() if t.name == "mmaudio download"]:
        thread.join(20)
        assert not thread.is_alive()
    assert half.stat().st_size == kept


def test_dropped_connections_are_resumed(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 100 * 1024
    module.download([published_file()], tmp_path, silent)
    assert (tmp_path / "vae.pth").read_bytes() == CONTENT["ext/vae.pth"]
    assert len(hub.downloads) >= 3
    assert all(span is not None for span in hub.downloads[1:])


def test_a_server_that_dies_midway(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = 64 * 1024
    hub.answers = 1
    message = failing([published_file()], tmp_path)
    assert "vae.pth" in message and "kept and will be continued" in message
    assert "connection" in message and str(tmp_path) in message
    half = the_half(tmp_path)
    assert half.stat().st_size >= 48 * 1024

    hub.cut_after = hub.answers = None
    module.download([published_file()], tmp_path, silent)
    assert names(tmp_path) == ["vae.pth"]


def test_a_server_that_cannot_resume(hub: FakeHub, tmp_path: Path) -> None:
    """It answers with the whole file, which replaces what was there."""
    hub.ranges = False
    digest = hashlib.sha256(CONTENT["ext/vae.pth"]).hexdigest()
    half = tmp_path / f"vae.pth.{digest[:12]}.incomplete"
    half.write_bytes(bytes(5000))
    module.download([published_file()], tmp_path, silent)
    assert (tmp_path / "vae.pth").read_bytes() == CONTENT["ext/vae.pth"]
    assert hub.downloads == ["bytes=5000-"]


@pytest.mark.parametrize(
    ("status", "cure"), [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "mirror"), (503, "connection")]
)
def test_refusals_name_file_address_reason_and_cure(
    hub: FakeHub, tmp_path: Path, status: int, cure: str
) -> None:
    hub.status = status
    message = failing([published_file()], tmp_path)
    for part in (
        "vae.pth (the VAE",
        f"{hub.endpoint}/{REPO}/resolve/main/ext/vae.pth",
        str(status),
        cure,
        "in a browser",
        str(tmp_path),
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
    ):
        assert part in message
    assert names(tmp_path) == []


def test_a_missing_file_is_known_from_a_missing_login(hub: FakeHub, tmp_path: Path) -> None:
    hub.files.clear()
    assert "does not have that file" in failing([published_file()], tmp_path)


def test_no_server_at_all(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (constants, file_download):
        monkeypatch.setattr(
            place,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
            raising=False,
        )
    assert "Check the connection" in failing([published_file()], tmp_path)


def test_no_room(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module.shutil, "disk_usage", lambda _path: module.shutil._ntuple_diskusage(10, 9, 1)
    )
    message = failing([published_file()], tmp_path)
    assert "vae.pth" in message and "needs 307,200 bytes" in message
    assert "has 1 bytes free" in message
    assert hub.downloads == []


@pytest.mark.parametrize("missing", [1, 100_000])
@pytest.mark.parametrize("chunk", [1000, 16 * 1024], ids=["buffered", "direct"])
def test_a_disk_that_fills_up(
    hub: FakeHub, small_disk: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, missing: int
) -> None:
    """While bytes are written, or only when the file is closed."""
    monkeypatch.setattr(hub_module, "_CHUNK_BYTES", chunk)
    plenty = module.shutil._ntuple_diskusage(10**9, 0, 10**9)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _path: plenty)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1024**2 - len(CONTENT["ext/vae.pth"]) + missing))
    message = failing([published_file()], small_disk)
    for part in (
        "vae.pth (the VAE",
        "No space left on device",
        f"Free some space in {small_disk}",
        "kept and will be continued",
    ):
        assert message.count(part) == 1, message
    assert "connection" not in message and not (small_disk / "vae.pth").exists()
    filler.unlink()
    module.download([published_file()], small_disk, silent)
    assert names(small_disk) == ["vae.pth"]
    assert (small_disk / "vae.pth").read_bytes() == CONTENT["ext/vae.pth"]
    assert hub.downloads[1] is not None  # continued


def test_a_folder_that_cannot_be_written_to(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "cannot be written to" in failing([published_file()], tmp_path / "file" / "mmaudio")
    assert hub.requests == []


def weights(kind: str = "vae_16k") -> bytes:
    return save(tiny_weights(kind))


@pytest.mark.parametrize(
    ("body", "told", "reason"),
    [
        (b"<html>Please sign in</html>", True, "it is 27 bytes long instead of about"),
        (b"<html>Please sign in</html>", False, "it is 27 bytes long instead of about"),
        (b"<" * 5_000_000, True, "is not a weights file but a web page"),
        (weights("bigvgan_44k"), True, "it looks like a BigVGAN vocoder"),
    ],
    ids=["page", "page of unknown length", "long page", "another network"],
)
def test_without_any_checksum_size_and_header_are_checked(
    hub: FakeHub, tmp_path: Path, body: bytes, told: bool, reason: str
) -> None:
    """As from a mirror, or a network that answers everything with its login page."""
    hub.large_files, hub.lengths = False, told
    hub.files[f"{REPO}/ext/vae.pth"] = body
    about = len(body) if len(body) > 100 else 1_000_000
    message = failing([published_file(md5=None, bytes=about)], tmp_path)
    assert reason in message and "removed" in message
    assert names(tmp_path) == []


def test_without_any_checksum_the_right_network_is_taken(hub: FakeHub, tmp_path: Path) -> None:
    hub.large_files = False
    body = hub.files[f"{REPO}/ext/vae.pth"] = weights()
    module.download([published_file(md5=None, bytes=len(body) - 900)], tmp_path, silent)
    assert (tmp_path / "vae.pth").read_bytes() == body


_ANOTHER = """
import sys
from pathlib import Path
from tests.nodes import test_download as here

def report(stage, done, total):
    print(done, flush=True)

here.hub_module._CHUNK_BYTES = 16 * 1024
files = [here.published_file(), here.published_file("vocoder.pt")]
try:
    here.module.download(files, Path(sys.argv[1]), report)
    print("done")
except here.module.MMAudioError as error:
    print("ERROR", error)
"""


def another_process(hub: FakeHub, folder: Path) -> subprocess.Popen[str]:
    """Downloads both files, and prints its progress."""
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(
        [sys.executable, "-c", _ANOTHER, str(folder)],
        env=environment | {"HF_HUB_OFFLINE": "0"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_that_want_the_same_files(hub: FakeHub, tmp_path: Path) -> None:
    """All succeed, each file is fetched once, and none is longer than it should be."""
    hub.slow = 0.02
    processes = [another_process(hub, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.communicate(timeout=100)[0].endswith("done\n")
    for name, body in CONTENT.items():
        assert (tmp_path / Path(name).name).read_bytes() == body
    assert names(tmp_path) == ["vae.pth", "vocoder.pt"]
    assert hub.downloads == [None, None]


def test_a_killed_process_keeps_no_lock(hub: FakeHub, tmp_path: Path) -> None:
    hub.stall_after = 100 * 1024
    process = another_process(hub, tmp_path)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 64 * 1024:
        pass
    process.kill()
    process.communicate()
    kept = the_half(tmp_path).stat().st_size
    hub.stall_after = None
    hub.released.set()
    module.download([published_file()], tmp_path, silent)
    assert (tmp_path / "vae.pth").read_bytes() == CONTENT["ext/vae.pth"]
    assert hub.downloads[-1] == f"bytes={kept}-"


def test_waiting_for_another_process_can_be_cancelled(hub: FakeHub, tmp_path: Path) -> None:
    calls = 0

    def cancel_later(stage: str, done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise Cancelled

    with module.FileLock(tmp_path / ".vae.pth.lock"), pytest.raises(Cancelled):
        module.download([published_file()], tmp_path, cancel_later)
    assert hub.downloads == []
    module.download([published_file()], tmp_path, silent)
    assert names(tmp_path) == ["vae.pth"]


@pytest.mark.parametrize("offline", [False, True])
def test_the_environment_is_respected(hub: FakeHub, tmp_path: Path, offline: bool) -> None:
    """In a fresh interpreter, since huggingface_hub reads it when it is imported."""
    code = f"""
from pathlib import Path
from tests.pack import load_pack_module
download = load_pack_module("nodes.download")
published = load_pack_module("mmaudio_core.checkpoint.published")
kinds = load_pack_module("mmaudio_core.checkpoint.kinds")
file = published.PublishedFile(kind=kinds.PartKind.VAE, repo={REPO!r}, filename="ext/vae.pth",
    bytes=1, license="MIT")
try:
    print("GOT", download.download([file], Path({str(tmp_path)!r}), lambda *call: None))
except download.MMAudioError as error:
    print("ERROR", error)
"""
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "NO_PROXY": "127.0.0.1"}
    environment |= {"HF_HUB_OFFLINE": "1" if offline else "0", "HF_TOKEN": "hf_secret"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    if offline:
        assert ran.stdout.startswith("ERROR") and "offline mode" in ran.stdout
        assert "Unset it" in ran.stdout and hub.requests == []
    else:
        assert ran.stdout.startswith("GOT"), ran.stdout
        assert (tmp_path / "vae.pth").read_bytes() == CONTENT["ext/vae.pth"]
        assert hub.logins == {"Bearer hf_secret"}
