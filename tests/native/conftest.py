"""``inside("lora")``: what the cases of ``cases/lora.py`` returned, run once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from .inside import Results, run_cases

Inside = Callable[[str], Results]


@pytest.fixture(scope="session")
def inside(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Runs the cases of a file inside ComfyUI, once a session."""

    @lru_cache
    def run(name: str) -> Results:
        return run_cases(name, comfy_path, tmp_path_factory.mktemp(name))

    return run
