"""Who asks: keys are compared as hashes, and guessing is slowed down."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from .errors import TooManyError, UnauthorizedError

ANYONE = "anyone"
_GUESSES = 10  # a minute and an address
_WINDOW = 60.0
_ADDRESSES = 10_000
_WRONG = "got {}; expected one of the server's keys. Ask whoever runs the server for one."


def owner_of(key: str) -> str:
    """The name that a key's jobs and files are kept under: it does not tell the key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Keys:
    """The server's keys.

    Args:
        keys: None to let everyone in.
        clock: seconds, for tests.
    """

    def __init__(
        self, keys: frozenset[str] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._owners = None if keys is None else [owner_of(key) for key in sorted(keys)]
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def owner(self, key: str | None, address: str) -> str:
        """Whose request it is.

        After ten wrong keys in a minute an address is let in only with a key that it used before:
        a guess that is right tells no more than one that is wrong.

        Args:
            key: as the client sent it; None if it sent none.
            address: of the client.

        Raises:
            UnauthorizedError: no key, or a wrong one.
            TooManyError: too many wrong ones.
        """
        if self._owners is None:
            return ANYONE
        if key is None:
            raise UnauthorizedError(_WRONG.format("no key"))
        owner = owner_of(key)
        known = False
        for other in self._owners:  # all of them: the time taken tells nothing
            known |= hmac.compare_digest(owner, other)
        wait = self._wait(address)
        if wait and not (known and (address, owner) in self._seen):
            raise TooManyError("too many wrong keys from this address. Wait, then try again.", wait)
        if not known:
            self._note_wrong(address)
            raise UnauthorizedError(_WRONG.format("a wrong key"))
        self._seen[address, owner] = None
        self._seen.move_to_end((address, owner))
        if len(self._seen) > _ADDRESSES:
            self._seen.popitem(last=False)
        return owner

    def _wait(self, address: str) -> float:
        """Seconds until this address may guess again; 0: now."""
        times = self._wrong.get(address)
        if times is None:
            return 0.0
        now = self._clock()
        while times and now - times[0] >= _WINDOW:
            times.popleft()
        return _WINDOW - (now - times[0]) if len(times) >= _GUESSES else 0.0

    def _note_wrong(self, address: str) -> None:
        self._wrong.setdefault(address, deque(maxlen=_GUESSES)).append(self._clock())
        self._wrong.move_to_end(address)
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)
