"""From what a user gives (a video, images, prompts) to features."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .errors import MMAudioError
from .features import Features, VisualFeatures, encode_prompts, encode_still, encode_video
from .media import FrameReader, ImageSequence, VideoSource, check_span, probe
from .networks import Networks
from .progress import Progress, silent

LONGEST = Fraction(600)  # seconds of sound in one job
_NOTABLE = Fraction(1, 1000)  # seconds: shorter cuts are not worth a word


@dataclass(frozen=True, kw_only=True)
class Footage:
    """The part of a video that counts: from ``start``, for ``duration`` (None: to its end)."""

    source: VideoSource | ImageSequence
    start: Fraction = Fraction(0)
    duration: Fraction | None = None

    @property
    def is_still(self) -> bool:
        """Whether it is one image, which is looked at once."""
        return isinstance(self.source, ImageSequence) and len(self.source.images) == 1


@dataclass(frozen=True, kw_only=True)
class Span:
    """Which seconds of the footage to make sound for, and whether CLIP may see them.

    Attributes:
        duration: seconds of sound; 0 means to the end of the video.
        start: seconds into the video where the sound starts.
        mask_away_clip: leave CLIP's picture out and keep the sync features.
    """

    duration: Fraction = Fraction(8)
    start: Fraction = Fraction(0)
    mask_away_clip: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Visual features, and what the user should know about them."""

    features: VisualFeatures
    notices: tuple[str, ...] = ()


def look(
    networks: Networks, footage: Footage | None, span: Span, progress: Progress = silent
) -> Seen:
    """Visual features of a video, of a still picture (one image), or of nothing.

    Raises:
        MediaError: the video cannot be read, or is too short after ``start``.
        MMAudioError: a duration of 0 without a video to take it from.
    """
    if footage is None or footage.is_still:
        return Seen(features=_without_video(networks, footage, span, progress))
    available = probe(footage.source).duration - footage.start
    if footage.duration is not None:
        available = min(available, footage.duration)
    usable = check_span(available, span.start, span.duration or None)
    usable = min(usable, LONGEST)
    reader = FrameReader(
        footage.source,
        start=footage.start + span.start,
        duration=usable,
        clip=not span.mask_away_clip,
    )
    features = encode_video(networks, reader, usable, progress)
    wanted = span.duration or available - span.start
    if features.duration >= wanted - _NOTABLE:
        return Seen(features=features)
    end = float(span.start + features.duration)
    why = (
        f"{float(LONGEST):g} s are the most for one job"
        if features.duration == LONGEST
        else f"the video ends {end:.2f} s after its start"
    )
    notice = f"the sound is {float(features.duration):.2f} s long, not {float(wanted):g} s: {why}"
    return Seen(features=features, notices=(notice,))


def extract(
    networks: Networks,
    footage: Footage | None,
    span: Span,
    prompt: str = "",
    negative_prompt: str = "",
    progress: Progress = silent,
) -> Features:
    """Features of footage and prompts; see ``look``."""
    visual = look(networks, footage, span, progress).features
    text = encode_prompts(networks, prompt, negative_prompt, progress)
    return Features.join(visual, text)


def _without_video(
    networks: Networks, footage: Footage | None, span: Span, progress: Progress
) -> VisualFeatures:
    if not span.duration:
        raise MMAudioError(
            "a duration of 0 (to the end of the video) was got without a video: set duration to "
            "the seconds of sound wanted, or connect a video"
        )
    clip = None
    if footage is not None and not span.mask_away_clip:
        assert isinstance(footage.source, ImageSequence)
        clip = encode_still(networks, footage.source.images[0], progress)
    return VisualFeatures(duration=span.duration, clip=clip, sync=None)
