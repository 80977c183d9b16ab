"""How much a key may ask for: jobs a minute, and unfinished jobs."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable

from .errors import TooManyError

_MINUTE = 60.0


class Limits:
    """Counts of every key.

    Args:
        clock: seconds, for tests.
    """

    def __init__(
        self,
        creates_per_minute: int,
        max_unfinished: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._creates_per_minute = creates_per_minute
        self._max_unfinished = max_unfinished
        self._clock = clock
        self._created: dict[str, deque[float]] = {}
        self._unfinished: Counter[str] = Counter()

    def begin(self, owner: str) -> None:
        """A job is created; ``end`` must follow.

        Raises:
            TooManyError: too many in a minute, or unfinished.
        """
        if self._unfinished[owner] >= self._max_unfinished:
            raise TooManyError(
                f"{self._max_unfinished} jobs of this key are unfinished, which is the limit. "
                "Wait until one has ended.",
                5,
            )
        self.count(owner)
        self._unfinished[owner] += 1

    def count(self, owner: str) -> None:
        """Something is created that takes room, such as leave to upload.

        Raises:
            TooManyError: too many in a minute.
        """
        times = self._created.setdefault(owner, deque())
        now = self._clock()
        while times and now - times[0] >= _MINUTE:
            times.popleft()
        if len(times) >= self._creates_per_minute:
            raise TooManyError(
                f"this key created {self._creates_per_minute} in a minute, which is the limit.",
                _MINUTE - (now - times[0]),
            )
        times.append(now)

    def resume(self, owner: str) -> None:
        """A job from before a restart goes on, whatever the limit is now."""
        self._unfinished[owner] += 1

    def end(self, owner: str) -> None:
        """A job has ended."""
        self._unfinished[owner] -= 1
        if self._unfinished[owner] <= 0:
            del self._unfinished[owner]
