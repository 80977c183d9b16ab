"""The pack as ComfyUI sees it: a package under a name of its own, never as ``nodes``."""

from __future__ import annotations

import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
ALIAS = "mmaudio_pack"


def load_pack_module(name: str = "") -> ModuleType:
    """Module ``name`` of the pack, such as ``nodes.download``; the pack itself for ``""``.

    The pack imports its core relatively, so what comes out has a core of its own
    (``mmaudio_pack.mmaudio_core``), whose classes are not those of ``mmaudio_core``. A module in
    ``nodes`` is imported without running ``nodes/__init__.py``, which needs all of ComfyUI.
    """
    pack = sys.modules.get(ALIAS) or _package(ALIAS, ROOT, run=True)
    if not name:
        return pack
    nodes = f"{ALIAS}.nodes"
    borrowed = name.startswith("nodes.") and nodes not in sys.modules
    if borrowed:
        _package(nodes, ROOT / "nodes", run=False)
    try:
        return importlib.import_module(f"{ALIAS}.{name}")
    finally:
        if borrowed:
            del sys.modules[nodes]


def _package(name: str, folder: Path, *, run: bool) -> ModuleType:
    spec = spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[name] = package
    if run:
        spec.loader.exec_module(package)
    return package
