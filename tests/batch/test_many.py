"""A few real clips through the command, killed on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.batch.many import in_one_process, prepare


@pytest.mark.slow
def test_clips_killed_on_the_way_end_as_they_do_at_once(tmp_path: Path) -> None:
    prepare(tmp_path, 4)
    figures = in_one_process(tmp_path, 4, kills=1)
    assert set(figures) >= {"all", "again", "decode", "features", "sampling", "sound", "write"}
