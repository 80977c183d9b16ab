"""ComfyUI's page in a browser, as a user sees it, in either renderer."""

from __future__ import annotations

import mimetypes
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import requests
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Request,
    Response,
    ViewportSize,
)

from dev.server import ALIAS, ComfyServer

Made = TypeVar("Made")
Renderer = Literal["classic", "nodes2"]
RENDERERS: tuple[Renderer, ...] = ("classic", "nodes2")
SIZE = ViewportSize(width=1600, height=1000)
RUN_SECONDS = 120
LOAD_SECONDS = 120  # on a busy machine
WAIT_SECONDS = 60  # likewise
_KEPT_MS = 1500  # after which a reload brings back what was changed

# Requests for files that a user may have, and messages of the page that have nothing to do with us.
_NOT_OURS = ("/user.css", "/api/userdata", "ComfyApp graph accessed before initialization")
_SETTINGS = {
    "Comfy.TutorialCompleted": True,  # else the templates open at the first start
    "Comfy.OnboardingCoachmarks.Seen": ["appMode", "firstRun"],
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Workflow.ConfirmDelete": False,
    "Comfy.Workflow.WarnBlueprintOverwrite": False,
    "Comfy.UseNewMenu": "Top",
    "Comfy.RightSidePanel.IsOpen": False,
}
_READY = "() => window.app?.vueAppReady && window.app.extensionManager?.workflow?.activeWorkflow"
_TOLD = ".mmaudio-told"  # the class in web/js/node_texts.js

_LISTEN = """() => {
  window.ends = [];
  for (const kind of ['execution_success', 'execution_error', 'execution_interrupted'])
    window.app.api.addEventListener(kind, () => window.ends.push(kind));
}"""

# Nodes as drawn, title bar included, in graph units.
_BOXES = {
    "classic": """() => window.app.canvas.graph.nodes.map((node) => {
      node.updateArea(window.app.canvas.ctx);
      const [x, y, width, height] = node.boundingRect;
      return {id: String(node.id), type: node.type, x, y, width, height};
    })""",
    "nodes2": """() => {
      const {ds, canvas, graph} = window.app.canvas;
      const {left, top} = canvas.getBoundingClientRect();
      return [...document.querySelectorAll('.lg-node[data-node-id]')].map((element) => {
        // what hangs below the node (errors, advanced inputs) lies outside its own box
        const parts = [element, ...element.querySelectorAll('[data-testid=node-inner-wrapper], '
          + '[data-testid=advanced-inputs-button]')].map((part) => part.getBoundingClientRect());
        const low = (key) => Math.min(...parts.map((part) => part[key]));
        const high = (key) => Math.max(...parts.map((part) => part[key]));
        return {
          id: element.dataset.nodeId,
          type: graph.getNodeById(element.dataset.nodeId)?.type,
          x: (low('left') - left) / ds.scale - ds.offset[0],
          y: (low('top') - top) / ds.scale - ds.offset[1],
          width: (high('right') - low('left')) / ds.scale,
          height: (high('bottom') - low('top')) / ds.scale,
        };
      });
    }""",
}


@dataclass(frozen=True, kw_only=True)
class Box:
    """A node as it is drawn, with its title bar, in graph units."""

    id: str
    type: str
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box, tolerance: float = 1.0) -> bool:
        return (
            self.x + tolerance < other.x + other.width
            and other.x + tolerance < self.x + self.width
            and self.y + tolerance < other.y + other.height
            and other.y + tolerance < self.y + self.height
        )


