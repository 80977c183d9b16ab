"""What a run tells: bars for people on stderr; lines or events on stdout."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from ..batch.item import Item
from ..batch.sidecar import Sidecar
from ..batch.stages import Failure
from ..codec.decode import VAE_STAGE, VOCODER_STAGE
from ..features.encoders import CLIP_STAGE, SYNC_STAGE, TEXT_STAGE
from ..progress import Progress
from ..sampling.euler import SAMPLING_STAGE
from ..scoring.score import STAGES as SCORE_STAGES
from .output import as_json, write_line

_WEIGHTS = {
    CLIP_STAGE: 8,
    SYNC_STAGE: 8,
    TEXT_STAGE: 1,
    SAMPLING_STAGE: 16,
    VAE_STAGE: 1,
    VOCODER_STAGE: 4,
}
"""How long the stages last, relative to each other."""
_JOB_FORMAT = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_NAME_LENGTH = 40
"""Of a name beside a bar; the end of a path tells more than its beginning."""
_EVENT_SECONDS = 1.0
"""Between two events of progress."""


class Report:
    """Tells of each item, in whatever thread it ends.

    Args:
        total: number of items.
        folder: of the results, as it is shown.
        events: whether programs read stdout.
    """

    def __init__(self, total: int, folder: str, *, events: bool) -> None:
        self.done_count = self.skipped_count = self.failed_count = 0
        self._folder = folder.rstrip("/")
        self._events = events
        self._lock = threading.RLock()
        self._started = time.monotonic()
        self._told = 0.0
        self._stdout = sys.stdout  # whatever is put in its place later
        shown = sys.stderr.isatty()
        self._all = _bar(total, "all", 0, shown=shown)
        self._job = _bar(100, "", 1, shown=shown)
        self._event("start", items=total)

    def begin(self, items: Sequence[Item]) -> Progress:
        """See ``Listener``."""
        more = f" and {len(items) - 1} more" if len(items) > 1 else ""
        with self._lock:
            self._job.set_description(f"{_end_of(items[0].out)}{more}", refresh=False)
            self._job.reset(total=100)
        return self._progress(items)

    def done(self, item: Item, sidecar: Sidecar) -> None:
        """See ``Listener``."""
        files = [f"{self._folder}/{file.name}" for file in sidecar.files]
        with self._lock:
            self.done_count += 1
            self._event(
                "done",
                out=item.out,
                video=item.video,
                files=files,
                duration=sidecar.duration,
                seconds=dict(sidecar.seconds),
                scores=[dict(file.scores) for file in sidecar.files],
                notes=list(sidecar.notes),
            )
            for file in files:
                self._line(file)
            for note in sidecar.notes:
                self._warn(f"{item.out}: {note}")
            self._all.update()

    def skipped(self, item: Item) -> None:
        """See ``Listener``."""
        with self._lock:
            self.skipped_count += 1
            self._event("skipped", out=item.out)
            self._all.update()

    def failed(self, item: Item, failure: Failure) -> None:
        """See ``Listener``."""
        with self._lock:
            self.failed_count += 1
            self._event(
                "failed",
                out=item.out,
                video=item.video,
                line=item.line,
                stage=failure.stage,
                reason=failure.reason,
            )
            self._warn(f"failed ({failure.stage}): {item}: {failure.reason}")
            self._all.update()

    def end(self, *, interrupted: bool = False) -> None:
        """The run is over."""
        with self._lock:
            self._job.close()
            self._all.close()
            seconds = round(time.monotonic() - self._started, 2)
            self._event(
                "end",
                done=self.done_count,
                skipped=self.skipped_count,
                failed=self.failed_count,
                interrupted=interrupted,
                seconds=seconds,
            )
            counts = f"{self.done_count} done, {self.skipped_count} were done before, "
            state = ", interrupted" if interrupted else ""
            self._warn(f"{counts}{self.failed_count} failed, in {seconds:.1f} s{state}")

    def _progress(self, items: Sequence[Item]) -> Progress:
        weights = dict[str, float](_WEIGHTS)
        if items[0].options.score or items[0].options.best_of > items[0].options.takes:
            weights |= SCORE_STAGES
        parts = dict.fromkeys(weights, 0.0)
        total_weight = sum(weights.values())

        def tell(stage: str, done: int, total: int, /) -> None:
            if stage in weights:
                # the stages of several clips follow each other; the bar never goes back
                parts[stage] = max(parts[stage], done / max(total, 1) / len(items))
            share = sum(parts[name] * weights[name] for name in weights) / total_weight
            with self._lock:
                self._job.n = round(100 * share)
                self._job.set_postfix_str(stage, refresh=False)
                self._job.update(0)
                if time.monotonic() - self._told >= _EVENT_SECONDS:
                    self._told = time.monotonic()
                    self._all.refresh()
                    self._event(
                        "progress",
                        out=[item.out for item in items],
                        stage=stage,
                        done=done,
                        total=total,
                        share=round(share, 3),
                    )

        return tell

    def _event(self, name: str, **facts: Any) -> None:
        if self._events:
            write_line(as_json({"event": name, **facts}), self._stdout)

    def _line(self, text: str) -> None:
        if not self._events:
            write_line(text, self._stdout)

    def _warn(self, text: str) -> None:
        write_line(text, sys.stderr)


def _end_of(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else f"...{name[3 - _NAME_LENGTH :]}"


def _bar(total: int, name: str, position: int, *, shown: bool) -> Any:
    from tqdm import tqdm

    return cast(Any, tqdm)(
        total=total,
        desc=name,
        position=position,
        leave=position == 0,
        disable=not shown,
        dynamic_ncols=True,
        unit="item",
        bar_format=None if position == 0 else _JOB_FORMAT,
        file=sys.stderr,
        smoothing=0.1,
    )
