"""The box in which nodes are searched, on the page."""

from __future__ import annotations

from types import TracebackType

from .page import ComfyPage

_TOGGLE = "() => void window.app.extensionManager.command.execute('Workspace.SearchBox.Toggle')"
_NOWHERE = "qzqzqz"  # no node's name
_CARRIED = "() => window.app.canvas.graph.nodes.some(({flags}) => flags.ghost)"


class SearchBox:
    """The open box; a context manager that opens and closes it."""

    def __init__(self, page: ComfyPage) -> None:
        self.page = page
        self._dialog = page.page.get_by_role("dialog")
        self._input = self._dialog.get_by_role("combobox", name="Add a node...")
        self._options = self._dialog.get_by_test_id("result-item")

    def __enter__(self) -> SearchBox:
        # not by a double click, which the page ignores as long as anything covers the canvas
        self.page.page.evaluate(_TOGGLE)
        self._input.wait_for()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._input.count():
            self.page.page.keyboard.press("Escape")
        self._dialog.wait_for(state="detached")

    def search(self, words: str) -> list[str]:
        """Names of the first nodes that are found, best first."""
        self._input.fill(_NOWHERE)  # before anything is typed, all nodes are listed
        self._options.first.wait_for(state="detached")
        self._input.fill(words)
        self._options.first.wait_for()
        return [text.split("\n")[0] for text in self._options.all_inner_texts()[:5]]

    def choose(self, name: str) -> None:
        """Click on a node that was found; it hangs at the pointer once the box has gone."""
        self._options.filter(has_text=name).first.click()
        self._dialog.wait_for(state="detached")


def put_down(page: ComfyPage, x: float, y: float) -> None:
    """Click where the node that hangs at the pointer is to stand, until it stands."""

    def stands() -> bool:
        page.page.mouse.move(x, y)
        page.page.mouse.click(x, y)
        return not page.page.evaluate(_CARRIED)

    assert page.wait(stands)
