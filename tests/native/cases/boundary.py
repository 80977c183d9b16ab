"""What the nodes make of ComfyUI's values before the core gets them, and of the core's errors."""

from __future__ import annotations

import asyncio
import sys
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import folder_paths
import numpy as np
import tiny
import torch
from comfy.cli_args import args
from comfy_api.latest import InputImpl, io
from mmaudio_pack.mmaudio_core.config import FORMAT_16K
from mmaudio_pack.mmaudio_core.errors import MMAudioError, Problem
from mmaudio_pack.mmaudio_core.media import ImageSequence
from mmaudio_pack.mmaudio_core.mux import FileOptions, mux_audio
from mmaudio_pack.nodes import (
    compat,
    conditioning,
    folders,
    footage,
    latents,
    mux_options,
    scan_ahead,
)
from mmaudio_pack.nodes.cures import CURES, MMAudioNodeError, Node, with_cures
from mmaudio_pack.nodes.mux import MuxAudioVideo
from mmaudio_pack.nodes.sampler import MMAudioSampler
from mmaudio_pack.nodes.save_audio import MMAudioSaveAudio


def message(call: Any) -> str:
    """The message of the error that ``call()`` raises."""
    try:
        call()
    except (MMAudioError, MMAudioNodeError) as error:
        return str(error)
    return "no error"


def case_cures() -> dict[str, Any]:
    class Failing(Node):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(node_id="Failing", inputs=[], outputs=[])

        @classmethod
        def execute(cls, problem: Problem | None) -> None:
            raise MMAudioError("got 1, expected 2.", problem)

    nested = with_cures(Failing.execute)
    clone = type("Clone", (Failing,), dict(vars(Failing)))  # as ComfyUI makes for each run
    cure = CURES[Problem.LATENT]
    return {
        "missing": sorted(set(Problem) - set(CURES)),
        "cured": message(lambda: Failing.execute(Problem.LATENT)) == f"got 1, expected 2. {cure}",
        "nested": message(lambda: nested(Problem.LATENT)).count(cure),
        "clone": message(lambda: clone.execute(Problem.LATENT)).count(cure),
        "no problem": message(lambda: Failing.execute(None)),
    }


