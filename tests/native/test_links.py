"""A link that carries something else: one clear error each, from every node."""

from __future__ import annotations

import re

import pytest

from .conftest import Inside

# type -> the kinds of value (of cases/links.py) that an input of it takes
TAKES = {
    "STRING": {"text"},
    "FLOAT": {"number"},
    "BOOLEAN": {"number"},
    "INT": set(),
    "COMBO": set(),
}
FILES = {"model", "vae", "vocoder", "clip", "synchformer", "lora_name", "folder"}
READ_LATER = {"AUDIO", "VHS_VIDEOINFO"}  # by read_audio and images_rate, with the rest at hand
OPTIONAL = {"VIDEO", "IMAGE", "MASK", "LATENT", "MODEL", "MMAUDIO_FEATURES", "MMAUDIO_TRAINING_SET"}
GOT = {
    "dict": "got a dict ({'a': 1})",
    "text": "got a str (zigzag)",
    "list": "got a list ([1, 2])",
    "object": "got a SimpleNamespace (namespace())",
    "None": "got None",
    "number": "got 1.5",
}


def test_every_value_is_told_from_what_is_expected(inside: Inside) -> None:
    checked = 0
    for node, inputs in inside("links")("table").items():
        for key, said in inputs.items():
            name, kind = key.split()
            if kind in READ_LATER:
                continue
            for what, message in said.items():
                takes = what in TAKES.get(kind, ()) or (
                    (kind, what) == ("COMBO", "text") and (name in FILES)
                )
                if what == "None" and kind in OPTIONAL and message == "accepted":
                    continue
                place = (node, name, what, message)
                if takes and "number from" in message:  # a number past the widget's bounds
                    continue
                assert "Error" not in message, place
                assert (message == "accepted") == takes, place
                if not takes:
                    assert message.startswith(f"{name}: {GOT[what]}, expected "), place
                    assert re.search(r"\. Connect ", message), place
                    checked += 1
    assert checked > 300


@pytest.mark.parametrize(
    ("node", "key", "words"),
    [
        ("MMAudioFeatureExtract", "video VIDEO", "expected a VIDEO. Connect Load Video or"),
        ("MMAudioFeatureExtract", "images IMAGE", "expected an IMAGE, a tensor of shape (frames"),
        ("MMAudioFeatureExtract", "mask MASK", "expected a MASK, a tensor of shape (masks"),
        ("MMAudioFeatureExtract", "prompt STRING", "expected a text. Connect a STRING, or type"),
        ("MMAudioDecode", "samples LATENT", "expected a LATENT, a dict with samples. Connect a"),
        ("MMAudioSampler", "model MODEL", "expected a MODEL. Connect the model output of Load"),
        ("MMAudioSampler", "features MMAUDIO_FEATURES", "Connect the features of MMAudio Feature"),
        ("MMAudioSampler", "mmaudio MMAUDIO", "Connect the mmaudio output of Load MMAudio Model"),
        ("MMAudioGuider", "positive CONDITIONING", "expected a CONDITIONING. Connect positive"),
        ("MMAudioLongForm", "join COMBO", "expected one of average, blend, swap. Connect"),
        ("MMAudioSampler", "steps INT", "expected a whole number from 1 to 200. Connect"),
        ("MuxAudioVideo", "gain_db FLOAT", "expected a number from -60 to 24. Connect another"),
    ],
)
def test_what_to_connect(inside: Inside, node: str, key: str, words: str) -> None:
    assert words in inside("links")("table")[node][key]["dict"]


def test_what_nodes_deliver_is_taken(inside: Inside) -> None:
    told = inside("links")("right")
    assert {key for key, said in told.items() if "number from" not in said} == set()
    # at least 2 and 1 s; all get 0.5
    assert set(told) == {"MMAudioLongForm.window", "MMAudioTrainingSet.piece_seconds"}


def test_numbers_become_what_the_input_has(inside: Inside) -> None:
    assert list(inside("links")("numbers").values()) == [
        *["5"] * 4,
        "4.5",
        "4.5",
        "4",
        "False",
        "True",
    ]


RATES = {
    "none": 25,
    "as it is": 12.5,
    "source only": 23.976,
    "NumPy": 24,
    "tensor": 24,
    "one is None": 24,
    "one is text": 24,
    "one is 0": 24,
}


def test_the_rate_of_video_info(inside: Inside) -> None:
    for name, got in inside("links")("video_info").items():
        if name in RATES:
            assert got == RATES[name], name
        else:
            assert isinstance(got, str), (name, got)
            assert "got video_info without a frame rate (" in got, got
            assert "from 0.01 to 1000. Connect the video_info of VideoHelperSuite's" in got, got
