"""MMAudioScoreTakes: what it is given, what it puts first and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import tiny
import torch
from mmaudio_pack.nodes.cures import MMAudioNodeError
from mmaudio_pack.nodes.model_manager import ComfyModels
from mmaudio_pack.nodes.score_takes import MMAudioScoreTakes

RATE = 16_000
SECONDS = 5
RED = torch.tensor([255, 90, 54]) / 255
NONE = dict.fromkeys(("sync", "agreement", "onsets", "voice", "silence", "clipping"), 0.0)


def features(seconds: Fraction = Fraction(SECONDS)) -> Any:
    return tiny.features(tiny.networks().params, seconds)


def audio(waveform: torch.Tensor, rate: int = RATE, **others: Any) -> dict[str, Any]:
    return {"waveform": waveform, "sample_rate": rate, **others}


def noise(takes: int = 1, channels: int = 1, seconds: float = SECONDS, rate: int = RATE) -> Any:
    torch.manual_seed(5)
    return 0.1 * torch.randn(takes, channels, round(seconds * rate))


def run(given: Any, of: Any = None, **weights: float) -> Any:
    return MMAudioScoreTakes.execute(of or features(), given, tiny.networks(), **NONE | weights)


def case_order() -> Any:
    """Take 0 is silent, take 1 mostly silent, take 2 clipped, take 3 as it should be."""
    sound = noise(4)
    sound[0] = 0
    sound[1, :, RATE:] = 0
    sound[2] = (100 * sound[2]).clamp(-1, 1)
    notes = {
        "seeds": [2**63, 6, 7, 8],
        "scores": [1, 2, 3, 4],
        "cuts": [0.5],
        "voices": [9, 8, 7, 6],
    }
    output = run(audio(sound, mmaudio=notes), silence=1, clipping=1)
    best_first, best, report, scores, plot = output.args
    told = json.loads(scores)
    return {
        "same": torch.equal(best_first["waveform"], sound[[one["take"] for one in told]]),
        "rate": best_first["sample_rate"],
        "order": [one["take"] for one in told],
        "best": best,
        "report": report.splitlines(),
        "totals": [one["total"] for one in told],
        "seeds": [one["seed"] for one in told],
        "notes": best_first["mmaudio"],
        "plot": list(plot.shape),
        "notices": output.ui["text"],
    }


def case_nothing_asked() -> Any:
    """In the order that they came in, and without a network."""
    networks = tiny.networks()
    before = set(networks._patchers)
    _, best, report, scores, _ = run(audio(noise(2))).args
    return {
        "best": best,
        "report": report.splitlines(),
        "totals": [one["total"] for one in json.loads(scores)],
        "loaded": [kind.value for kind in set(networks._patchers) - before],
    }


def case_networks() -> Any:
    """Each judge loads what it needs, and its score is there; the model is read for its widths."""
    found = {}
    for name in ("onsets", "sync", "agreement"):
        networks = ComfyModels(tiny.networks().bundle, "fp32")
        output = MMAudioScoreTakes.execute(
            features(), audio(noise(2)), networks, **NONE | {name: 1.0}
        )
        found[name] = {
            "loaded": sorted(kind.value for kind in networks._patchers),
            "scores": json.loads(output.args[3]),
        }
    return found


def said(given: Any, of: Any = None) -> str:
    """The report with all judges but the slowest, or the error."""
    try:
        output = run(given, of, sync=1, onsets=1, voice=1, silence=1, clipping=1)
    except MMAudioNodeError as error:
        return f"error: {error}"
    assert output.args[4].isfinite().all()
    json.loads(output.args[3], parse_constant=_no_number)
    json.dumps(output.args[0]["mmaudio"], allow_nan=False)
    return output.args[2]


def _no_number(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def case_any_sound() -> Any:
    text = replace(features(), clip=None, sync=None)
    nan = noise()
    nan[0, 0, 3] = torch.nan
    return {
        "44.1 kHz stereo": said(audio(noise(1, 2, rate=44_100), 44_100)),
        "6 channels": said(audio(noise(1, 6))),
        "longer": said(audio(noise(1, seconds=7))),
        "shorter": said(audio(noise(1, seconds=2))),
        "one sample": said(audio(noise(2)[..., :1])),
        "silent": said(audio(torch.zeros(2, 1, SECONDS * RATE))),
        "None": said(None),
        "NaN": said(audio(nan)),
        "of text": said(audio(noise()), text),
        "100 takes": said(audio(noise(100)[..., : RATE // 10])),
    }


def flashing(late: float, slow: float = 1.0) -> Any:
    """Features of 30 s with flashes, and clicks for them."""
    seconds = 30
    frames = [20 + 37 * k + (11 * k * k) % 17 for k in range(18)]
    motion = torch.full((25 * seconds,), 0.001)
    sound = noise(seconds=seconds) * 0.02
    for frame in frames:
        motion[frame] = motion[frame + 2] = 0.6
        at = round((slow * frame / 25 + late) * RATE)
        sound[0, 0, at : at + 20] = 0.8
    return audio(sound), replace(features(), duration=Fraction(seconds), motion=motion)


def case_advice() -> Any:
    """By onsets alone: a head of random weights agrees with nobody."""
    found = {}
    for name, late, slow in (
        ("right", 0.0, 1.0),
        ("late", 0.24, 1.0),
        ("early", -0.24, 1.0),
        ("slow", 0.02, 1.01),
        ("fast", 0.5, 0.99),
    ):
        _, _, report, scores, plot = run(*flashing(late, slow), onsets=1).args
        told = json.loads(scores)[0]
        red = ((plot[0] - RED).abs().sum(dim=-1) < 0.02).nonzero().float().mean(dim=0)
        found[name] = {
            "report": report.splitlines()[1].strip(),
            "offset": told["offset"],
            "drift": told["drift"],
            "red": red.tolist(),
        }
    return found
