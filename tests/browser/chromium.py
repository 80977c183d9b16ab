"""Finds a Chromium to drive, and starts it; Playwright's own is never downloaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Windows, where browsers are not on the PATH
_INSTALLED = tuple(
    Path(os.environ[folder], "Google", "Chrome", "Application", "chrome.exe")
    for folder in ("PROGRAMFILES", "PROGRAMFILES(X86)")
    if folder in os.environ
)
MISSING = (
    "found no Chromium or Chrome for the browser tests. Install one (Debian: apt install "
    "chromium), or leave these tests out with: python dev.py test -m 'not browser'"
)
# Without a sandbox it also starts as root and in containers. Only the server under test resolves,
# so that no test waits for the network.
ARGUMENTS = ("--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


def find_chromium() -> str | None:
    """Path of an installed Chromium or Chrome, or None."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or next((str(path) for path in _INSTALLED if path.is_file()), None)


class Chromium:
    """Chromium without a window, started again if it has ended."""

    def __init__(self, playwright: Playwright, path: str) -> None:
        self._playwright = playwright
        self._path = path
        self._browser: Browser | None = None

    def new_context(self, **options: Any) -> BrowserContext:
        """A profile without cookies and stored data; ``options`` as those of Playwright's."""
        if self._browser is None or not self._browser.is_connected():
            self._browser = self._playwright.chromium.launch(
                executable_path=self._path, args=ARGUMENTS
            )
        return self._browser.new_context(**options)

    def close(self) -> None:
        if self._browser is not None:
            self._browser.close()
