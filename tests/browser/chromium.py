"""Finds a Chromium to drive; Playwright's own is never downloaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
