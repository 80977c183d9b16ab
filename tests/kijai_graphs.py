"""Small graphs of kijai/ComfyUI-MMAudio, and the same of our nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.nodes.graphs import Graph, node, sound

FOLDER = "small_16k/synthetic_small_16k"  # weights of the tests, under models/mmaudio
FILES = {
    "model": f"{FOLDER}_flow.safetensors",
    "vae": f"{FOLDER}_vae.safetensors",
    "synchformer": f"{FOLDER}_synchformer.safetensors",
    "clip": f"{FOLDER}_clip.safetensors",
    "vocoder": f"{FOLDER}_vocoder.pt",
}
DURATION, CFG, SEED = 1.2, 3.5, 7


def their_prompt(clip: str, **sampler: Any) -> Graph:
    """Load Video -> their three loaders and their sampler, whose key is ``sample``."""
    return {
        "video": node("LoadVideo", file=clip),
        "parts": node("GetVideoComponents", video=["video", 0]),
        "model": node("MMAudioModelLoader", mmaudio_model=FILES["model"], base_precision="fp32"),
        "vocoder": node("MMAudioVoCoderLoader", vocoder_model=FILES["vocoder"]),
        "utils": node(
            "MMAudioFeatureUtilsLoader",
            vae_model=FILES["vae"],
            synchformer_model=FILES["synchformer"],
            clip_model=FILES["clip"],
            bigvgan_vocoder_model=["vocoder", 0],
            mode="16k",
            precision="fp32",
        ),
        "sample": node(
            "MMAudioSampler",
            **{
                "mmaudio_model": ["model", 0],
                "feature_utils": ["utils", 0],
                "images": ["parts", 0],
                "duration": DURATION,
                "steps": 2,
                "cfg": CFG,
                "seed": SEED,
                "prompt": "rain",
                "negative_prompt": "music",
                "mask_away_clip": False,
                "force_offload": True,
            }
            | sampler,
        ),
    }


def our_prompt(clip: str) -> Graph:
    """What ``their_prompt`` says, as a user of our nodes would: with files that fit by themselves.

    So nothing that ``their_prompt`` generated is taken from ComfyUI's cache.
    """
    return sound(
        extract={
            "images": ["parts", 0],
            "frame_rate": ["parts", 2],
            "duration": DURATION,
            "negative_prompt": "music",
        },
        sample={"steps": 2, "cfg": CFG, "seed": SEED},
        clip=node("LoadVideo", file=clip),
        parts=node("GetVideoComponents", video=["clip", 0]),
    )


def numbered(prompt: Graph) -> Graph:
    """The same with ids as the page gives them: 1, 2, ... in order."""
    ids = {name: str(number) for number, name in enumerate(prompt, start=1)}

    def value(given: Any) -> Any:
        return [ids[given[0]], given[1]] if isinstance(given, list) else given

    return {
        ids[name]: node(one["class_type"], **{k: value(v) for k, v in one["inputs"].items()})
        for name, one in prompt.items()
    }


# --- workflows, as the page saves them

Link = tuple[int, int, int, int, int, str]


def saved_node(
    id: int,
    type: str,
    pos: tuple[int, int],
    size: tuple[int, int],
    *,
    inputs: Sequence[tuple[str, str]] = (),
    outputs: Sequence[tuple[str, str]] = (),
    values: Any = (),
    widgets: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> dict[str, Any]:
    """A node without links; ``widgets`` are those that are inputs."""
    return {
        "id": id,
        "type": type,
        "pos": list(pos),
        "size": list(size),
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [
            *({"name": name, "type": kind, "link": None} for name, kind in inputs),
            *(
                {"name": name, "type": kind, "link": None, "widget": {"name": name}}
                for name, kind in widgets
            ),
        ],
        "outputs": [{"name": name, "type": kind, "links": []} for name, kind in outputs],
        "properties": {"Node name for S&R": type},
        "widgets_values": values if isinstance(values, Mapping) else list(values),
        **more,
    }


def model_loader(id: int = 1, **more: Any) -> dict[str, Any]:
    return saved_node(
        id,
        "MMAudioModelLoader",
        (0, 0),
        (400, 90),
        outputs=[("mmaudio_model", "MMAUDIO_MODEL")],
        values=[FILES["model"], "fp32"],
        **more,
    )


def vocoder_loader(id: int = 2) -> dict[str, Any]:
    return saved_node(
        id,
        "MMAudioVoCoderLoader",
        (-460, 150),
        (400, 60),
        outputs=[("mmaudio_vocoder", "VOCODER_MODEL")],
        values=[FILES["vocoder"]],
    )


def utils_loader(id: int = 3) -> dict[str, Any]:
    return saved_node(
        id,
        "MMAudioFeatureUtilsLoader",
        (0, 150),
        (400, 160),
        inputs=[("bigvgan_vocoder_model", "VOCODER_MODEL")],
        outputs=[("mmaudio_featureutils", "MMAUDIO_FEATUREUTILS")],
        values=[FILES["vae"], FILES["synchformer"], FILES["clip"], "16k", "fp32"],
    )


def sampler(id: int = 4, **more: Any) -> dict[str, Any]:
    return saved_node(
        id,
        "MMAudioSampler",
        (900, 0),
        (400, 350),
        **{
            "inputs": [
                ("mmaudio_model", "MMAUDIO_MODEL"),
                ("feature_utils", "MMAUDIO_FEATUREUTILS"),
                ("images", "IMAGE"),
            ],
            "outputs": [("audio", "AUDIO")],
            "values": [DURATION, 2, CFG, SEED, "fixed", "rain", "music", False, True],
        }
        | more,
    )


def load_video(clip: str, id: int = 5) -> dict[str, Any]:
    return saved_node(
        id,
        "LoadVideo",
        (0, 400),
        (400, 340),
        outputs=[("VIDEO", "VIDEO")],
        values=[clip, "image"],
    )


def video_parts(id: int = 6) -> dict[str, Any]:
    return saved_node(
        id,
        "GetVideoComponents",
        (460, 400),
        (200, 70),
        inputs=[("video", "VIDEO")],
        outputs=[("images", "IMAGE"), ("audio", "AUDIO"), ("fps", "FLOAT")],
    )


def graph(nodes: Sequence[dict[str, Any]], links: Sequence[Link], **more: Any) -> dict[str, Any]:
    """A saved workflow: id, origin and its slot, target and its slot, and type of each link."""
    by_id = {one["id"]: one for one in nodes}
    for id, origin, output, target, slot, _ in links:
        by_id[origin]["outputs"][output]["links"].append(id)
        by_id[target]["inputs"][slot]["link"] = id
    return {
        "id": "8d1f0fd2-6d1c-4cf5-9d2c-2d3f6a0f4b11",
        "last_node_id": max(by_id),
        "last_link_id": max((id for id, *_ in links), default=0),
        "nodes": list(nodes),
        "links": [list(link) for link in links],
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
        **more,
    }


def workflow(clip: str, prefix: str = "kijai") -> dict[str, Any]:
    """``their_prompt``, with a reroute for the model, into a video and a lossless sound."""
    show = saved_node(
        7,
        "CreateVideo",
        (1400, 0),
        (220, 80),
        inputs=[("images", "IMAGE"), ("audio", "AUDIO")],
        outputs=[("VIDEO", "VIDEO")],
        widgets=[("fps", "FLOAT")],
        values=[25],
    )
    save = saved_node(
        8,
        "SaveVideo",
        (1700, 0),
        (300, 400),
        inputs=[("video", "VIDEO")],
        values=[f"{prefix}/video", "auto", "auto"],
    )
    lossless = saved_node(
        9,
        "SaveAudio",
        (1400, 300),
        (260, 110),
        inputs=[("audio", "AUDIO")],
        values=[f"{prefix}/audio"],
    )
    reroute = saved_node(
        10,
        "Reroute",
        (600, 20),
        (75, 26),
        inputs=[("", "*")],
        outputs=[("MMAUDIO_MODEL", "MMAUDIO_MODEL")],
        values=(),
    )
    nodes = [
        model_loader(title="The weights", color="#432", bgcolor="#653"),
        vocoder_loader(),
        utils_loader(),
        sampler(),
        load_video(clip),
        video_parts(),
        show,
        save,
        lossless,
        reroute,
    ]
    links: list[Link] = [
        (1, 1, 0, 10, 0, "*"),
        (2, 10, 0, 4, 0, "MMAUDIO_MODEL"),
        (3, 2, 0, 3, 0, "VOCODER_MODEL"),
        (4, 3, 0, 4, 1, "MMAUDIO_FEATUREUTILS"),
        (5, 5, 0, 6, 0, "VIDEO"),
        (6, 6, 0, 4, 2, "IMAGE"),
        (7, 6, 0, 7, 0, "IMAGE"),
        (8, 4, 0, 7, 1, "AUDIO"),
        (9, 6, 2, 7, 2, "FLOAT"),
        (10, 7, 0, 8, 0, "VIDEO"),
        (11, 4, 0, 9, 0, "AUDIO"),
    ]
    group = {"id": 1, "title": "Sound", "bounding": [880, -80, 440, 460], "color": "#3f789e"}
    return graph(nodes, links, groups=[group])
