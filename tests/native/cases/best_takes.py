"""best_of and no_voice of MMAudioSampler, with judges that the cases choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import comfy.model_management as mm
import numpy as np
import tiny
import torch
from mmaudio_pack.mmaudio_core.scoring import voice
from mmaudio_pack.mmaudio_core.scoring.types import TakeScores
from mmaudio_pack.mmaudio_core.scoring.voice import VoiceResult
from mmaudio_pack.nodes import best_takes, comfy_sampling, take_sampling, voices
from mmaudio_pack.nodes.latents import empty_latent
from mmaudio_pack.nodes.region import MMAudioRegion
from mmaudio_pack.nodes.sampler import MMAudioSampler
from mmaudio_pack.nodes.take_notes import notes_of_one
from torch import Tensor

NETWORKS = tiny.networks()
FEATURES = tiny.features(NETWORKS.params)
RATE = NETWORKS.params.audio.sample_rate
SPEECH = Path(__file__).parents[2] / "golden" / "speech_16k.flac"
QUIET = VoiceResult(share=0.0)


def run(seed: int, num_samples: int = 1, **others: Any) -> Any:
    """The node's output; two steps, unless told otherwise."""
    settings: dict[str, Any] = {"steps": 2, "cfg": 4.5, **others}
    return MMAudioSampler.execute(NETWORKS, FEATURES, seed, num_samples=num_samples, **settings)


def sound(output: Any) -> Tensor:
    return output.args[0]["waveform"]


def notes(output: Any) -> dict[str, Any]:
    return output.args[0]["mmaudio"]


def told(output: Any) -> list[str]:
    return output.ui["text"]


SINGLE = {seed: sound(run(seed)) for seed in range(10, 16)}


def closest(waveform: Tensor) -> int | None:
    """The seed whose single run made that sound, within 1e-4."""
    for seed, one in SINGLE.items():
        if tiny.relative_error(waveform, one[0]) < 1e-4:
            return seed
    return None


def power(waveform: Tensor) -> float:
    return waveform.square().mean().item()


@contextmanager
def scored_by_power() -> Iterator[list[int]]:
    """The quieter, the better; how many takes were scored at a time."""
    counts: list[int] = []

    def judge(_networks: Any, _features: Any, waveforms: Tensor, *_: Any, **__: Any) -> Any:
        counts.append(len(waveforms))
        return [TakeScores(desync=power(one)) for one in waveforms]

    with patch.object(best_takes, "score_takes", judge):
        yield counts


@contextmanager
def voiced(shares: Mapping[int | None, float]) -> Iterator[list[list[int]]]:
    """A voice from 0.5 to 1 s in the sound of those seeds; None: in what is of no single seed.

    Yields the seeds of each run of the sampler.
    """
    runs: list[list[int]] = []
    sample = take_sampling.sample

    def find(waveform: Tensor, _rate: int) -> VoiceResult:
        spoken = waveform.shape == SINGLE[10][0].shape  # not the pack's check of the detector
        share = shares.get(closest(waveform), 0.0) if spoken else 0.0
        return VoiceResult(share=share, intervals=((0.5, 1.0),)) if share else QUIET

    def spy(*args: Any, **keywords: Any) -> Tensor:
        runs.append(list(args[4]))
        return sample(*args, **keywords)

    with ExitStack() as stack:
        stack.enter_context(patch.object(voice, "find_voice", find))
        stack.enter_context(patch.object(take_sampling, "sample", spy))
        yield runs


def by_power(seeds: Sequence[int]) -> list[int]:
    return sorted(seeds, key=lambda seed: power(SINGLE[seed]))


def case_the_best_of_single_runs() -> dict[str, Any]:
    with scored_by_power():
        output = run(10, 2, best_of=4)
    kept = notes(output)["seeds"]
    return {
        "expected": by_power(range(10, 14))[:2],
        "kept": kept,
        "errors": [
            tiny.relative_error(one[None], SINGLE[seed])
            for one, seed in zip(sound(output), kept, strict=True)
        ],
        "scores": notes(output)["scores"],
        "powers": [power(SINGLE[seed]) for seed in kept],
        "told": told(output),
    }


def case_batches_change_nothing() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for size in (1, 3, 16):
        rows: list[int] = []
        sample = take_sampling.sample

        def spy(
            *args: Any, rows: list[int] = rows, sample: Any = sample, **keywords: Any
        ) -> Tensor:
            rows.append(len(args[4]))
            return sample(*args, **keywords)

        with (
            scored_by_power(),
            patch.object(take_sampling, "takes_that_fit", lambda *_, size=size: size),
            patch.object(take_sampling, "sample", spy),
        ):
            output = run(10, 4, best_of=4)
        found[str(size)] = [
            rows,
            notes(output)["seeds"],
            [closest(one) for one in sound(output)],
        ]
    return found


