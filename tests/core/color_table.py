"""``python -m tests.core.color_table [VIDEO]``: colors against those of an ffmpeg with zscale.

Prints the mean error of each channel in 255ths, of a synthetic picture and, if a video is given, of
four of its frames coded as each case says. ``--record`` writes what the test expects.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import torch
from safetensors.torch import save_file

from mmaudio_core.media import open_source

from ..golden_files import GOLDEN
from .color_cases import CASES, synthetic_picture, write_clip

_VIDEO_SIZE = (960, 540)


def sample(picture: np.ndarray) -> np.ndarray:
    """(16, 24, 3): pixels all over a picture (H, W, 3)."""
    height, width, _ = picture.shape
    rows, columns = (
        np.linspace(0, n - 1, k).round().astype(int) for n, k in ((height, 16), (width, 24))
    )
    return picture[rows][:, columns]


def ours(path: Path) -> np.ndarray:
    """(n, H, W, 3) uint8 as the encoders see it."""
    return np.stack([frame.rgb().numpy() for frame in open_source(path).frames()])


def ffmpegs(path: Path, filters: str) -> np.ndarray:
    """(n, H, W, 3) uint8 as ffmpeg converts it."""
    with av.open(path) as container:
        width, height = container.streams.video[0].width, container.streams.video[0].height
    command = ["ffmpeg", "-v", "error", "-i", path, "-vf", filters]
    command += ["-f", "rawvideo", "-pix_fmt", "gbrp", "-"]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    planes = np.frombuffer(output, np.uint8).reshape(-1, 3, height, width)
    return planes[:, [2, 0, 1]].transpose(0, 2, 3, 1)


def main(arguments: list[str]) -> int:
    """Print the table in Markdown; 1 if a mean error is above 2/255."""
    videos = [argument for argument in arguments if argument != "--record"]
    expected: dict[str, torch.Tensor] = {}
    worst = 0.0
    print("| color | synthetic: R, G, B |" + " real frames: R, G, B |" * len(videos))
    print("|---|---|" + "---|" * len(videos))
    for title, case in CASES.items():
        sets = [synthetic_picture(*case.size)[None], *(_real(video) for video in videos)]
        cells: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            for number, pictures in enumerate(sets):
                path = write_clip(Path(folder) / f"{number}.mkv", case, pictures)
                wanted = ffmpegs(path, case.reference)
                errors = abs(ours(path).astype(float) - wanted).mean((0, 1, 2))
                worst = max(worst, errors.max())
                cells.append(", ".join(f"{error:.2f}" for error in errors))
                if number == 0:
                    expected[title] = torch.from_numpy(sample(wanted[0]).copy())
        print(f"| {title} | {' | '.join(cells)} |", flush=True)
    if "--record" in arguments:
        save_file(expected, GOLDEN / "color.safetensors")
    return int(worst > 2)


def _real(video: str) -> np.ndarray:
    """Four frames of a video (4, H, W, 3) in [0, 1]."""
    frames = list(open_source(video).frames())
    chosen = frames[:: max(1, len(frames) // 4)][:4]
    width, height = _VIDEO_SIZE
    pictures = torch.stack([frame.rgb() for frame in chosen]).permute(0, 3, 1, 2).float()
    resized = torch.nn.functional.interpolate(pictures, (height, width), mode="area")
    return (resized / 255).permute(0, 2, 3, 1).double().numpy()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
