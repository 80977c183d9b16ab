"""API prompts of kijai/ComfyUI-MMAudio: what they become, and that they run."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from dev.client import PromptRejectedError
from dev.server import ComfyServer
from tests.kijai_graphs import CFG, DURATION, FILES, SEED, numbered, our_prompt, their_prompt
from tests.nodes.graphs import Graph, executed, node, paths, read_audio, run, saved, sound
from tests.pack import load_pack_module

kijai = load_pack_module("nodes.kijai_convert")
prompts = load_pack_module("nodes.kijai_prompts")
OURS = {"LoadMMAudioModel", "MMAudioFeatureExtract", "MMAudioSampler", "MuxAudioVideo"}


def offered(kind: str) -> list[str]:
    return [FILES[kind]]


def converted(prompt: Graph) -> tuple[Graph, str]:
    before = copy.deepcopy(prompt)
    made, notices = kijai.convert(prompt, offered, OURS)
    assert prompt == before
    return made, "\n".join(notices)


def left_alone(prompt: Graph) -> str:
    with pytest.raises(kijai.LeftAloneError) as caught:
        kijai.convert(prompt, offered, OURS)
    return str(caught.value)


# --- what it becomes


def test_every_value_is_carried_over() -> None:
    made, notices = converted(their_prompt("clip.mp4", mask_away_clip=True))
    assert made["model"]["inputs"] == {**FILES, "precision": "fp32", "download_missing": False}
    assert made["sample-features"] == node(
        "MMAudioFeatureExtract",
        mmaudio=["model", 0],
        images=["parts", 0],
        frame_rate=["parts", 2],
        duration=DURATION,
        start_offset=0.0,
        prompt="rain",
        negative_prompt="music",
        mask_away_clip=True,
    )
    assert made["sample"] == node(
        "MMAudioSampler",
        mmaudio=["model", 0],
        features=["sample-features", 0],
        steps=2,
        cfg=CFG,
        seed=SEED,
        num_samples=1,
    )
    assert set(made) == {"video", "parts", "model", "sample-features", "sample"}
    assert "force_offload" in notices and len(notices.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("mmaudio_large_44k_v2_fp16.safetensors", "large_44k_v2"),
        ("mmaudio/mmaudio_small_44k.pth", "small_44k"),
        ("sub\\mmaudio_large_44k_bf16.safetensors", "large_44k"),
        (FILES["model"].replace("/", "\\"), FILES["model"]),
        ("a_fine_tune.safetensors", "a_fine_tune.safetensors"),
    ],
)
def test_files(file: str, model: str) -> None:
    """The file itself if it is there, else the variant that it is known as, else its name."""
    prompt = their_prompt("clip.mp4")
    prompt["model"]["inputs"]["mmaudio_model"] = file
    prompt["utils"]["inputs"]["vae_model"] = "elsewhere.safetensors"
    made, notices = converted(prompt)
    assert made["model"]["inputs"]["model"] == model
    assert made["model"]["inputs"]["vae"] == "auto" and "elsewhere.safetensors" in notices
    assert (file in notices) == (model != FILES["model"])


def test_a_44k_model_takes_no_vocoder_of_16k() -> None:
    """There, the vocoder is only used in the mode 16k, and found by itself in the other."""
    prompt = their_prompt("clip.mp4")
    prompt["utils"]["inputs"]["mode"] = "44k"
    assert "vocoder" not in converted(prompt)[0]["model"]["inputs"]
    del prompt["utils"]["inputs"]["bigvgan_vocoder_model"], prompt["vocoder"]
    assert "vocoder" not in converted(prompt)[0]["model"]["inputs"]


def test_precisions() -> None:
    prompt = their_prompt("clip.mp4")
    prompt["model"]["inputs"]["base_precision"] = "fp8_e4m3fn_fast"
    made, notices = converted(prompt)
    assert made["model"]["inputs"]["precision"] == "fp8_e4m3fn"
    assert "Loaded in fp8_e4m3fn, networks of fp32 included." in notices
    prompt["model"]["inputs"]["base_precision"] = "int3"
    assert converted(prompt)[0]["model"]["inputs"]["precision"] == "auto"


def test_values_out_of_bounds_and_links() -> None:
    made, notices = converted(their_prompt("clip.mp4", steps=500, cfg=-1.0, seed=["other", 0]))
    assert made["sample"]["inputs"]["steps"] == 200 and "steps was 500 and is now 200" in notices
    assert made["sample"]["inputs"]["cfg"] == 0 and made["sample"]["inputs"]["seed"] == ["other", 0]


@pytest.mark.parametrize(
    ("source", "rate"),
    [
        ("VHS_LoadVideo", {"video_info": ["parts", 3]}),
        ("VHS_LoadVideoPath", {"video_info": ["parts", 3]}),
        ("GetVideoComponents", {"frame_rate": ["parts", 2]}),
    ],
)
def test_the_source_of_the_images_tells_their_rate(source: str, rate: dict[str, Any]) -> None:
    prompt = their_prompt("clip.mp4")
    prompt["parts"] = node(source)
    inputs = converted(prompt)[0]["sample-features"]["inputs"]
    assert {k: v for k, v in inputs.items() if k in ("frame_rate", "video_info")} == rate


@pytest.mark.parametrize(
    ("shown", "rate"),
    [
        (node("VHS_VideoCombine", images=["vae", 0], audio=["sample", 0], frame_rate=16), 16),
        (node("CreateVideo", images=["vae", 0], audio=["sample", 0], fps=["f", 1]), ["f", 1]),
        (node("CreateVideo", images=["rife", 0], audio=["sample", 0], fps=32), None),
        (node("CreateVideo", images=["vae", 0], audio=["music", 0], fps=32), None),
    ],
)
def test_what_shows_generated_images_with_the_sound_tells_their_rate(
    shown: dict[str, Any], rate: Any
) -> None:
    """25 is assumed, and said, if nothing does."""
    prompt = their_prompt("clip.mp4", images=["vae", 0])
    prompt |= {"vae": node("VAEDecode"), "shown": shown}
    made, notices = converted(prompt)
    assert made["sample-features"]["inputs"]["frame_rate"] == (25 if rate is None else rate)
    assert ("Set frame_rate" in notices) == (rate is None)


def test_nodes_that_keep_frames_are_looked_behind() -> None:
    """Those that resize them; not those that may add some."""
    prompt = their_prompt("clip.mp4", images=["small", 0])
    prompt |= {
        "small": node("ImageResizeKJ", image=["scaled", 0]),
        "scaled": node("ImageScale", image=["parts", 0]),
    }
    inputs = converted(prompt)[0]["sample-features"]["inputs"]
    assert inputs["frame_rate"] == ["parts", 2] and inputs["images"] == ["small", 0]
    prompt["parts"] = node("VAEDecode")
    prompt["shown"] = node("CreateVideo", images=["parts", 0], audio=["sample", 0], fps=16)
    assert converted(prompt)[0]["sample-features"]["inputs"]["frame_rate"] == 16
    prompt["scaled"]["class_type"] = "RIFE VFI"
    assert "Set frame_rate" in converted(prompt)[1]
    prompt["scaled"] = node("ImageScale", image=["small", 0])  # in a circle
    assert "Set frame_rate" in converted(prompt)[1]


def test_without_images_there_is_no_rate() -> None:
    prompt = their_prompt("clip.mp4")
    del prompt["sample"]["inputs"]["images"]
    made, notices = converted(prompt)
    inputs = made["sample-features"]["inputs"]
    assert not {"images", "frame_rate", "video_info"} & set(inputs) and "frame_rate" not in notices


def test_titles_of_their_own_stay() -> None:
    prompt = their_prompt("clip.mp4")
    prompt["model"]["_meta"] = {"title": "MMAudio ModelLoader"}
    prompt["sample"]["_meta"] = {"title": "Foley"}
    made, _ = converted(prompt)
    assert made["model"]["_meta"] == {} and made["sample"]["_meta"] == {"title": "Foley"}


def test_two_samplers_of_one_model() -> None:
    prompt = their_prompt("clip.mp4")
    prompt["sample-features"] = copy.deepcopy(prompt["sample"])
    made, _ = converted(prompt)
    kinds = [one["class_type"] for one in made.values()]
    assert kinds.count("MMAudioFeatureExtract") == 2 and kinds.count("LoadMMAudioModel") == 1
    assert made["sample"]["inputs"]["features"] == ["sample-features_", 0]


def test_numbers_stay_numbers() -> None:
    """Ids that the page takes for its nodes."""
    prompt = numbered(their_prompt("clip.mp4"))
    (sampler,) = (key for key, one in prompt.items() if one["class_type"] == "MMAudioSampler")
    prompt["10"] = copy.deepcopy(prompt[sampler])
    made, _ = converted(prompt)
    assert [made[key]["inputs"]["features"] for key in (sampler, "10")] == [["11", 0], ["12", 0]]


# --- what is left alone


def test_a_mix_of_both_packs_is_left_alone() -> None:
    told = left_alone(their_prompt("clip.mp4") | {"mux": node("MuxAudioVideo")})
    assert "of MMAudio Native" in told
    told = left_alone(their_prompt("clip.mp4") | {"our": sound()["sample"]})
    assert "of MMAudio Native" in told


@pytest.mark.parametrize("source", ["model", "utils", "vocoder"])
def test_a_loader_that_feeds_another_pack_is_left_alone(source: str) -> None:
    prompt = their_prompt("clip.mp4") | {"other": node("AnyNode", something=[source, 0])}
    assert "connected to a node" in left_alone(prompt)


def test_what_is_half_known_is_left_alone() -> None:
    assert "not known" in left_alone(their_prompt("clip.mp4", loudness=3))
    assert "gets no model" in left_alone(their_prompt("clip.mp4", mmaudio_model=["gone", 0]))
    assert "gets no model" in left_alone(their_prompt("clip.mp4", feature_utils=["model", 0]))
    prompt = their_prompt("clip.mp4")
    prompt["second"] = copy.deepcopy(prompt["sample"])
    prompt["second"]["inputs"]["feature_utils"] = ["utils2", 0]
    prompt["utils2"] = copy.deepcopy(prompt["utils"])
    converted(prompt)  # the same files
    prompt["utils2"]["inputs"]["vae_model"] = "another.safetensors"
    assert "share MMAudio ModelLoader" in left_alone(prompt)


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(prompts, "_our_ids", lambda: OURS)
    monkeypatch.setattr(prompts, "_files", lambda: offered)
    return prompts.on_prompt


def test_prompts_of_others_are_the_same_object(handler: Any, monkeypatch: Any) -> None:
    for prompt in (sound(video="clip.mp4"), {}, {"a": node("KSampler", seed=1)}):
        body = {"prompt": prompt, "client_id": "x"}
        assert handler(body) is body and body == {"prompt": prompt, "client_id": "x"}
    theirs = {"prompt": their_prompt("clip.mp4"), "number": 3}
    assert handler(theirs)["number"] == 3 and handler(theirs) is not theirs
    # with their pack installed too, and its sampler under the id
    monkeypatch.setattr(prompts, "_our_ids", lambda: OURS - {"MMAudioSampler"})
    assert handler(theirs) is theirs


def test_nothing_is_raised(handler: Any, monkeypatch: Any) -> None:
    for body in (None, [], "x", {}, {"prompt": None}, {"prompt": [1]}, {"prompt": {"1": None}}):
        assert handler(body) is body
    choose = random.Random(5)
    odd = [None, [], {}, "x", -1, 1e308, True, ["model", 0], ["gone"], [["model"], 0], [1, 2, 3]]
    for _ in range(3000):
        prompt: Any = their_prompt("clip.mp4")
        for _ in range(choose.randint(1, 3)):
            key = choose.choice(list(prompt))
            where: Any = prompt
            if isinstance(prompt[key], dict) and choose.random() < 0.9:
                where, key = prompt[key], choose.choice(["inputs", "class_type", "_meta"])
                if isinstance(where.get("inputs"), dict) and choose.random() < 0.8:
                    where = where["inputs"]
                    key = choose.choice([*where, "other"])
            where[key] = copy.deepcopy(choose.choice(odd))
        body = {"prompt": prompt}
        before = copy.deepcopy(body)
        result = handler(body)
        assert body == before and set(result) == {"prompt"}

    def broken() -> Any:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(prompts, "_files", broken)
    body = {"prompt": their_prompt("clip.mp4")}
    assert handler(body) is body


# --- in ComfyUI


def test_the_table_names_what_our_nodes_have(comfy: ComfyServer) -> None:
    table = json.loads((Path(__file__).parents[2] / "web" / "kijai.json").read_text("utf-8"))
    info = comfy.client.object_info()
    inputs = {
        kind: info[kind]["input"]["required"] | info[kind]["input"].get("optional", {})
        for kind in table["becomes"]
    }
    for kind, names in table["becomes"].items():
        assert set(names.values()) - {"control_after_generate"} <= set(inputs[kind])
        assert set(table["adds"][kind]) <= set(inputs[kind])
    for name, bounds in table["bounds"].items():
        (options,) = [own[name][1] for own in inputs.values() if name in own]
        assert [options["min"], options["max"]] == bounds
    choices = {
        name: inputs["LoadMMAudioModel"][name][1]["options"] for name in ("model", "precision")
    }
    assert set(table["variants"].values()) <= set(choices["model"])
    assert set(table["precisions"].values()) <= set(choices["precision"])
    assert inputs["MMAudioFeatureExtract"]["frame_rate"][1]["default"] == table["assumed_rate"]


def lossless(comfy: ComfyServer, graph: Graph) -> tuple[np.ndarray, set[str]]:
    result = run(comfy, saved(graph))
    (path,) = paths(comfy, result)
    return read_audio(path), executed(result)


def test_it_runs_and_sounds_as_ours(comfy: ComfyServer, clip: str) -> None:
    """Sample for sample, generated twice."""
    theirs, ran = lossless(comfy, their_prompt(clip))
    assert "sample-features" in ran
    ours, ran = lossless(comfy, our_prompt(clip))
    assert {"load", "extract", "sample"} <= ran
    assert theirs.shape[1] == round(DURATION * 16_000) and np.array_equal(theirs, ours)
    other, _ = lossless(comfy, their_prompt(clip, seed=SEED + 1))
    assert not np.array_equal(theirs, other)


def test_it_becomes_an_mp4(comfy: ComfyServer, clip: str) -> None:
    graph = their_prompt(clip)
    graph["show"] = node("CreateVideo", images=["parts", 0], audio=["sample", 0], fps=["parts", 2])
    graph["save"] = node(
        "SaveVideo", video=["show", 0], filename_prefix="kijai/v", format="auto", codec="auto"
    )
    (path,) = paths(comfy, run(comfy, graph))
    with av.open(path) as container:
        assert path.suffix == ".mp4" and [s.type for s in container.streams] == ["video", "audio"]
        assert container.streams.video[0].frames == 50
    assert np.abs(read_audio(path)).max() > 0


def test_a_mix_is_told_in_the_log(comfy: ComfyServer, clip: str) -> None:
    graph = their_prompt(clip)
    graph["mux"] = node(
        "MuxAudioVideo", audio=["sample", 0], images=["parts", 0], filename_prefix="x"
    )
    with pytest.raises(PromptRejectedError):
        comfy.client.submit(graph)
    assert kijai.TABLE["says"]["mixed"] in comfy.log_text()