def case_beyond_the_highest_seed() -> Any:
    """0 follows it; each seed that is told makes its take alone."""
    with scored_by_power():
        output = run(2**64 - 1, 3, best_of=3)
    seeds = notes(output)["seeds"]
    alone = [sound(run(seed)) for seed in seeds]
    return {
        "seeds": seeds,
        "errors": [
            tiny.relative_error(one, single[0])
            for one, single in zip(sound(output), alone, strict=True)
        ],
        "told": told(output),
        "retry": voices.retry_seed(2**64 - 1, 3, 1, 1),
    }


def case_samplers_that_draw_noise() -> list[Any]:
    """Take by take, so that each is a single run; in a plain batch they are not."""
    name: dict[str, Any] = {"sampler_name": "euler_ancestral"}
    alone = [sound(run(seed, **name)) for seed in (10, 11)]
    with scored_by_power():
        output = run(10, 2, best_of=2, **name)
    order = [notes(output)["seeds"].index(seed) for seed in (10, 11)]
    batch = sound(run(10, 2, **name))
    return [
        [
            tiny.relative_error(sound(output)[i][None], one)
            for i, one in zip(order, alone, strict=True)
        ],
        tiny.relative_error(batch[1:], alone[1]),
    ]


def case_what_fits_into_memory() -> dict[str, Any]:
    """Takes at once, for several amounts of memory in units of a take's estimate."""
    model, shape = NETWORKS.model, (1, 63, 20)
    each = 1.5 * model.model.memory_required([2, *shape])
    found: dict[str, Any] = {}
    for room in (0.2, 1.0, 3.5, 100.0):
        with patch.object(take_sampling.mm, "get_free_memory", lambda *_, r=room: r * each):
            found[str(room)] = take_sampling.takes_that_fit(model, shape, 16)
    return found


def case_the_judges_of_the_pack() -> dict[str, Any]:
    output = run(10, 1, best_of=2)
    (scores,) = notes(output)["scores"]
    return {"scores": scores, "told": told(output), "plain": sorted(notes(run(10)))}


def case_a_latent_for_each_take() -> dict[str, Any]:
    """Two takes to start from, for best_of 2; three are refused."""
    empty = empty_latent(FEATURES.duration, NETWORKS.params.audio)
    start = torch.randn(3, 1, 63, 20, generator=torch.Generator().manual_seed(3))
    half: dict[str, Any] = {"denoise": 0.5}
    single = {
        10: sound(run(10, latent={**empty, "samples": start[:1]}, **half)),
        11: sound(run(11, latent={**empty, "samples": start[1:2]}, **half)),
    }
    with (
        scored_by_power(),
        patch.object(take_sampling, "takes_that_fit", lambda *_: 1),
    ):
        output = run(10, 2, best_of=2, latent={**empty, "samples": start[:2]}, **half)
    try:
        run(10, 1, best_of=2, latent={**empty, "samples": start})
        message = "no error"
    except ValueError as error:
        message = str(error)
    pairs = zip(sound(output), notes(output)["seeds"], strict=True)
    return {
        "errors": [tiny.relative_error(one[None], single[seed]) for one, seed in pairs],
        "message": message,
    }


def result(output: Any, runs: Any) -> dict[str, Any]:
    return {
        "runs": runs,
        "seeds": notes(output)["seeds"],
        "sound": [closest(one) for one in sound(output)],
        "voices": notes(output)["voices"],
        "scores": notes(output)["scores"],
        "told": told(output),
    }


def case_another_seed() -> Any:
    with voiced({10: 0.5, 12: 0.2}) as runs:
        output = run(10, 2, no_voice=True)
    of_one = notes_of_one(notes(output), 1)["voices"]
    return result(output, runs) | {"of_take_1": of_one}


@contextmanager
def latents_and_strengths() -> Iterator[tuple[list[Tensor], list[Any]]]:
    """What is decoded, and the strengths of every TextVideoGuider."""
    decoded: list[Tensor] = []
    strengths: list[Any] = []
    decode = take_sampling.decode

    class Spy(comfy_sampling.TextVideoGuider):
        def __init__(self, model: Any, *, text: float, video: float) -> None:
            strengths.append([text, video])
            super().__init__(model, text=text, video=video)

    def spy(networks: Any, latents: Tensor, *others: Any) -> Tensor:
        decoded.append(latents)
        return decode(networks, latents, *others)

    with (
        patch.object(take_sampling, "decode", spy),
        patch.object(comfy_sampling, "TextVideoGuider", Spy),
    ):
        yield decoded, strengths


