"""Output files: names that nobody else has, and partial files that nobody writes any more."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from mmaudio_core import partial_files
from mmaudio_core.mux import output_name
from mmaudio_core.mux.output_name import NumberedName, publish
from mmaudio_core.partial_files import delete_abandoned, partial_file

ROOT = Path(__file__).parents[2]
DAY = 24 * 60 * 60

_TWENTY = """
import sys
from pathlib import Path
from mmaudio_core.mux.output_name import NumberedName, publish
from mmaudio_core.partial_files import partial_file

folder, who = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    with partial_file(folder) as partial:
        partial.write_text(f"{who} {number}")
        publish(partial, NumberedName(folder=folder, prefix="video"), "mp4")
"""
_HELD = """
import sys
from pathlib import Path
from mmaudio_core.partial_files import partial_file

with partial_file(Path(sys.argv[1])) as partial:
    print(partial, flush=True)
    sys.stdin.readline()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def age(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


_NO_LINKS = "import os\ndef link(*_): raise OSError(95, 'no links')\nos.link = link\n"
_NO_RENAMES = (
    "from mmaudio_core.mux import output_name\noutput_name._rename_exclusively = lambda *_: 38\n"
)


@pytest.mark.parametrize("refusing", ["", _NO_LINKS, _NO_LINKS + _NO_RENAMES])
def test_two_processes_share_a_folder(refusing: str, tmp_path: Path) -> None:
    """40 files with their own content, also where the file system has no links or renames."""
    code = refusing + _TWENTY
    writers = [start(code, str(tmp_path), who) for who in "ab"]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n")
        assert writer.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"video_{number:05}_.mp4" for number in range(1, 41)
    ]
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 40


def test_a_number_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    for number in (3, 4):
        (tmp_path / f"v_{number:05}_.mp4").write_text("mine")
    (tmp_path / "v_00005_.webm").write_text("mine")
    with partial_file(tmp_path) as partial:
        partial.write_text("new")
        path = publish(partial, NumberedName(folder=tmp_path, prefix="v", first=3), "mp4")
    assert path == tmp_path / "v_00005_.mp4" and path.read_text() == "new"
    assert (tmp_path / "v_00003_.mp4").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_plain_path_replaces_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("old")
    with partial_file(tmp_path) as partial:
        partial.write_text("new")
        assert publish(partial, tmp_path / "v", "mp4") == tmp_path / "v.mp4"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.skipif(sys.platform != "linux", reason="a system call of Linux")
def test_no_empty_file_stands_for_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without links, the name and the content appear together; a name that is taken is not."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "no")

    for name in ("link", "replace"):
        monkeypatch.setattr(output_name.os, name, refuse)
    (tmp_path / "v_00001_.mp4").write_text("mine")
    with partial_file(tmp_path) as partial:
        partial.write_text("new")
        path = publish(partial, NumberedName(folder=tmp_path, prefix="v"), "mp4")
    assert (path.name, path.read_text()) == ("v_00002_.mp4", "new")
    assert (tmp_path / "v_00001_.mp4").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_error_of_the_file_system_is_not_taken_for_a_taken_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(output_name.os, "link", refuse)
    monkeypatch.setattr(output_name, "_rename_exclusively", lambda *_: errno.EINVAL)
    monkeypatch.setattr(output_name.os, "replace", refuse)
    with pytest.raises(PermissionError), partial_file(tmp_path) as partial:
        publish(partial, NumberedName(folder=tmp_path, prefix="v"), "mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no file that is open")
def test_what_a_killed_process_left_is_deleted_wherever_it_is(tmp_path: Path) -> None:
    """But nothing that a process is still writing, however long it has not written."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    killed, running = start(_HELD, str(deep)), start(_HELD, str(deep))
    paths: list[Path] = []
    for process in (killed, running):
        assert process.stdout is not None
        paths.append(age(Path(process.stdout.readline().strip()), 2 * DAY))
    killed.kill()
    killed.communicate()
    assert delete_abandoned(tmp_path) == 1
    assert not paths[0].exists() and paths[1].exists()
    running.communicate("\n")
    assert not paths[1].exists() and running.returncode == 0


def test_other_machines_files_are_deleted_after_a_day(tmp_path: Path) -> None:
    """Locks of another machine cannot be seen on every network file system."""
    names = [f".mmaudio-{host}{uuid.uuid4().hex}.tmp" for host in ("0123abcd-", "")]
    others = [".mmaudio-notes.tmp", "x.tmp", ".mmaudio-.tmp", f"mmaudio-{uuid.uuid4().hex}.tmp"]
    for name in (*names, *others):
        (tmp_path / name).write_text("")
        age(tmp_path / name, DAY / 2)
    assert delete_abandoned(tmp_path) == 0
    for name in (*names, *others):
        age(tmp_path / name, 2 * DAY)
    assert delete_abandoned(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_links_are_not_followed_and_new_files_are_left(tmp_path: Path) -> None:
    host = partial_files._HOST  # pyright: ignore[reportPrivateUsage]
    for place, seconds in (("elsewhere", DAY), ("output", 1)):
        (tmp_path / place).mkdir()
        left = tmp_path / place / f".mmaudio-{host}-{uuid.uuid4().hex}.tmp"
        left.write_text("")
        age(left, seconds)
    (tmp_path / "output" / "link").symlink_to(tmp_path / "elsewhere")
    assert delete_abandoned(tmp_path / "output") == 0
    age(left, 10)
    assert delete_abandoned(tmp_path / "output") == 1
