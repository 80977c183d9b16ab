"""Differences between Python versions; each entry names the version that lets it be deleted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    timeout: Callable[[float], AbstractAsyncContextManager[object]]
    """Raises ``asyncio.TimeoutError`` from a context that lasts too long.

    Not ``asyncio.wait_for``, which loses a cancellation that comes when what it waits for is just
    done; delete with Python 3.12 as the oldest supported. Until 3.11 aiohttp brings the package.
    """
elif sys.version_info >= (3, 11):
    from asyncio import timeout as timeout
else:
    from async_timeout import timeout as timeout