class ComfyPage:
    """The page of a running ComfyUI.

    Attributes:
        errors: what went wrong in this test: uncaught exceptions, console errors, failed requests.
    """

    def __init__(
        self, context: BrowserContext, server: ComfyServer, renderer: Renderer, **settings: Any
    ) -> None:
        self.server = server
        self.renderer: Renderer = renderer
        self.errors: list[str] = []
        self._forgiven: list[str] = []
        self._unanswered: set[Request] = set()
        self._made: tuple[Callable[[ComfyPage], Any], Any] | None = None
        self.page = context.new_page()
        self.page.set_default_timeout(WAIT_SECONDS * 1000)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("requestfailed", self._on_request_failed)
        self.page.on("response", self._on_response)
        self._settings = {**_SETTINGS, "Comfy.VueNodes.Enabled": renderer == "nodes2", **settings}
        self._open()

    def reload(self) -> None:
        """Open the page again as a user does with F5, once it has kept what was changed last."""
        # as long as the page's own clock says: on a busy machine, it is behind
        self.page.evaluate("(ms) => new Promise((done) => setTimeout(done, ms))", _KEPT_MS)
        self._open()

    def _open(self) -> None:
        # the server keeps the settings: another page may have changed them
        url = f"{self.server.url}/api/settings"
        requests.post(url, json=self._settings, timeout=LOAD_SECONDS).raise_for_status()
        self.page.goto(self.server.url, timeout=LOAD_SECONDS * 1000)
        self.page.wait_for_function(_READY, timeout=LOAD_SECONDS * 1000)
        self.page.evaluate(_LISTEN)
        # what was opened before all has come would not be kept, as no user is so quick
        self.wait(lambda: not self._unanswered)
        self.settle()

    # --- graphs

    def made(self, make: Callable[[ComfyPage], Made]) -> Made:
        """What ``make`` returned when it made the graph that is open, or makes now."""
        if self._made is None or self._made[0] is not make:
            self._made = make, make(self)
        return self._made[1]

    def open_template(self, name: str) -> None:
        """Open a template of the pack as a click in the templates dialog does."""
        self._made = None
        self.page.evaluate(
            """async ([pack, name]) => {
              const path = `/workflow_templates/${pack}/${encodeURIComponent(name)}.json`;
              const answer = await window.app.api.fetchApi(path);
              if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
              await window.app.loadGraphData(
                await answer.json(), true, true, name, {openSource: 'template'});
            }""",
            [ALIAS, name],
        )
        self.settle()

    def open_graph(self, graph: Mapping[str, Any], name: str = "test") -> None:
        """Open a saved graph as File > Open does."""
        self._made = None
        self.page.evaluate(
            "async ([graph, name]) => { await window.app.loadGraphData(graph, true, true, name); }",
            [graph, name],
        )
        self.settle()

    def add_nodes(self, prompt: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Open an API prompt as a graph; the ids of its nodes by their keys in the prompt.

        Nodes are made as a double click makes them, with default values for what is not given.
        """
        self._made = None
        ids: dict[str, str] = self.page.evaluate(
            """async (prompt) => {
              const {app, LiteGraph} = window;
              await app.loadGraphData(
                {version: 0.4, nodes: [], links: [], last_node_id: 0, last_link_id: 0},
                true, true, 'test');
              const nodes = {};
              let x = 0;
              for (const [key, {class_type, _meta}] of Object.entries(prompt)) {
                const node = nodes[key] = LiteGraph.createNode(class_type);
                node.pos = [x, 0];
                x += 420;
                app.graph.add(node);
                if (_meta?.title) node.title = _meta.title;
              }
              for (const [key, {inputs}] of Object.entries(prompt))
                for (const [name, value] of Object.entries(inputs)) {
                  const node = nodes[key];
                  if (Array.isArray(value)) {
                    const slot = node.inputs.findIndex((input) => input.name === name);
                    if (slot < 0) throw new Error(`${key} has no input ${name}`);
                    nodes[value[0]].connect(value[1], node, slot);
                  } else {
                    const widget = node.widgets.find((one) => one.name === name);
                    if (!widget) throw new Error(`${key} has no widget ${name}`);
                    widget.value = value;
                  }
                }
              return Object.fromEntries(
                Object.entries(nodes).map(([key, node]) => [key, String(node.id)]));
            }""",
            prompt,
        )
        self.fit_view()
        return ids

    def browse_templates(self, words: str) -> None:
        """Open the templates dialog and search in it."""
        self.page.evaluate(
            "() => void window.app.extensionManager.command.execute('Comfy.BrowseTemplates')"
        )
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("textbox").first.fill(words)

    def graph(self) -> dict[str, Any]:
        """The open graph, as it would be saved."""
        return self.page.evaluate("() => window.app.rootGraph.serialize()")

    def prompt(self) -> dict[str, Any]:
        """The API prompt that Run would queue, without what the page adds after a preview."""
        prompt = self.page.evaluate("async () => (await window.app.graphToPrompt()).output")
        for entry in prompt.values():
            entry["inputs"].pop("video-preview", None)
        return prompt

    def set_widgets(self, node: str, **values: Any) -> None:
        """Set widgets of a node, given by its id or, if there is one of it, by its type."""
        self.page.evaluate(
            """([key, values]) => {
              const found = window.app.canvas.graph.nodes.filter(
                (node) => String(node.id) === key || node.type === key);
              if (found.length !== 1) throw new Error(`${found.length} nodes are ${key}`);
              for (const [name, value] of Object.entries(values)) {
                const widget = found[0].widgets.find((one) => one.name === name);
                if (!widget) throw new Error(`${key} has no widget ${name}`);
                widget.value = value;
                widget.callback?.(value);
              }
            }""",
            [node, values],
        )

    def connect(self, source: str, slot: int, target: str, name: str) -> None:
        """Link an output of one node, by number, to an input of another one, by name."""
        self.page.evaluate(
            """([source, slot, target, name]) => {
              const {graph} = window.app.canvas;
              const node = graph.getNodeById(target);
              const input = node.inputs.findIndex((one) => one.name === name);
              graph.getNodeById(source).connect(slot, node, input);
            }""",
            [source, slot, target, name],
        )

    def disconnect(self, node: str, name: str) -> None:
        """Remove the link of an input."""
        self.page.evaluate(
            """([id, name]) => {
              const node = window.app.canvas.graph.getNodeById(id);
              node.disconnectInput(node.inputs.findIndex((one) => one.name === name));
            }""",
            [node, name],
        )

    def into_subgraph(self, *nodes: str) -> str:
        """Put nodes into a subgraph, and return the id of the node that stands for it."""
        return self.page.evaluate(
            """(ids) => {
              const {graph} = window.app.canvas;
              const nodes = new Set(ids.map((id) => graph.getNodeById(id)));
              return String(graph.convertToSubgraph(nodes).node.id);
            }""",
            nodes,
        )

    def enter(self, subgraph: str) -> list[str]:
        """Open a subgraph, and return the ids of the nodes in it."""
        ids = self.page.evaluate(
            """(id) => {
              const node = window.app.canvas.graph.getNodeById(id);
              window.app.canvas.openSubgraph(node.subgraph, node);
              return node.subgraph.nodes.map((inner) => String(inner.id));
            }""",
            subgraph,
        )
        self.fit_view()
        return ids

    def leave(self) -> None:
        """Return from a subgraph to the whole graph."""
        self.page.evaluate("() => window.app.canvas.setGraph(window.app.rootGraph)")
        self.settle()

    def select(self, node: str) -> None:
        """Select a node, as a click on its title does."""
        self.page.evaluate(
            """(id) => {
              const {canvas} = window.app;
              canvas.selectItems([canvas.graph.getNodeById(id)]);
            }""",
            node,
        )

    def undo(self) -> None:
        """Take back the last change, as its key does wherever the page does not see it as text."""
        self.page.evaluate("() => window.app.extensionManager.command.execute('Comfy.Undo')")
        self.settle()

    def toggle_advanced(self, node: str) -> None:
        """Fold or unfold a node's advanced inputs."""
        if self.renderer == "nodes2":
            self.node(node).get_by_test_id("advanced-inputs-button").click()
        else:  # what the context menu calls
            self.page.evaluate(
                "(id) => window.app.canvas.graph.getNodeById(id).toggleAdvanced()", node
            )
        self.settle()

    def change_setting(self, name: str, value: Any) -> None:
        """Change a setting as its dialog does."""
        self.page.evaluate(
            "([name, value]) => window.app.extensionManager.setting.set(name, value)",
            [name, value],
        )
        self.settle()

    def drop(self, path: Path) -> None:
        """Drop a file of the output folder onto the canvas."""
        name = path.relative_to(self.server.output)
        query = urlencode({"filename": name.name, "subfolder": name.parent.as_posix()})
        self.page.evaluate(
            """async ([address, name, type]) => {
              const content = await (await fetch(address)).blob();
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(new File([content], name, {type}));
              const where = {clientX: 800, clientY: 700};
              window.app.canvas.canvas.dispatchEvent(
                new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true, ...where}));
            }""",
            [f"{self.server.url}/view?{query}", name.name, mimetypes.guess_type(path.name)[0]],
        )

    # --- what is drawn

    def fit_view(self) -> None:
        """Zoom to the whole graph."""
        self.page.evaluate(
            "() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')"
        )
        self.settle()

    def look_at(self, node: str, zoom: float) -> None:
        """Zoom to a node, so that it begins at the upper left."""
        self.page.evaluate(
            """([id, zoom]) => {
              const {ds, graph} = window.app.canvas;
              const [x, y] = graph.getNodeById(id).pos;
              ds.scale = zoom;
              ds.offset = [300 / zoom - x, 120 / zoom - y];
              window.app.canvas.setDirty(true, true);
            }""",
            [node, zoom],
        )
        self.settle()

    def boxes(self) -> list[Box]:
        """The nodes of the graph that is in view, as drawn."""
        return [Box(**box) for box in self.page.evaluate(_BOXES[self.renderer])]

    def overlaps(self) -> list[tuple[str, str]]:
        """Pairs of nodes that cover each other, as ``type (id)``."""
        boxes = self.boxes()
        return [
            (f"{a.type} ({a.id})", f"{b.type} ({b.id})")
            for number, a in enumerate(boxes)
            for b in boxes[:number]
            if a.overlaps(b)
        ]

    def settle(self) -> None:
        """Wait until nodes have stopped to move and to grow, as the page has drawn them."""
        self.page.evaluate(
            f"""async () => {{
              const boxes = {_BOXES[self.renderer]};
              const drawn = () => new Promise((done) => requestAnimationFrame(done));
              let before;
              for (let tries = 0; tries < 40; tries += 1) {{
                await new Promise((done) => setTimeout(done, 60));
                await drawn();
                await drawn();
                const now = JSON.stringify(boxes());
                if (now === before) return;
                before = now;
              }}
            }}"""
        )

    def widgets(self, node: str) -> list[str]:
        """Names of the node's widgets that are drawn, in their order."""
        if self.renderer == "nodes2":
            rows = self.node(node).get_by_test_id("node-widget")
            return rows.evaluate_all(
                """(rows) => rows.filter((row) => row.checkVisibility())
                  .map((row) => row.innerText.split('\\n')[0].trim())"""
            )
        return self.page.evaluate(
            """(id) => {
              const node = window.app.canvas.graph.getNodeById(id);
              const seen = (widget) => widget.element?.checkVisibility() ?? true;
              return node.widgets.filter((widget) => node.isWidgetVisible(widget) && seen(widget))
                .map((widget) => widget.name);
            }""",
            node,
        )

    def node(self, node: str) -> Locator:
        """A node's element in Nodes 2.0."""
        return self.page.locator(f'.lg-node[data-node-id="{node}"]')

    def node_text(self, node: str) -> str | None:
        """What a node of the pack tells, None if it tells nothing."""
        if self.renderer == "nodes2":
            found = [one.inner_text() for one in self.node(node).locator(_TOLD).all()]
        else:
            found = self.page.evaluate(
                """([id, selector]) => {
                  const {ds, canvas, graph} = window.app.canvas;
                  const corner = canvas.getBoundingClientRect();
                  const [x, y, width, height] = graph.getNodeById(id).boundingRect;
                  const within = (rect) => {
                    const left = (rect.left - corner.left) / ds.scale - ds.offset[0];
                    const top = (rect.top - corner.top) / ds.scale - ds.offset[1];
                    return x <= left && left < x + width && y <= top && top < y + height;
                  };
                  return [...document.querySelectorAll(selector)]
                    .filter((box) => box.checkVisibility() && within(box.getBoundingClientRect()))
                    .map((box) => box.innerText);
                }""",
                [node, _TOLD],
            )
        assert len(found) <= 1, f"node {node} tells several things: {found}"
        return found[0].strip() if found else None

    def told(self) -> Locator:
        """What the nodes of the pack tell, as elements of the page."""
        return self.page.locator(_TOLD)

    def results(self) -> list[float]:
        """Durations in seconds of the saved videos and sounds that are seen and can be played."""
        script = """(all) => all
          // the element of a sound is hidden behind the page's own controls
          .filter((media) => media.parentElement.checkVisibility() && media.duration > 0)
          .filter((media) => new URL(media.currentSrc).searchParams.get('type') !== 'input')
          .map((media) => media.duration)"""
        found: list[float] = []

        def loaded() -> bool:
            found[:] = self.page.locator("video, audio").evaluate_all(script)
            return bool(found)

        self.wait(loaded)
        return found

    # --- running

    def run(self, timeout: float = RUN_SECONDS) -> str:
        """Queue the graph as the Run button does, and wait for its end.

        Returns:
            success, error, interrupted, or refused if ComfyUI rejects it.
        """
        ends = self.page.evaluate("() => window.ends.length")
        self.page.evaluate("() => window.app.extensionManager.command.execute('Comfy.QueuePrompt')")
        refused = "Object.keys(window.app.extensionManager.lastNodeErrors ?? {}).length > 0"
        self.page.wait_for_function(
            f"(ends) => window.ends.length > ends || {refused}",
            arg=ends,
            timeout=timeout * 1000,
        )
        kinds: list[str] = self.page.evaluate("(ends) => window.ends.slice(ends)", ends)
        self.settle()
        return kinds[0].removeprefix("execution_") if kinds else "refused"

    # --- messages

    def messages(self) -> list[str]:
        """Texts of the toasts, the error box at the top right and the dialogs that are open."""
        kinds = ".p-toast-message, [data-testid=error-overlay], [role=dialog]"
        return [one.inner_text().strip() for one in self.page.locator(kinds).all()]

    def complaints(self) -> list[str]:
        """Those of the messages that say that something is wrong, and all dialogs."""
        kinds = (
            ".p-toast-message-error, .p-toast-message-warn, [data-testid=error-overlay], "
            "[role=dialog]"
        )
        return [one.inner_text().strip() for one in self.page.locator(kinds).all()]

    def open_error_details(self) -> Locator:
        """Click "View details" of the error box, and unfold all that the panel has."""
        self.page.get_by_test_id("error-overlay-see-errors").click()
        panel = self.page.get_by_test_id("properties-panel")
        names = re.compile("Details|Info for")
        panel.get_by_role("button", name=names).first.wait_for()
        folded = panel.get_by_role("button", name=names, expanded=False)
        while folded.count():
            folded.first.click()
        return panel

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Whether ``condition`` becomes true in time."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.page.wait_for_timeout(50)
        return True

    def screenshot(self, path: Path, **options: Any) -> None:
        """Save what is seen; ``options`` as those of Playwright's ``screenshot``."""
        self.page.screenshot(path=path, **options)

    # --- what went wrong

    def begin_test(self) -> None:
        """Forget what went wrong before."""
        self.errors.clear()
        self._forgiven.clear()

    def forgive(self, *parts: str) -> None:
        """Take what has one of these in it for right, until the test ends."""
        self._forgiven.extend(parts)

    def end_test(self) -> list[str]:
        """What went wrong and was not forgiven, once all has come that the page has asked for."""
        self.wait(lambda: not self._unanswered)
        return [error for error in self.errors if not any(part in error for part in self._forgiven)]

    def _on_console(self, message: ConsoleMessage) -> None:
        # what cannot be loaded is noted with its address by _on_response
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._note(f"console: {message.text}", message.location.get("url", ""))

    def _on_request(self, request: Request) -> None:
        self._unanswered.add(request)

    def _on_request_failed(self, request: Request) -> None:
        self._unanswered.discard(request)

    def _on_response(self, response: Response) -> None:
        self._unanswered.discard(response.request)
        if response.status >= 400:
            self._note(f"{response.status} for {response.url}", response.url)

    def _note(self, error: str, url: str) -> None:
        ours = not url or url.startswith(self.server.url)
        if ours and not any(part in error or part in url for part in _NOT_OURS):
            self.errors.append(error)
