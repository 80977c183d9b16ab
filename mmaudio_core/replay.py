"""The flow network's calls as CUDA graphs: recorded once a shape, then launched as one.

A step is about a thousand small operations, and a fast GPU is done with most of them before the
next one is launched. Sampling repeats the step, so its launches are recorded and repeated at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from .branches import Velocity
from .models.flow_conditions import Conditions

log = logging.getLogger(__name__)

SWITCH = "MMAUDIO_CUDA_GRAPHS"  # in the environment; 0 turns it off


class Recorder(Protocol):
    """Of one kind of device."""

    def prepare(self, run: Callable[[], None], device: torch.device) -> None:
        """Do it where it will be recorded, so that libraries set up what they need there."""
        ...

    def record(self, run: Callable[[], None], device: torch.device) -> Callable[[], None]:
        """Call it so that its operations are recorded and not done; returns what does them."""
        ...


class _CUDAGraphs:
    def prepare(self, run: Callable[[], None], device: torch.device) -> None:
        with _aside(device):
            run()

    def record(self, run: Callable[[], None], device: torch.device) -> Callable[[], None]:
        with _aside(device):
            graph = torch.cuda.CUDAGraph()
            # of this thread alone: others of the host may use the GPU meanwhile
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                run()
            finally:
                graph.capture_end()
        return graph.replay


@contextmanager
def _aside(device: torch.device) -> Generator[None, None, None]:
    """On a stream of its own, after all that came before and before all that comes."""
    current, stream = torch.cuda.current_stream(device), _stream(device)
    stream.wait_stream(current)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:  # cancelled too: what was begun there still reads what will now be let go
        current.wait_stream(stream)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The same one always: libraries keep memory for every stream that they were used on."""
    return torch.cuda.Stream(device)


RECORDERS: dict[str, Recorder] = {"cuda": _CUDAGraphs()}


@dataclass(frozen=True)
class _Recording:
    """Recorded operations, and where they read and write."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    output: Tensor
    weights: tuple[int, ...]

    def __call__(self, inputs: tuple[Tensor, ...]) -> Tensor:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.replay()
        return self.output.clone()


class Replayed:
    """A ``Velocity`` that records what a network does at a shape's second call, and repeats it.

    It calls the network where there is no GPU, where a compiler is at work, where weights wait
    elsewhere, and where recording fails. What is recorded depends on where the weights lie, which
    is looked at, and on what a host does to them as they are used, which is not: make one for each
    run of a sampler.

    Args:
        run: the network's forward.
        network: whose weights it reads.
        tick: called before what was recorded is repeated, since the network's hooks are not.
    """

    def __init__(self, run: Velocity, network: nn.Module, tick: Callable[[], object]) -> None:
        self._run = run
        self._network = network
        self._tick = tick
        self._recordings: dict[object, _Recording | None] = {}
        self._works = os.environ.get(SWITCH) != "0"

    @cached_property
    def _homes(self) -> list[tuple[dict[str, nn.Parameter | None], str]]:
        """Where the network holds each parameter: quicker to look through than the modules."""
        return [
            (parameters, name)
            for module in self._network.modules()
            for parameters in (module._parameters,)  # pyright: ignore[reportPrivateUsage]
            for name in parameters
        ]

    def __call__(
        self, x: Tensor, t: Tensor, conditions: Conditions, which: Tensor | None = None
    ) -> Tensor:
        """See ``FlowNetwork.forward``."""
        recorder = None if torch.compiler.is_compiling() else RECORDERS.get(x.device.type)
        if recorder is None or which is None or not self._works:
            return self._run(x, t, conditions, which)
        inputs = (x, t, which, *conditions.tensors())
        shape = tuple((each.shape, each.dtype) for each in inputs)
        if shape not in self._recordings:
            self._recordings[shape] = None
            return self._prepared(recorder, inputs)
        recording = self._recording(recorder, shape, inputs)
        if recording is None:
            return self._run(x, t, conditions, which)
        self._tick()
        return recording(inputs)

    def _recording(
        self, recorder: Recorder, shape: object, inputs: tuple[Tensor, ...]
    ) -> _Recording | None:
        """A shape's, made anew where weights were moved; None: there can be none."""
        try:
            held = (parameters[name] for parameters, name in self._homes)
            weights = [weight for weight in held if weight is not None]
            addresses = tuple(weight.data_ptr() for weight in weights)
            kept = self._recordings[shape]
            if kept is None or kept.weights != addresses:
                kept = self._recordings[shape] = None  # its memory goes before there is a new one
                if any(weight.device != inputs[0].device for weight in weights):
                    return None
                kept = self._recordings[shape] = self._recorded(recorder, inputs, addresses)
            return kept
        except RuntimeError as error:
            log.warning("sampling without CUDA graphs, slower (%s)", error)
            self._works = False
            return None

    def _prepared(self, recorder: Recorder, inputs: tuple[Tensor, ...]) -> Tensor:
        output = torch.empty_like(inputs[0])
        recorder.prepare(self._into(output, inputs), output.device)
        return output

    def _recorded(
        self, recorder: Recorder, inputs: tuple[Tensor, ...], weights: tuple[int, ...]
    ) -> _Recording:
        own = tuple(given.clone() for given in inputs)
        output = torch.empty_like(own[0])
        replay = recorder.record(self._into(output, own), output.device)
        return _Recording(replay, own, output, weights)

    def _into(self, output: Tensor, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
        def run() -> None:
            x, t, which, *rest = inputs
            output.copy_(self._run(x, t, Conditions(*rest), which))

        return run