def video_file(seconds: int) -> InputImpl.VideoFromFile:
    path = Path("video.mp4").absolute()
    with av.open(path, "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for number in range(10 * seconds):
            image = np.full((64, 64, 3), number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        output.mux(stream.encode())
    return InputImpl.VideoFromFile(str(path))


def case_trim() -> dict[str, Any]:
    """A trim becomes the clip's start and duration, whatever version gives it."""
    video = video_file(3)
    trimmed = SimpleNamespace(
        get_active_trim_window=lambda: (0.1, 1.3), get_stream_source=video.get_stream_source
    )
    clips = {"whole": video, "trimmed": trimmed}
    if hasattr(video, "as_trimmed"):
        clips["by ComfyUI"] = video.as_trimmed(0.1, 1.3)
    read = {name: footage.to_clip(value, None, 25.0) for name, value in clips.items()}
    return {name: [str(clip.start), str(clip.duration)] for name, clip in read.items() if clip}


def case_frame_edits() -> list[bool]:
    """Without the method, without edits, with edits."""
    videos = [SimpleNamespace()] + [
        SimpleNamespace(has_pending_frame_edits=lambda edited=edited: edited)
        for edited in (False, True)
    ]
    return [compat.has_frame_edits(video) for video in videos]


def case_frame_edits_are_seen() -> list[int]:
    """The frames of an edited video come from its components, not from its file."""
    components = SimpleNamespace(images=torch.zeros(4, 8, 8, 3), frame_rate=Fraction(5), audio=None)
    edited = SimpleNamespace(
        has_pending_frame_edits=lambda: True, get_components=lambda: components
    )
    clip = footage.to_clip(edited, None, 25.0)  # pyright: ignore[reportArgumentType]
    assert clip is not None
    return [len(clip.source.images), int(clip.source.frame_rate)]  # pyright: ignore


def case_latent_duration() -> dict[str, str]:
    """Exact where the length is unchanged; of whole latents where a core node cut the latent."""
    latent = latents.empty_latent(Fraction(2), FORMAT_16K)
    cut = {**latent, "samples": latent["samples"][:, :, :40]}
    return {
        "exact": str(latents.read_latent(latent).duration),
        "cut": str(latents.read_latent(cut).duration),
        "shape": message(lambda: latents.read_latent({"samples": torch.zeros(1, 8, 40, 20)})),
    }


def case_scan_ahead() -> dict[str, Any]:
    """Which requests list weights before they are handled, and in which thread."""
    events: list[str] = []

    def catalog() -> None:
        own = threading.current_thread() is threading.main_thread()
        events.append("scanned in the loop" if own else "scanned in a thread")

    async def handle(_request: Any) -> Any:
        events.append("handled")

    async def requested(path: str) -> list[str]:
        events.clear()
        await scan_ahead.scan_ahead(SimpleNamespace(path=path), handle)  # pyright: ignore
        return list(events)

    paths = ("/object_info", "/api/object_info/KSampler", "/prompt", "/api/prompt", "/queue", "/")
    app = SimpleNamespace(middlewares=[])
    original, folders.catalog = folders.catalog, catalog  # pyright: ignore
    server = sys.modules.get("server")
    instance = SimpleNamespace(app=app)
    sys.modules["server"] = SimpleNamespace(PromptServer=SimpleNamespace(instance=instance))  # pyright: ignore
    try:
        scan_ahead.start()
        got = {path: asyncio.run(requested(path)) for path in paths}
    finally:
        folders.catalog = original
        del sys.modules["server"]
        if server is not None:
            sys.modules["server"] = server
    return {"installed": app.middlewares == [scan_ahead.scan_ahead], **got}


def case_workflow_of_the_source() -> list[bool]:
    """Whether a result holds the graph of the file it was made from, with and without the flag."""
    sound = {"waveform": torch.zeros(1, 1, 3200), "sample_rate": 16000}
    tagged = FileOptions(metadata={"workflow": "{}", "title": "A"})
    images = ImageSequence(images=torch.zeros(5, 32, 32, 3), frame_rate=Fraction(25))
    target = Path(folder_paths.get_output_directory(), "graph")
    source = mux_audio(images, sound["waveform"][0], 16000, target, file_options=tagged)
    MuxAudioVideo.hidden = SimpleNamespace(prompt=None, extra_pnginfo=None)  # pyright: ignore
    held: list[bool] = []
    for args.disable_metadata in (False, True):
        video = InputImpl.VideoFromFile(str(source.path))
        written = MuxAudioVideo.execute(sound, "boundary/workflow", video=video).args[0]
        data = Path(written.get_stream_source()).read_bytes()
        assert b"title" in data
        held.append(b"workflow" in data)
    args.disable_metadata = False
    return held


def case_metadata() -> list[dict[str, str]]:
    """With and without ``--disable-metadata``."""
    entries = []
    for args.disable_metadata in (False, True):
        entries.append(mux_options.workflow_metadata({"1": {}}, {"workflow": {"id": 7}}))
    args.disable_metadata = False
    return entries


def case_takes() -> str:
    """A latent of two takes for three seeds."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    latent = latents.empty_latent(features.duration, networks.params.audio)
    latent["samples"] = latent["samples"].expand(2, -1, -1, -1)
    return message(lambda: MMAudioSampler.execute(networks, features, 1, 1, 1.0, 3, latent=latent))


def case_averaged_schedule() -> str:
    """A conditioning with fewer prompts than its schedule."""
    timeline = conditioning.Timeline(duration=Fraction(2))
    return message(lambda: conditioning.check_timeline(timeline, torch.zeros(2, 77, 4)))


def case_memory() -> dict[str, float]:
    """Rows that memory is asked for, in units of one row of a full window."""
    model = tiny.networks().model.model
    one = model.memory_required([1, 1, 512, 20])
    lengths = {"three takes": [3, 1, 512, 20], "long": [1, 1, 2000, 20], "half": [1, 1, 256, 20]}
    return {name: model.memory_required(shape) / one for name, shape in lengths.items()}


def case_broken_take() -> dict[str, Any]:
    """With one broken take of two, nothing is written."""
    waveform = torch.zeros(2, 1, 16_000)
    waveform[1, 0, 5] = float("nan")
    audio = {"waveform": waveform, "sample_rate": 16_000}
    images = torch.zeros(4, 16, 16, 3)
    texts = [
        message(lambda: MuxAudioVideo.execute(audio, "broken/take", images=images, take=-1)),  # pyright: ignore
        message(lambda: MMAudioSaveAudio.execute(audio, "broken/take", "flac")),  # pyright: ignore
    ]
    return {"messages": texts, "files": [str(p) for p in Path().rglob("*take*") if p.is_file()]}


def case_graph_in_sound() -> dict[str, list[bool]]:
    """Whether files of sound hold the graph, with and without ``--disable-metadata``."""
    sound = {"waveform": torch.zeros(1, 1, 3200), "sample_rate": 16000}
    hidden = SimpleNamespace(prompt={"1": "odd"}, extra_pnginfo={"workflow": {"id": 7}})
    node: Any = type("Clone", (MMAudioSaveAudio,), {**vars(MMAudioSaveAudio), "hidden": hidden})
    held: dict[str, list[bool]] = {"flac": [], "m4a": []}
    for args.disable_metadata in (False, True):
        for file_format, found in held.items():
            (file,) = node.execute(sound, "boundary/sound", file_format).ui["audio"]
            folder = Path(folder_paths.get_output_directory(), file["subfolder"])
            found.append(b'{"id": 7}' in (folder / file["filename"]).read_bytes())
    args.disable_metadata = False
    return held
