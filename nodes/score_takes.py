"""MMAudioScoreTakes: measures takes against the picture, and puts the best first."""

from __future__ import annotations

import json
from dataclasses import asdict

from comfy_api.latest import Input, io

from ..mmaudio_core.audio.waveform import Audio, read_audio
from ..mmaudio_core.features.types import Features
from ..mmaudio_core.scoring.rank import ScoreWeights, rank
from ..mmaudio_core.scoring.score import STAGES, score_takes
from ..mmaudio_core.scoring.timing import find_timing
from . import compat, inputs
from .agreement import agreement_judge
from .cures import Node
from .feedback import NodeProgress, with_notices
from .model_manager import ComfyModels
from .offset_plot import draw_offsets
from .score_report import ScoredTake, write_report
from .take_notes import KEY, in_order, read_notes, with_scores
from .types import CATEGORY, MMAudioFeatures

WEIGHTS = ScoreWeights()
_TOLERANCE = 0.1  # s by which sound may be shorter or longer unsaid
_TOOLTIPS = {
    "sync": "Sync of sound and picture by Synchformer's synchronisation head.",
    "agreement": "How much picture and prompt explain the sound, by the flow network. The slowest.",
    "onsets": "Whether something is heard when something moves.",
    "voice": "How little of it is a voice. Needs the package silero-vad.",
    "silence": "Whether most of it is to be heard.",
    "clipping": "Whether samples are clipped.",
}


class MMAudioScoreTakes(Node):
    """Several judges, each of which says what it measured; the weights decide the order."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MMAudioScoreTakes",
            display_name="MMAudio Score Takes",
            category=CATEGORY,
            description=(
                "Measures how well each take goes with the picture, and puts the best first. Tells "
                "of any sound whether it is in sync, and by how much to move it."
            ),
            inputs=[
                MMAudioFeatures.Input("features", tooltip="From MMAudio Feature Extract."),
                io.Audio.Input(
                    "audio",
                    tooltip="Any sound that begins where the features do, such as a video's own.",
                ),
                inputs.mmaudio(),
                *(_weight(name, default) for name, default in asdict(WEIGHTS).items()),
            ],
            outputs=[
                io.Audio.Output(display_name="audio", tooltip="All takes, the best first."),
                io.Int.Output(
                    display_name="best",
                    tooltip="Which take of the input is the best, counted from 0.",
                ),
                io.String.Output(display_name="report", tooltip="What was found, in words."),
                io.String.Output(display_name="scores", tooltip="What was measured, as JSON."),
                io.Image.Output(
                    display_name="plot",
                    tooltip="By how much the sound is late over time, a lane for each take.",
                ),
            ],
            **compat.later_schema_fields(
                search_aliases=[
                    "rank takes",
                    "best take",
                    "lip sync",
                    "audio delay",
                    "av sync",
                    "desync",
                    "drift",
                ],
                has_intermediate_output=True,
            ),
        )

    @classmethod
    def execute(
        cls,
        features: Features,
        audio: Input.Audio | None,
        mmaudio: ComfyModels,
        sync: float = WEIGHTS.sync,
        agreement: float = WEIGHTS.agreement,
        onsets: float = WEIGHTS.onsets,
        voice: float = WEIGHTS.voice,
        silence: float = WEIGHTS.silence,
        clipping: float = WEIGHTS.clipping,
    ) -> io.NodeOutput:
        sound = read_audio(audio)
        weights = ScoreWeights(
            sync=sync,
            agreement=agreement,
            onsets=onsets,
            voice=voice,
            silence=silence,
            clipping=clipping,
        )
        progress = NodeProgress(STAGES)
        scores = score_takes(
            mmaudio,
            features,
            sound.waveforms,
            sound.sample_rate,
            weights,
            # only asked for the model if it is needed, which reads it from disk
            judge_agreement=(
                agreement_judge(mmaudio.model, features, progress) if agreement else None
            ),
            progress=progress,
        )
        ranking = rank(scores, weights)
        notes = in_order(with_scores(read_notes(audio), scores, ranking), ranking.order)
        seeds = notes.get("seeds", [None] * len(scores))
        seconds = float(min(sound.duration, features.duration))
        takes = [
            ScoredTake(
                number=take,
                seed=seed,
                seconds=seconds,
                scores=scores[take],
                total=ranking.totals[take],
                timing=find_timing(scores[take], seconds) if sync or onsets else None,
            )
            for take, seed in zip(ranking.order, seeds, strict=True)
        ]
        notices = _lengths(sound, features)
        best_first = {
            "waveform": sound.waveforms[list(ranking.order)],
            "sample_rate": sound.sample_rate,
            KEY: notes,
        }
        return with_notices(
            best_first,
            ranking.order[0],
            write_report(takes, notices),
            json.dumps([take.as_json() for take in takes], indent=1),
            draw_offsets(takes, seconds),
            notices=notices,
        )


def _weight(name: str, default: float) -> io.Float.Input:
    return io.Float.Input(
        name,
        default=default,
        min=0.0,
        max=10.0,
        step=0.05,
        optional=True,
        tooltip=f"{_TOOLTIPS[name]} Its weight in the total; 0: not measured.",
        extra_dict=inputs.ADVANCED,
    )


def _lengths(sound: Audio, features: Features) -> list[str]:
    got, expected = float(sound.duration), float(features.duration)
    if abs(got - expected) <= _TOLERANCE:
        return []
    scored = min(got, expected)
    return [
        f"The sound is {got:.2f} s long and the features {expected:.2f} s: the first "
        f"{scored:.2f} s were scored."
    ]
