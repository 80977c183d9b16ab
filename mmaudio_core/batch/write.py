"""Last stage: from sound to a result and its sidecar."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from ..errors import MediaError
from ..media import FrameSource, ImageSequence, open_source
from ..mux import MuxResult, SoundResult, mux_audio, write_sound
from ..progress import Progress, no_progress
from .inputs import input_facts, is_unchanged, open_video
from .item import Item
from .sidecar import ResultFile, RunFacts, Sidecar, item_digest, read_sidecar, sidecar_name
from .stages import GeneratedSound, InputFacts, timed
from .store import Store

_STILL_RATE = Fraction(25)


def write_item(
    item: Item,
    sound: GeneratedSound,
    store: Store,
    run: RunFacts,
    progress: Progress = no_progress,
) -> Sidecar:
    """Write a file per take, and then the sidecar, which makes them final.

    Killed anywhere in between, it leaves no sidecar that holds for files that are not there. Files
    of an earlier result that are not part of this one are deleted.

    Raises:
        MediaError: the video has changed or cannot be read again, or the place cannot be written.
    """
    if item.video is not None and item.options.sound_format is None:
        _check_unchanged(item.video, sound.input)
    seconds = dict(sound.seconds)
    before = read_sidecar(store, item)
    if before is not None and before.digest is not None:  # keep in mind what is to be deleted
        store.write(sidecar_name(item), Sidecar(digest=None, files=before.files).to_json())
    files: list[ResultFile] = []
    notes: list[str] = [*sound.notes]
    with timed(seconds, "write"):
        for take, (name, waveform) in enumerate(zip(item.names, sound.waveforms, strict=True)):
            with store.staged(name) as target:
                written = _write_take(item, waveform, sound.sample_rate, target, progress)
                size = written.path.stat().st_size
            folder = name.rpartition("/")[0]
            files.append(
                ResultFile(
                    name=f"{folder}/{written.path.name}" if folder else written.path.name,
                    size=size,
                    seed=sound.seeds[take],
                    scores=sound.scores[take] if sound.scores else {},
                    unmeasured=sound.unmeasured[take] if sound.unmeasured else {},
                )
            )
            notes += written.notes
    kept = {file.name for file in files}
    for file in before.files if before is not None else ():
        if file.name not in kept:
            store.delete(file.name)
    sidecar = Sidecar(
        digest=item_digest(item, run),
        video=item.video,
        input=sound.input,
        options=item.options.changed(),
        files=tuple(files),
        duration=round(sound.waveforms.shape[-1] / sound.sample_rate, 6),
        sample_rate=sound.sample_rate,
        run=run,
        seconds={stage: round(value, 4) for stage, value in seconds.items()},
        notes=tuple(dict.fromkeys(notes)),
    )
    store.write(sidecar_name(item), sidecar.to_json())
    return sidecar


def _write_take(
    item: Item,
    waveform: Tensor,
    sample_rate: int,
    target: Path,
    progress: Progress,
) -> MuxResult | SoundResult:
    options = item.options
    if item.video is None or options.sound_format is not None:
        return write_sound(
            waveform,
            sample_rate,
            target,
            options.sound_format or "flac",
            progress=progress,
        )
    return mux_audio(
        _picture(item.video, waveform, sample_rate, options.start),
        waveform,
        sample_rate,
        target,
        audio_start=options.start,
        audio_options=options.audio_options,
        file_options=options.file_options,
        progress=progress,
    )


def _check_unchanged(video: str, before: InputFacts | None) -> None:
    """Raise MediaError if the picture is not the one that the sound was made for."""
    input_facts(video, read=False)  # tells what is wrong with a video that is gone
    if before is not None and not is_unchanged(video, before):
        raise MediaError(
            f"'{video}' changed while its sound was made; expected it to stay as it is. Run the "
            "same command again once it is whole"
        )


def _picture(video: str, waveform: Tensor, sample_rate: int, start: Fraction) -> FrameSource:
    """The video, or a still picture repeated for as long as the sound lasts."""
    source = open_source(open_video(video))
    image = source.still_image
    if image is None:
        return source
    seconds = start + Fraction(waveform.shape[-1], sample_rate)
    count = max(1, math.ceil(seconds * _STILL_RATE))
    return ImageSequence(images=image.expand(count, -1, -1, -1), frame_rate=_STILL_RATE)
