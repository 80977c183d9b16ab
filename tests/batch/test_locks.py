"""Which process has an item in hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmaudio_core.batch.locks import ItemLocks
from tests.batch.clips import item

HOLD = """
import sys
from pathlib import Path
from mmaudio_core.batch.item import Item
from mmaudio_core.batch.locks import ItemLocks
from mmaudio_core.batch.options import ItemOptions

locks = ItemLocks(Path(sys.argv[1]))
for name in sys.argv[2:]:
    assert locks.claim(Item(video=None, out=name, options=ItemOptions()))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that has the items a and b in hand."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "a", "b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_an_item_is_in_one_hand_until_its_process_ends(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    a, b, c = (item(None, name) for name in "abc")
    with ItemLocks(tmp_path) as locks:
        assert not locks.claim(a) and not locks.claim(b) and locks.claim(c)
        assert locks.claim(c)
        assert not locks.claim_all()
        holder.kill()
        holder.wait()
        assert locks.claim(a)
        locks.release([a, c])
        assert locks.claim_all() and locks.claim(b)


def test_nothing_is_locked_where_there_is_no_folder() -> None:
    with ItemLocks(None) as locks:
        assert locks.claim(item(None, "a")) and locks.claim_all()
