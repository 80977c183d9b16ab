"""A few real clips through the command, killed on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.batch.many import main


@pytest.mark.slow
def test_clips_killed_on_the_way_end_as_they_do_at_once(tmp_path: Path) -> None:
    figures = main(4, tmp_path, kills=1)
    assert set(figures) >= {"all", "again", "decode", "features", "sampling", "sound", "write"}
