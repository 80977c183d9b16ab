"""``inside("lora")``: what the cases of ``cases/lora.py`` returned, run once for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from .inside import Interpreter, Results

Inside = Callable[[str], Results]


@pytest.fixture(scope="session")
def inside(comfy_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """Runs the cases of a file inside ComfyUI, once a session."""
    with Interpreter(comfy_path, tmp_path_factory.mktemp("native")) as interpreter:

        @lru_cache
        def run(name: str) -> Results:
            return interpreter.run_cases(name, tmp_path_factory.mktemp(name))

        yield run
