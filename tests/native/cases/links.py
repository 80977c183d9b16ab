"""Values of the wrong kind on every link of every node."""

from __future__ import annotations

import asyncio
import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import mmaudio_pack
import numpy as np
import tiny
import torch
from comfy_api.latest import InputImpl, Types
from mmaudio_pack.mmaudio_core.errors import MMAudioError
from mmaudio_pack.nodes import footage
from mmaudio_pack.nodes.cures import MMAudioNodeError
from mmaudio_pack.nodes.links import check_values

NOT_SO = {
    "dict": {"a": 1},
    "text": "zigzag",
    "list": [1, 2],
    "object": SimpleNamespace(),
    "None": None,
    "number": 1.5,
}


def nodes() -> list[Any]:
    extension = asyncio.new_event_loop().run_until_complete(mmaudio_pack.comfy_entrypoint())
    return asyncio.new_event_loop().run_until_complete(extension.get_node_list())


def message(node: Any, name: str, value: Any) -> str:
    """What the node says of one value; its other inputs are missing, so it never gets further."""
    given = [value] if node.GET_SCHEMA().is_input_list else value
    try:
        node.execute(**{name: given})
    except (MMAudioError, MMAudioNodeError) as error:
        return str(error)
    except TypeError as error:
        return "accepted" if "missing" in str(error) and "required" in str(error) else repr(error)
    except Exception as error:
        return repr(error)
    return "accepted"


def case_table() -> dict[str, dict[str, dict[str, str]]]:
    """node -> "input type" -> kind of value -> what is said."""
    table: dict[str, Any] = {}
    for node in nodes():
        inputs = {i.id: i.get_io_type() for i in node.GET_SCHEMA().inputs}
        table[node.GET_SCHEMA().node_id] = {
            f"{name} {kind}": {what: message(node, name, value) for what, value in NOT_SO.items()}
            for name, kind in inputs.items()
        }
    return table


def case_right() -> dict[str, str]:
    """What real nodes deliver, by the inputs that take it."""
    networks = tiny.networks()
    features = tiny.features(networks.params)
    positive, _ = tiny.conditioning.to_conditioning(features)
    parts = Types.VideoComponents(
        images=torch.zeros(4, 8, 8, 3), frame_rate=Fraction(4), audio=None
    )
    values: dict[str, Any] = {
        "MMAUDIO": networks,
        "MMAUDIO_FEATURES": features,
        "MODEL": networks.model.clone(),
        "CONDITIONING": positive,
        "LATENT": tiny.latents.empty_latent(features.duration, networks.params.audio),
        "VIDEO": InputImpl.VideoFromComponents(parts),
        "IMAGE": torch.zeros(1, 8, 8, 3),
        "MASK": torch.zeros(8, 8),
        "STRING": "rain",
        "INT": 5,
        "FLOAT": 0.5,
        "BOOLEAN": True,
    }
    answers: dict[str, str] = {}
    for node in nodes():
        for given in node.GET_SCHEMA().inputs:
            kind = given.get_io_type()
            if kind in values:
                said = message(node, given.id, values[kind])
                if said != "accepted":
                    answers[f"{node.__name__}.{given.id}"] = said
    return answers


def case_video_info() -> dict[str, Any]:
    """The rate that each video_info gives to images of 25 frames a second, or what is said."""
    infos: dict[str, Any] = {
        "none": None,
        "as it is": {"source_fps": 30.0, "loaded_fps": 12.5, "loaded_frame_count": 9},
        "source only": {"source_fps": 23.976},
        "NumPy": {"loaded_fps": np.float32(24)},
        "tensor": {"loaded_fps": torch.tensor(24)},
        "one is None": {"loaded_fps": None, "source_fps": 24},
        "one is text": {"loaded_fps": "n/a", "source_fps": 24},
        "one is 0": {"loaded_fps": 0, "source_fps": 24},
        "both None": {"loaded_fps": None, "source_fps": None},
        "text": {"loaded_fps": "24"},
        "NaN": {"loaded_fps": math.nan},
        "infinite": {"loaded_fps": math.inf},
        "too small": {"loaded_fps": 1e-9},
        "too large": {"loaded_fps": 1e9},
        "below 0": {"loaded_fps": -24},
        "a bool": {"loaded_fps": True},
        "empty": {},
        "no dict": "24",
        "a list": [24],
        "a number": 24,
    }
    answers: dict[str, Any] = {}
    for name, info in infos.items():
        try:
            answers[name] = footage.images_rate(25.0, info)
        except MMAudioError as error:
            answers[name] = str(error)
    return answers


def case_numbers() -> dict[str, str]:
    """What numbers become: (input, value) of MMAudioSampler and MuxAudioVideo."""
    by_name = {node.__name__: node for node in nodes()}
    sampler, mux = by_name["MMAudioSampler"], by_name["MuxAudioVideo"]
    given = [
        (sampler, "steps", 5.0),
        (sampler, "steps", np.int64(5)),
        (sampler, "steps", torch.tensor(5)),
        (sampler, "steps", np.array([5.0])),
        (sampler, "cfg", np.float64(4.5)),
        (sampler, "cfg", torch.tensor([4.5])),
        (sampler, "cfg", 4),
        (mux, "trim_to_audio", 0),
        (mux, "trim_to_audio", np.bool_(True)),
    ]
    return {
        f"{name} {type(value).__name__} {value}": repr(check_values(node, {name: value})[name])
        for node, name, value in given
    }
