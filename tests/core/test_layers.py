"""Layers: each room imports only rooms below its own, and the core never imports ComfyUI."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = (  # from low to high; rooms of one layer do not import each other
    {"errors"},
    {"config", "file_identity", "partial_files", "progress"},
    {"feature_cache"},
    {"models", "media"},
    {"audio", "checkpoint"},
    {"mux", "providers"},
    {"features"},
    {"sampling"},
    {"codec"},
    {"scoring"},
    {"training"},
    {"pipeline"},
    {"batch"},
    {"cli"},
    {"__main__"},
    {"nodes"},
)
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
CORE = sorted((ROOT / "mmaudio_core").rglob("*.py"))
NODES = sorted((ROOT / "nodes").rglob("*.py"))
GATEWAY = sorted((ROOT / "gateway").rglob("*.py"))
COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "server"}


def relative_imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Modules that a file imports relatively, as paths from the repository's root."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield (*base, *node.module.split("."))
            else:  # from .. import a, b
                yield from ((*base, alias.name) for alias in node.names)


def absolute_imports(path: Path) -> set[str]:
    """Top-level packages that a file imports absolutely."""
    packages: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            packages.add(node.module.split(".")[0])
    return packages


def room(module: tuple[str, ...]) -> str:
    return module[1].removesuffix(".py") if module[0] == "mmaudio_core" else module[0]


def test_rooms_import_only_rooms_below() -> None:
    rooms = {room(path.relative_to(ROOT).parts) for path in [*CORE, *NODES]}
    assert rooms - {"__init__"} == set(LEVELS)
    wrong = [
        f"{path.relative_to(ROOT)}: {'.'.join(module)}"
        for path in [*CORE, *NODES]
        for module in relative_imports(path)
        if room(module) != (own := room(path.relative_to(ROOT).parts))
        and LEVELS[room(module)] >= LEVELS[own]
    ]
    assert not wrong


def test_the_core_imports_no_comfyui_and_itself_only_relatively() -> None:
    imported = {path: absolute_imports(path) & {*COMFYUI, "mmaudio_core", "nodes"} for path in CORE}
    assert not {path: packages for path, packages in imported.items() if packages}


def test_the_gateway_is_known_to_nobody_and_only_its_start_knows_nodes() -> None:
    """The start looks for the weights, as the nodes do."""
    reaching = {
        path.relative_to(ROOT).as_posix()
        for path in [*CORE, *NODES, *GATEWAY]
        for room in relative_imports(path)
        if (room[0] == "gateway") != (path in GATEWAY) and room[0] in ("gateway", "nodes")
    }
    assert reaching == {"gateway/__init__.py"}


def test_services_only_translate() -> None:
    """They know jobs and the gateway, never the network, the disk or ComfyUI's queue."""
    known = {"errors", "fields", "gateway", "job", "services"}
    imported = {
        room[1]
        for path in GATEWAY
        if path.parent.name == "services"
        for room in relative_imports(path)
    }
    assert imported <= known
