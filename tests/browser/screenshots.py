"""Takes the pictures of the page for the README and the templates dialog.

``python -m tests.browser.screenshots [name ...]`` writes ``workflows/<template>.jpg`` for each
template, and those of ``docs/images``, or only those named. Look at them before they are committed.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from dev.comfyui import locate
from dev.demo import sample_video
from dev.environment import ROOT
from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.core.made_flashes import clicks
from tests.core.made_sounds import with_sound
from tests.nodes.graphs import muxed, paths, run, sound

from .chromium import MISSING, Chromium, find_chromium
from .page import ComfyPage
from .take_pictures import ALONE, STATES, put_together, takes_graph
from .takes import Panel

WIDTH, PANEL_WIDTH, TEMPLATE_WIDTH, QUALITY = 1200, 800, 900, 82
MAX_BYTES = 60_000  # of a picture in docs/images
MARGIN = 24  # px around the nodes
MODEL = "large_44k_v2"
IMAGES = {name: ROOT / "docs" / "images" / f"{name}.jpg" for name in ("told", *STATES)}
TEMPLATES = {path.stem: path.with_suffix(".jpg") for path in (ROOT / "workflows").glob("*.json")}
# What differs from the templates: a file, and little work, of which the picture shows nothing.
CHOICES: dict[str, dict[str, Any]] = {
    "MMAudioFeatureExtract": {"duration": 1.0},
    "MMAudioPromptSchedule": {"schedule": "0-0.5: birds\n0.5-: wind"},
    "MMAudioSampler": {"steps": 1},
    "RepeatImageBatch": {"amount": 8},
}
LATE = "late.mp4"
CUTS = (1.2, 3.04, 5.48, 7.48, 9.68)  # of the sample video, in seconds
RECORDINGS = ("bicycles on gravel", "bicycles in the rain")
LORA = "mmaudio_1_steps_00001_.safetensors"
TRAIN = "MMAudio train a LoRA on your own sounds"
OWN_CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    TRAIN: {
        "MMAudioTrainingSet": {"folder": "bicycles"},
        "TrainLoraNode": {"steps": 1},
        "MMAudioEvaluateLoRA": {"steps": 1, "draws": 1},
        "MMAudioFeatureExtract": {"prompt": RECORDINGS[0]},
    },
    "MMAudio video to audio with LoRA": {"MMAudioLoraLoader": {"lora_name": LORA}},
    "MMAudio is my sound in sync": {
        "LoadVideo": {"file": LATE},
        "MMAudioFeatureExtract": {"duration": 0.0},
        "MMAudioScoreTakes": {"sync": 0.0},  # the head's weights are random
    },
}


def main(names: list[str]) -> int:
    """Take the pictures of these names, or all of them, and return the exit code."""
    known = [*TEMPLATES, *IMAGES]
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"got {', '.join(unknown)}, expected {', '.join(known)}")
    comfyui, path = locate(), find_chromium()
    if comfyui is None or path is None:
        sys.exit(MISSING if path is None else "found no ComfyUI: run dev.py test first")
    with tempfile.TemporaryDirectory() as folder:
        server = ComfyServer(comfyui, Path(folder), env={"OMP_NUM_THREADS": "1"})
        write_synthetic_bundle(server.models / "mmaudio", variant=MODEL)
        server.input.mkdir()
        shutil.copy(sample_video(), server.input / "bikes.mp4")
        with server, sync_playwright() as playwright:
            _add_sound(server)
            _add_lora(server)
            chromium = Chromium(playwright, path)
            for name in names or known:
                page = _open(chromium, server)
                if name in TEMPLATES:
                    _write(_template(page, name), TEMPLATES[name], TEMPLATE_WIDTH)
                else:
                    png = _told(page) if name == "told" else _takes(page, name)
                    _write(png, IMAGES[name], PANEL_WIDTH if name in ALONE else WIDTH)
                page.page.context.close()
            chromium.close()
    return 0


def _add_sound(server: ComfyServer) -> None:
    """Give the clip a sound track, which the template that repairs one needs; and one that is late
    by 120 ms, for the template that finds this out."""
    silent = server.input / "bikes.mp4"
    graph = sound(video=silent.name, load={"model": MODEL}, extract={"duration": 10.0})
    (made,) = paths(server, run(server, muxed(graph, video=["video", 0])))
    late = clicks([time + 0.12 for time in CUTS], rate=44_100, seconds=10)
    with_sound(silent, server.input / LATE, late, 44_100, codec="aac")
    shutil.copy(made, silent)


def _add_lora(server: ComfyServer) -> None:
    """A folder of two recordings, and a LoRA that was trained on them."""
    folder = server.input / OWN_CHOICES[TRAIN]["MMAudioTrainingSet"]["folder"]
    folder.mkdir()
    for number, name in enumerate(RECORDINGS):
        sound = clicks(CUTS, rate=44_100, seconds=10) * (1 - number / 4)
        with_sound(server.input / "bikes.mp4", folder / f"{name}.mp4", sound, 44_100, codec="aac")
    api = ROOT / "workflows" / "api" / f"{TRAIN}.json"
    graph = json.loads(api.read_text("utf-8"))
    for node in graph.values():
        node["inputs"].update(OWN_CHOICES[TRAIN].get(node["class_type"], {}))
    run(server, graph)


def _open(chromium: Chromium, server: ComfyServer) -> ComfyPage:
    context = chromium.new_context(
        viewport={"width": 1600, "height": 900}, device_scale_factor=1.5, color_scheme="dark"
    )
    return ComfyPage(context, server, "nodes2", **{"Comfy.ColorPalette": "dark"})


def _template(page: ComfyPage, name: str) -> bytes:
    """The template as it is after a run, or the whole page if it is an App."""
    page.open_template(name)
    choices = {"LoadVideo": {"file": "bikes.mp4"}, **CHOICES, **OWN_CHOICES.get(name, {})}
    for one in page.graph()["nodes"]:
        if one["type"] in choices:
            page.set_widgets(str(one["id"]), **choices[one["type"]])
    _run(page, "success")
    return page.page.screenshot() if name.endswith(".app") else _nodes(page)


def _told(page: ComfyPage) -> bytes:
    """A notice on one node, and an error on another one."""
    graph = muxed(sound(video="bikes.mp4", load={"model": MODEL}), video=["video", 0])
    ids = page.add_nodes(graph)
    page.set_widgets(ids["extract"], duration=12.0, prompt="bicycles on gravel")
    page.set_widgets(ids["mux"], take=3)
    _run(page, "error")
    return _nodes(page, ids["extract"], ids["sample"], ids["mux"])


def _takes(page: ComfyPage, name: str) -> bytes:
    """The take panel in one of its states."""
    ids = page.add_nodes(takes_graph(MODEL))
    for sampler in ("sample", "first"):
        page.set_widgets(ids[sampler], control_after_generate="fixed")
    put_together(page, ids)
    _run(page, "success")
    page.look_at(ids["takes"], 0.8)
    reach, nodes = STATES[name]
    reach(Panel(page, ids["takes"]))
    return _nodes(page, *(ids[node] for node in nodes))


def _run(page: ComfyPage, end: str) -> None:
    ended = page.run()
    if ended != end:
        raise RuntimeError(f"expected {end}, got {ended}: {page.messages()}")
    # that the weights are synthetic is true, but not what the picture is about
    page.page.evaluate("""() => {
      for (const node of window.app.graph.nodes)
        if (node.type === 'LoadMMAudioModel')
          window.app.api.dispatchCustomEvent('executing', String(node.id));
      window.app.api.dispatchCustomEvent('executing', null);
    }""")


def _nodes(page: ComfyPage, *only: str) -> bytes:
    """The nodes alone, as large as they fit into the window."""
    page.page.evaluate(
        "() => window.app.extensionManager.command.execute('Workspace.ToggleFocusMode')"
    )
    page.fit_view()
    if only:
        _fit(page, only)
    page.page.wait_for_timeout(1500)  # videos draw their first frame, messages go
    boxes = [
        one.bounding_box()
        for one in page.page.locator(".lg-node").all()
        if not only or one.get_attribute("data-node-id") in only
    ]
    edges = [(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in boxes if b]
    left, top = min(e[0] for e in edges) - MARGIN, min(e[1] for e in edges) - MARGIN
    right, bottom = max(e[2] for e in edges) + MARGIN, max(e[3] for e in edges) + MARGIN
    left, top = max(left, 0), max(top, 0)
    return page.page.screenshot(
        clip={"x": left, "y": top, "width": right - left, "height": bottom - top}
    )


def _fit(page: ComfyPage, nodes: Sequence[str]) -> None:
    boxes = [box for box in page.boxes() if box.id in nodes]
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    width = max(box.x + box.width for box in boxes) - left
    height = max(box.y + box.height for box in boxes) - top
    page.page.evaluate(
        """([left, top, width, height, margin]) => {
          const {ds, canvas} = window.app.canvas;
          const room = [canvas.clientWidth - 2 * margin, canvas.clientHeight - 2 * margin];
          ds.scale = Math.min(room[0] / width, room[1] / height, 1.5);
          ds.offset = [margin / ds.scale - left, margin / ds.scale - top];
          window.app.canvas.setDirty(true, true);
        }""",
        [left, top, width, height, 2 * MARGIN],
    )


def _write(png: bytes, path: Path, width: int) -> None:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    width = min(width, picture.width)
    height = round(picture.height * width / picture.width)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    for quality in range(QUALITY, 30, -5):
        picture.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= MAX_BYTES or path.parent != IMAGES["told"].parent:
            break
    print(f"{path}: {width} x {height}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
