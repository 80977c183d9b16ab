"""The intact files to damage: videos of 0.8 s, and tiny networks' weights."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from tests.core.made_videos import numbered, set_display_matrix, steady, write_video
from tests.golden_files import tiny_weights

_TIMES = steady(20, 25)
_VP9 = {"deadline": "realtime", "cpu-used": "8"}
_QUIET = {"preset": "10", "svtav1-params": "lp=1"}
_MILLI, _FRAME = Fraction(1, 1000), Fraction(1, 25)
KINDS = ("media", "others", "weights")
"""mp4, mkv and webm; further kinds of video; safetensors and PyTorch checkpoints."""


def make_seeds(folder: Path) -> None:
    """Write the files into ``folder/media``, ``folder/others`` and ``folder/weights``."""
    media, others, weights = (folder / kind for kind in KINDS)
    for kind in (media, others, weights):
        kind.mkdir(parents=True)
    write_video(media / "plain.mp4", _TIMES, sound=True)
    write_video(media / "late.mp4", [1 + time for time in _TIMES])  # an edit list
    write_video(media / "turned.mp4", _TIMES, options={"bf": "0", "preset": "ultrafast"})
    set_display_matrix(media / "turned.mp4", 0, 1, -1, 0)
    write_video(
        media / "pieces.mp4",
        _TIMES,
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    write_video(media / "hevc.mp4", _TIMES, codec="libx265", options={"x265-params": "pools=1"})
    write_video(media / "plain.mkv", _TIMES, unit=_MILLI, sound=True)
    write_video(media / "uneven.mkv", [t * t + t / 2 for t in _TIMES], unit=_MILLI)
    write_video(media / "ffv1.mkv", _TIMES, codec="ffv1", unit=_MILLI)
    write_video(media / "vp9.webm", _TIMES, codec="libvpx-vp9", unit=_MILLI, options=_VP9)
    write_video(media / "vp8.webm", _TIMES, codec="libvpx", unit=_MILLI, options=_VP9)
    write_video(media / "av1.webm", _TIMES, codec="libsvtav1", unit=_MILLI, options=_QUIET)
    write_video(others / "a.avi", _TIMES, codec="mpeg4", unit=_FRAME, sound=True)
    write_video(others / "a.mov", _TIMES, codec="prores_ks", pix_fmt="yuv422p10le")
    write_video(others / "a.ts", _TIMES, sound=True)
    write_video(others / "a.gif", _TIMES, codec="gif", pix_fmt="rgb8", unit=Fraction(1, 100))
    frames = [Image.fromarray(numbered(number)) for number in range(20)]
    for lossless in (False, True):
        frames[0].save(
            others / f"{lossless}.webp",
            save_all=True,
            append_images=frames[1:],
            duration=40,
            lossless=lossless,
        )
    for name in ("dit_small_16k", "vae_16k", "synchformer", "bigvgan_44k"):
        save_file(tiny_weights(name), weights / f"{name}.safetensors")
    torch.save(tiny_weights("vae_44k"), weights / "vae.pth")
    torch.save({"generator": tiny_weights("bigvgan_16k")}, weights / "vocoder.pt")
