"""A page that many tests share, though not with one that failed: its rerun gets a page anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import playwright.sync_api
import pytest
import requests

from dev.server import ComfyServer

from .chromium import Chromium
from .page import LOAD_SECONDS, SIZE, ComfyPage, Renderer

_FAILED = pytest.StashKey[bool]()


def note_failure(test: pytest.Item, report: pytest.TestReport) -> None:
    """To be called with each report on a test, which ``SharedPage.lend`` looks at."""
    if report.failed:
        test.stash[_FAILED] = True


class SharedPage:
    """ComfyUI's page, opened for the first test that wants it, and anew after one that failed."""

    def __init__(
        self, chromium: Chromium, server: ComfyServer, renderer: Renderer, **settings: Any
    ) -> None:
        self._chromium = chromium
        self._server = server
        self._renderer: Renderer = renderer
        self._settings = settings
        self._page: ComfyPage | None = None

    @contextmanager
    def lend(self, test: pytest.Item) -> Iterator[ComfyPage]:
        """The page for one test, in which nothing may go wrong that the test does not forgive."""
        test.stash[_FAILED] = False
        self._page = self._page or self._open()
        self._page.begin_test()
        yield self._page
        errors = [] if test.stash[_FAILED] else self._page.end_test()
        if errors or test.stash[_FAILED]:
            self.close()
            self._clear_server()
        assert errors == []

    def close(self) -> None:
        """Forget the page and what it keeps."""
        if self._page is not None:
            with suppress(playwright.sync_api.Error):  # of a browser that has ended
                self._page.page.context.close()
        self._page = None

    def _open(self) -> ComfyPage:
        context = self._chromium.new_context(viewport=SIZE)
        try:
            return ComfyPage(context, self._server, self._renderer, **self._settings)
        except BaseException:
            with suppress(playwright.sync_api.Error):
                context.close()
            raise

    def _clear_server(self) -> None:
        """End what still runs, and forget results: what is run again is made again."""
        for path, body in (
            ("queue", {"clear": True}),
            ("interrupt", {}),
            ("free", {"free_memory": True}),
        ):
            url = f"{self._server.url}/{path}"
            requests.post(url, json=body, timeout=LOAD_SECONDS).raise_for_status()
