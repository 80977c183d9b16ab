"""Started by ``inside.Interpreter``: ``runner.py COMFYUI [ComfyUI's arguments]``.

Imports ComfyUI, which takes seconds, and then runs the cases of a file for each line of its
standard input, a JSON list of the file's name and of a folder to work in. Each file has a process
of its own that is forked from this one; where processes cannot be forked, one line is all that is
read. A line on the standard output says how the process ended.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACK = "mmaudio_pack"  # what the cases import the pack as
_TIMEOUT = 280  # seconds, below pytest's own limit


def main() -> None:
    comfy_path = sys.argv[1]
    sys.argv = ["main.py", *sys.argv[2:]]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # ComfyUI and the cases print
    # ComfyUI's own ``nodes`` must be found, not this folder
    sys.path = [comfy_path, *(p for p in sys.path if Path(p).resolve() != HERE), str(HERE)]
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch

    torch.set_num_threads(1)
    importlib.import_module("nodes")
    while line := sys.stdin.readline():
        name, work = json.loads(line)
        if hasattr(os, "fork"):
            ended = _fork(name, Path(work))
        else:
            _run(name, Path(work))
            ended = 0
        print(ended, file=answers, flush=True)


def _fork(name: str, work: Path) -> int:
    """Run the cases in another process; its exit code, or minus the signal that ended it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(_TIMEOUT)
        _run(name, work)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(name: str, work: Path) -> None:
    """Write what the cases return to ``answer.json`` in ``work``, what they print to ``log``."""
    import folder_paths
    import torch

    os.chdir(work)
    with (work / "log").open("wb") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    _rebase(folder_paths, work)
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
    partial = work / "answer.partial"
    partial.write_text(json.dumps({"returned": returned, "failed": failed}))
    partial.rename(work / "answer.json")


def _rebase(folder_paths: ModuleType, base: Path) -> None:
    """What is read and written goes where the base directory is."""
    for what in ("output", "temp", "input", "user"):
        folder = base / what
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
