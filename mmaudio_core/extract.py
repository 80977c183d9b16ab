"""From what a user gives (a video, images, prompts) to features."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .errors import MMAudioError
from .features import Features, encode_prompts, encode_still, encode_video
from .media import FrameReader, ImageSequence, VideoSource, check_span, probe
from .networks import Networks
from .progress import Progress, silent

_FRAME = Fraction(1, 1000)  # cuts shorter than a millisecond are not worth a word


@dataclass(frozen=True, kw_only=True)
class Footage:
    """The part of a video that counts: from ``start``, for ``duration`` (None: to its end)."""

    source: VideoSource | ImageSequence
    start: Fraction = Fraction(0)
    duration: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make features for.

    Attributes:
        duration: seconds of sound; 0 means to the end of the video.
        start: seconds into the video where the sound starts.
        mask_away_clip: leave CLIP's picture out and keep the sync features.
    """

    prompt: str = ""
    negative_prompt: str = ""
    duration: Fraction = Fraction(8)
    start: Fraction = Fraction(0)
    mask_away_clip: bool = False


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """Features, and what the user should know about them."""

    features: Features
    notices: tuple[str, ...] = ()


def extract(
    networks: Networks, footage: Footage | None, request: Request, progress: Progress = silent
) -> Extracted:
    """Features of a video, of a still picture (one image), or of prompts alone.

    Raises:
        MediaError: the video cannot be read, or is too short after ``start``.
        MMAudioError: a duration of 0 without a video to take it from.
    """
    if footage is None or _is_still(footage):
        return _without_video(networks, footage, request, progress)
    available = probe(footage.source).duration - footage.start
    if footage.duration is not None:
        available = min(available, footage.duration)
    usable = check_span(available, request.start, request.duration or None)
    reader = FrameReader(
        footage.source,
        start=footage.start + request.start,
        duration=usable,
        clip=not request.mask_away_clip,
    )
    video = encode_video(networks, reader, usable, progress)
    text, negative = encode_prompts(networks, request.prompt, request.negative_prompt, progress)
    features = Features(
        duration=video.duration,
        clip=video.clip,
        sync=video.sync,
        text=text,
        negative=negative,
    )
    notices: list[str] = []
    wanted = request.duration or usable
    if video.duration < wanted - _FRAME:
        notices.append(
            f"the sound is {float(video.duration):.2f} s long instead of {float(wanted):g} s: "
            f"the video ends {float(request.start + video.duration):.2f} s after its start"
        )
    return Extracted(features=features, notices=tuple(notices))


def _is_still(footage: Footage) -> bool:
    return isinstance(footage.source, ImageSequence) and len(footage.source.images) == 1


def _without_video(
    networks: Networks, footage: Footage | None, request: Request, progress: Progress
) -> Extracted:
    if not request.duration:
        raise MMAudioError(
            "a duration of 0 (to the end of the video) was got without a video: set duration to "
            "the seconds of sound wanted, or connect a video"
        )
    clip = None
    if footage is not None and not request.mask_away_clip:
        assert isinstance(footage.source, ImageSequence)
        clip = encode_still(networks, footage.source.images[0], progress)
    text, negative = encode_prompts(networks, request.prompt, request.negative_prompt, progress)
    features = Features(
        duration=request.duration, clip=clip, sync=None, text=text, negative=negative
    )
    return Extracted(features=features)
