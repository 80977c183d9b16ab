"""What MMAudioTrainingSet tells: a text, and a picture of the pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..mmaudio_core.checkpoint.published import CC_BY_NC
from ..mmaudio_core.errors import MMAudioError
from ..mmaudio_core.models.clip.tokenizer import fits
from ..mmaudio_core.scoring.voice import find_voice
from ..mmaudio_core.training.dataset import Example, TrainingSet
from ..mmaudio_core.training.pieces import Piece, PieceOptions
from .plot_sheet import paste_frames

_CELL, _LABEL, _STRIP, _GAP, _COLUMNS, _MOST = (256, 96), 34, 66, 8, 4, 48
_BACK, _INK, _HELD = (22, 22, 26), (225, 225, 230), (255, 190, 92)
_TOLD = 5  # recordings and pieces left out that a notice names
_TOLD_LETTERS = 300  # of a caption in the report
_LETTERS = 42  # of a caption that fit above a piece


def describe(
    chosen: TrainingSet,
    examples: Sequence[Example],
    left_out: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The report, a line each."""
    lines = [
        f"Learned: {_count(chosen.training)}.",
        f"Held out: {_count(chosen.held_out)}.",
        f"Examples for Train LoRA: {len(examples)}, of which {_dropped(examples)}.",
        f"Digest of the data: {chosen.digest}",
        f"MMAudio's weights are licensed {CC_BY_NC}, and so is what is trained from them.",
    ]
    for title, pieces in (("Learned", chosen.training), ("Held out", chosen.held_out)):
        for name in dict.fromkeys(piece.recording for piece in pieces):
            of_one = [piece for piece in pieces if piece.recording == name]
            at = ", ".join(f"{float(piece.start):g}" for piece in of_one)
            caption = of_one[0].caption[:_TOLD_LETTERS] or "(no caption)"
            lines.append(f"{title}: {name} at {at} s: {caption}")
    lines += [f"Left out: {reason}" for reason in left_out]
    lines += [f"Note: {note}" for note in notes]
    return "\n".join(lines)


def _count(pieces: Sequence[Piece]) -> str:
    seconds = float(sum(piece.features.duration for piece in pieces))
    seen = sum(piece.features.clip is not None for piece in pieces)
    recordings = len({piece.recording for piece in pieces})
    return f"{len(pieces)} pieces ({seconds:g} s, {seen} with a picture) of {recordings} recordings"


def _dropped(examples: Sequence[Example]) -> str:
    picture = sum(e.piece.features.clip is not None and not e.picture for e in examples)
    return f"{picture} without their picture and {sum(not e.text for e in examples)} without text"


def draw_pieces(chosen: TrainingSet) -> Tensor:
    """Mel spectrograms of the first pieces, below frames of those with a picture: an IMAGE.

    Pieces that are held out have another color.
    """
    pieces = [(p, False) for p in chosen.training] + [(p, True) for p in chosen.held_out]
    shown = pieces[: _MOST - min(8, len(chosen.held_out))] if len(pieces) > _MOST else pieces
    if len(shown) < len(pieces):
        shown += [(piece, True) for piece in chosen.held_out[: _MOST - len(shown)]]
    strip = _STRIP if any(piece.frames is not None for piece, _ in shown) else 0
    width, height = _CELL[0] + _GAP, _CELL[1] + strip + _LABEL
    rows = -(-len(shown) // _COLUMNS)
    picture = Image.new("RGB", (_COLUMNS * width + _GAP, rows * height + _GAP), _BACK)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default()
    for number, (piece, held) in enumerate(shown):
        left = _GAP + number % _COLUMNS * width
        top = number // _COLUMNS * height
        name = f"{piece.recording[-_LETTERS:]} {float(piece.start):g} s"
        for line, text in enumerate((f"held out: {name}" if held else name, piece.caption)):
            plain = text[:_LETTERS].encode("latin-1", "replace").decode("latin-1")
            draw.text((left, top + 6 + 13 * line), plain, fill=_HELD if held else _INK, font=font)
        if piece.frames is not None:
            paste_frames(picture, piece.frames, (left, top + _LABEL), (_CELL[0], strip - 2))
        mel = Image.fromarray(piece.spectrogram.numpy(), "L").resize(_CELL)
        picture.paste(mel.convert("RGB"), (left, top + _LABEL + strip))
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255)[None]


def check_any(chosen: TrainingSet, left_out: Sequence[str]) -> None:
    """Raise MMAudioError if there is nothing to learn."""
    if not chosen.training:
        reasons = "; ".join(left_out[:_TOLD]) or "the folder is empty"
        raise MMAudioError(f"got no recording that can be learned ({reasons}). Add recordings.")


def notices_of(chosen: TrainingSet, left_out: Sequence[str], options: PieceOptions) -> list[str]:
    """What of a training set the user should know."""
    notices = list(left_out[:_TOLD])
    if len(left_out) > _TOLD:
        notices.append(f"{len(left_out) - _TOLD} more were left out: see the report")
    if not chosen.held_out:
        notices.append(
            "no recording is held out, so nothing will show whether too much is learned: there is "
            "only one, or held_out is 0"
        )
    pieces = (*chosen.training, *chosen.held_out)
    long = dict.fromkeys(p.recording for p in pieces if not fits(p.caption))
    if long:
        more = f" and {len(long) - 1} more" if len(long) > 1 else ""
        notices.append(f"CLIP reads the beginning of the caption only: {next(iter(long))}{more}")
    if options.skip_voices and (reason := find_voice(torch.zeros(1, 16_000), 16_000).reason):
        notices.append(f"voices were not looked for: {reason}")
    return notices
