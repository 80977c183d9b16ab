"""The API prompt of a job: a graph of our own nodes, every input set."""

from __future__ import annotations

from typing import Any

from .job import JobSpec, Output

FOLDER = "mmaudio-gateway"  # under ComfyUI's input and output folders
SOUND, VIDEO, FEATURES, PROMPT = "sound", "video", "features", "prompt"
RESULTS = {Output.VIDEO: "result", Output.M4A: "m4a", Output.FLAC: "flac"}
# How long a node takes, beside the others.
WEIGHTS = {
    "LoadMMAudioModel": 2,
    "LoadVideo": 1,
    "MMAudioAutoPrompt": 4,
    "MMAudioFeatureExtract": 25,
    "MMAudioSampler": 65,
    "MMAudioSaveAudio": 2,
    "MuxAudioVideo": 5,
}
# An error in one of these comes from what the client sent.
OF_THE_INPUT = frozenset({VIDEO, FEATURES, PROMPT})
Graph = dict[str, dict[str, Any]]


def graph_of(spec: JobSpec, job_id: str, model: str, video: str | None) -> Graph:
    """The prompt for ``POST /prompt``.

    Args:
        model: as Load MMAudio Model takes it.
        video: the file's name in ``FOLDER`` of ComfyUI's input folder; None: text alone.
    """
    prefix = f"{FOLDER}/{job_id}"
    load = _node("LoadMMAudioModel", model=model, precision="auto", download_missing=False)
    graph = {"model": load}
    features: dict[str, Any] = {
        "mmaudio": ["model", 0],
        "prompt": spec.prompt,
        "negative_prompt": spec.negative_prompt,
        "duration": spec.duration or 0.0,
        "start_offset": spec.start_offset,
        "mask_away_clip": spec.mask_away_clip,
    }
    if video is not None:
        graph[VIDEO] = _node("LoadVideo", file=f"{FOLDER}/{video}")
        features["video"] = [VIDEO, 0]
        if spec.auto_prompt and not spec.prompt.strip():
            graph[PROMPT] = _node(
                "MMAudioAutoPrompt",
                mmaudio=["model", 0],
                video=[VIDEO, 0],
                kind="music",
                top_k=2,
                threshold=0.0,  # or there might be none
                template="{labels}, music",
                duration=features["duration"],
                start_offset=spec.start_offset,
            )
            features["prompt"] = [PROMPT, 0]
    graph[FEATURES] = _node("MMAudioFeatureExtract", **features)
    graph[SOUND] = _node(
        "MMAudioSampler",
        mmaudio=["model", 0],
        features=[FEATURES, 0],
        seed=spec.seed,
        steps=spec.steps,
        cfg=spec.cfg,
        num_samples=spec.takes,
    )
    for output in spec.outputs:
        if output is not Output.VIDEO:
            graph[RESULTS[output]] = _node(
                "MMAudioSaveAudio",
                audio=[SOUND, 0],
                filename_prefix=f"{prefix}/sound",
                format=output.value,
            )
        elif video is not None:
            graph[RESULTS[output]] = _node(
                "MuxAudioVideo",
                audio=[SOUND, 0],
                video=[VIDEO, 0],
                filename_prefix=f"{prefix}/video",
                start_offset=spec.start_offset,
                take=0,
                container="mp4",
                trim_to_audio=True,
            )
    return graph


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
