"""WebP images and animations, decoded by Pillow because libav reads them only in part.

Pillow is no requirement of the core, so it is imported only when a WebP file comes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import closing
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import MediaError
from .input_file import InputFile, PathOrBytes
from .orientation import Orientation
from .source import Frame, FrameSource, VideoInfo, check_frame_size

if TYPE_CHECKING:
    from PIL.Image import Image

_DEFAULT_DURATION = Fraction(1, 10)
"""Seconds that a frame of duration 0 lasts, as in browsers; also a still image."""
_EXIF_ORIENTATION = 0x0112
_ORIENTATIONS = {
    2: Orientation(mirror=True),
    3: Orientation(mirror=True, flip=True),
    4: Orientation(flip=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, mirror=True),
    7: Orientation(transpose=True, mirror=True, flip=True),
    8: Orientation(transpose=True, flip=True),
}
"""By EXIF's number (CIPA DC-008, 4.6.4)."""
_EXPECTED = "expected a whole WebP file. Export it again, for instance as H.264 in mp4."


def is_webp(file: InputFile) -> bool:
    """Whether a file begins as WebP does (RFC 9649, section 2.4)."""
    header = file.read(12)
    return header[:4] == b"RIFF" and header[8:] == b"WEBP"


def _orientation(image: Image) -> Orientation:
    """What the image's EXIF data say; upright if they are damaged."""
    try:
        number = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # whatever Pillow's parser raises
        return Orientation()
    return _ORIENTATIONS.get(number, Orientation())


class WebPFile(FrameSource):
    """A WebP file, still or animated; a damaged frame ends the animation.

    Args:
        file: the path, or the file's content in memory.

    Raises:
        MediaError: from the methods, if Pillow is missing, the file is cut off, a frame is too
            large, or the first frame cannot be decoded.
    """

    def __init__(self, file: PathOrBytes) -> None:
        self._file = InputFile(file)

    @property
    def identity(self) -> tuple[Hashable, ...] | None:
        return self._file.identity

    def _read_info(self) -> VideoInfo:
        with closing(self._open()) as image:
            width, height = image.size
            if _orientation(image).transpose:
                width, height = height, width
        return VideoInfo(
            duration=self._boundaries[-1],
            width=width,
            height=height,
            frame_rate=(len(self._boundaries) - 1) / self._boundaries[-1],
            codec="webp",
        )

    def frame_times(self) -> list[Fraction]:
        return list(self._boundaries[:-1])

    def frames(self, start: Fraction = Fraction(0)) -> Iterator[Frame]:
        last = len(self._boundaries) - 2
        with closing(self._open()) as image:
            orientation = _orientation(image)
            for index, (time, end_time) in enumerate(pairwise(self._boundaries)):
                if end_time <= start and index < last:
                    continue
                image.seek(index)
                rgb = image.convert("RGB")
                yield Frame(
                    time=time,
                    end_time=end_time,
                    rgb=lambda rgb=rgb: orientation(torch.as_tensor(np.array(rgb))),
                )

    @property
    def still_image(self) -> Tensor | None:
        if len(self._boundaries) > 2:
            return None
        return next(self.frames()).rgb().float() / 255

    @property
    def is_transparent(self) -> bool:
        """Whether any pixel of its first frame is."""
        with closing(self._open()) as image:
            return image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)

    @cached_property
    def _boundaries(self) -> tuple[Fraction, ...]:
        """When each frame that decodes is shown, and when the last one ends, in seconds."""
        durations: list[Fraction] = []
        with closing(self._open()) as image:
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                try:
                    image.load()
                except Exception as error:  # whatever Pillow's decoder raises
                    if index:
                        break
                    raise MediaError(
                        f"no frame of {self._file} could be decoded ({error}); {_EXPECTED}"
                    ) from error
                durations.append(Fraction(image.info["duration"], 1000) or _DEFAULT_DURATION)
        return tuple(accumulate(durations, initial=Fraction(0)))

    def _open(self) -> Image:
        try:
            from PIL import Image
        except ImportError as error:
            raise MediaError(
                f"{self._file} is WebP, which only Pillow reads, and Pillow is not installed;"
                " expected Pillow 9 or newer. Run pip install pillow, or export the video as mp4."
            ) from error
        try:
            image = Image.open(self._file.open(), formats=["WEBP"])
        except Exception as error:  # whatever Pillow's parser and limits raise
            raise MediaError(f"{self._file} cannot be read ({error}); {_EXPECTED}") from error
        check_frame_size(*image.size)
        return image
