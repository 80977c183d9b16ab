"""AUDIO in every form that nodes make, into every node that takes it: what comes out."""

from __future__ import annotations

import pytest

from .conftest import Inside

# "encode": MMAudioEncode; "mux": MuxAudioVideo's audio; "own": its video's own, kept as a track;
# "save": MMAudioSaveAudio as flac
STEP = 2**-15  # of the 16 bits that are written; "save" writes 24, which tests/core sees

# form -> the largest difference from the same sound in float32: of latents, of samples
RIGHT = {
    "float32": (0, STEP),
    "float64": (0, STEP),
    "float16": (0.02, 2**-12 + STEP),
    "bfloat16": (0.2, 2**-9 + STEP),
    "int16": (0.02, STEP),
    "int32": (1e-4, STEP),
    "uint8": (1, 2**-8 + STEP),
    "(C, T)": (0, STEP),
    "numpy": (0, STEP),
    "not contiguous": (0, STEP),
    "requires_grad": (0, STEP),
    "lazy": (0, STEP),
    "rate float": (0, STEP),
    "rate tensor": (0, STEP),
    "rate numpy": (0, STEP),
    "(T,)": (0, STEP),
    "mono": (0, STEP),
    "3.0": (1e-3, STEP),
    "5.1": (1e-3, STEP),
    "16 channels": (1e-3, STEP),
}
CONNECT = "Connect the audio of MMAudio Sampler, or of another node."
AS_MADE = "Connect an AUDIO as a node of ComfyUI makes it."
MADE_BY = "Find the node that made"
REFUSED = {
    "None": ("got no sound", CONNECT),
    "text": ("got a str (sound.wav), expected an AUDIO", CONNECT),
    "tensor": ("got a Tensor of shape (2, 16000), expected an AUDIO", CONNECT),
    "no rate": ("without sample_rate (only waveform), expected", CONNECT),
    "no waveform": ("without waveform (only sample_rate), expected", CONNECT),
    "0 samples": ("empty AUDIO (shape (1, 2, 0): 0 samples), expected at least one", MADE_BY),
    "batch 0": ("empty AUDIO (shape (0, 2, 16000): 0 takes), expected at least one", MADE_BY),
    "4 axes": ("shape (1, 1, 2, 16000), expected (batch, channels, samples)", AS_MADE),
    "int64": ("of type int64, expected a tensor of floats in [-1, 1], int16", AS_MADE),
    "rate 0": ("got 0 as sample rate, expected a number of Hz", MADE_BY),
    "rate text": ("got a str (16000) as sample rate, expected a number of Hz", MADE_BY),
    "NaN": ("32000 of 32000 samples NaN or infinite, expected finite", "Sampler, choose precision"),
}


def test_the_table_is_whole(inside: Inside) -> None:
    assert set(inside("audio_forms")("table")) == {*RIGHT, *REFUSED}


@pytest.mark.parametrize("form", RIGHT)
def test_what_is_sound(inside: Inside, form: str) -> None:
    got = inside("audio_forms")("table")[form]
    latents, samples = RIGHT[form]
    assert isinstance(got["encode"], float) and got["encode"] <= latents, got
    for node in ("mux", "save", "own"):
        assert isinstance(got[node], float) and got[node] <= samples, got


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_not(inside: Inside, form: str) -> None:
    got = inside("audio_forms")("table")[form]
    for node in ("encode", "mux", "save"):
        assert all(words in got[node] for words in REFUSED[form]), got
    if form in ("None", "0 samples", "batch 0"):
        assert got["own"] == "no track"  # a silent video is a normal case
    else:
        own = ("the video's own", "Set original_audio to replace, or repair")
        assert all(words in got["own"] for words in own), got