def case_a_part_made_anew() -> Any:
    """All seeds of take 0 speak, 12 the least; outside its voice, it stays as it is."""
    with voiced({10: 0.5, 12: 0.2, 14: 0.3}) as runs, latents_and_strengths() as (decoded, used):
        output = run(10, 2, no_voice=True)
    base, made = decoded[1][0], decoded[-1][0]  # seed 12 was decoded in the second run
    change = (made - base).abs().amax(1) / base.abs().max()
    # 0.5 to 1 s, 0.1 s more on both sides, and 0.1 s over which it is blended
    centers = (torch.arange(len(change)) + 0.5) * NETWORKS.params.audio.seconds_per_latent
    outside = (centers < 0.3) | (centers > 1.2)
    return result(output, runs) | {
        "strengths": used,
        "outside": change[outside].max().item(),
        "inside": change[(centers > 0.5) & (centers < 1.0)].mean().item(),
    }


def case_a_part_that_is_no_better() -> Any:
    with voiced({10: 0.5, 11: 0.2, 12: 0.3, None: 0.4}) as runs:
        return result(run(10, 1, no_voice=True), runs)


def case_without_retries() -> Any:
    with voiced({10: 0.5}) as runs:
        return result(run(10, 1, no_voice=True, voice_retries=0), runs)


def case_voices_rank_last() -> Any:
    """The best of three by power, but one, speak; no other seed is needed."""
    order = by_power(range(10, 13))
    with scored_by_power(), voiced({order[0]: 0.5}) as runs:
        return result(run(10, 1, best_of=3, no_voice=True), runs) | {"order": order}


def case_only_the_kept_are_tried_again() -> Any:
    """All of three takes speak, the two that are kept get other seeds, and are scored again."""
    order = by_power(range(10, 13))
    with scored_by_power() as counts, voiced({10: 0.5, 11: 0.4, 12: 0.3}) as runs:
        output = run(10, 2, best_of=3, no_voice=True)
    retried = [order[0] + 3, order[1] + 3]
    return result(output, runs) | {
        "order": order,
        "retried": by_power(retried),
        "powers": [power(SINGLE[seed]) for seed in by_power(retried)],
        "counts": counts,
    }


def case_what_is_kept_cannot_speak_less() -> Any:
    """The voice lies in a part that the latent's mask keeps."""
    latent = empty_latent(FEATURES.duration, NETWORKS.params.audio)
    latent["samples"] = torch.randn(1, 1, 63, 20, generator=torch.Generator().manual_seed(3))
    marked = MMAudioRegion.execute(latent, 1.5, 2.0, 0.1).args[0]
    with voiced({None: 0.5}) as runs:
        return result(run(10, 1, no_voice=True, latent=marked), runs)


def case_nothing_is_sampled() -> Any:
    latent = empty_latent(FEATURES.duration, NETWORKS.params.audio)
    with voiced({None: 0.5}) as runs:
        return result(run(10, 1, no_voice=True, latent=latent, denoise=0.0), runs)


def case_an_interrupt_between_takes() -> list[Any]:
    """Asked for while voices are looked for in the first of three takes."""
    looked: list[int | None] = []

    def find(waveform: Tensor, _rate: int) -> VoiceResult:
        if waveform.shape == SINGLE[10][0].shape:
            looked.append(closest(waveform))
            mm.interrupt_current_processing()
        return QUIET

    with patch.object(voice, "find_voice", find):
        try:
            run(10, 3, no_voice=True)
            outcome = "finished"
        except mm.InterruptProcessingException:
            outcome = "interrupted"
    return [outcome, looked]


def case_without_a_detector() -> list[Any]:
    with patch.object(voice, "_PACKAGE", "no_such_package"), voiced_runs() as runs:
        try:
            run(10, 1, no_voice=True)
            message = "no error"
        except ValueError as error:
            message = str(error)
    return [message, runs]


@contextmanager
def voiced_runs() -> Iterator[list[Any]]:
    """The seeds of each run of the sampler."""
    runs: list[Any] = []

    def spy(*args: Any, **_: Any) -> Tensor:
        runs.append(args[4])
        raise AssertionError("sampled")

    with patch.object(take_sampling, "sample", spy):
        yield runs


def case_the_detector_itself() -> Any:
    """Seed 10 decodes to speech, the others to noise."""
    with av.open(str(SPEECH)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    speech = torch.from_numpy(np.concatenate(frames)).float()
    speech = speech[: 2 * RATE] / speech.abs().max()
    noise = 0.01 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(1))
    decode = take_sampling.decode

    def fake(networks: Any, latents: Tensor, *others: Any) -> Tensor:
        made = decode(networks, latents, *others)
        for one in made:
            spoken = closest(one) == 10
            one[0] = noise
            if spoken:
                one[0, : len(speech)] += 0.5 * speech
        return made

    with patch.object(take_sampling, "decode", fake):
        output = run(10, 1, no_voice=True)
    return {"voices": notes(output)["voices"], "seeds": notes(output)["seeds"]}


def case_seeds_of_retries() -> list[int]:
    """Of 3 takes with 4 attempts each."""
    return [voices.retry_seed(100, 3, place, attempt) for attempt in range(4) for place in range(3)]
