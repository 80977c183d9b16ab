"""Started by ``inside.run_cases``: ``runner.py COMFYUI NAME ANSWER [ComfyUI's arguments]``."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACK = "mmaudio_pack"  # what the cases import the pack as


def main() -> None:
    comfy_path, name, answer = sys.argv[1:4]
    sys.argv = ["main.py", *sys.argv[4:]]
    # ComfyUI's own ``nodes`` must be found, not this folder
    sys.path = [comfy_path, *(p for p in sys.path if Path(p).resolve() != HERE), str(HERE)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import folder_paths
    import torch
    from comfy.cli_args import args

    torch.set_num_threads(1)
    if args.base_directory:
        _rebase(folder_paths, args.base_directory)
    asyncio.run(_module(PACK, ROOT / "__init__.py").comfy_entrypoint())
    cases = _module(f"cases_{name}", HERE / "cases" / f"{name}.py")
    returned: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for key, case in list(vars(cases).items()):
        if key.startswith("case_"):
            try:
                with torch.inference_mode():  # as ComfyUI executes nodes
                    returned[key.removeprefix("case_")] = json.loads(json.dumps(case()))
            except Exception:
                failed[key.removeprefix("case_")] = traceback.format_exc()
    partial = Path(answer).with_suffix(".partial")
    partial.write_text(json.dumps({"returned": returned, "failed": failed}))
    partial.rename(answer)


def _rebase(folder_paths: ModuleType, base: str) -> None:
    """Outputs and temporary files go where the base directory is."""
    for what in ("output", "temp", "input", "user"):
        folder = Path(base) / what
        folder.mkdir(parents=True, exist_ok=True)
        getattr(folder_paths, f"set_{what}_directory")(str(folder))


def _module(name: str, file: Path) -> ModuleType:
    places = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
