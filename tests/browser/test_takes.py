"""The panel in which takes are heard against the picture, measured in the page."""

from __future__ import annotations

import re
import statistics
from typing import Any

import pytest

from dev.server import ComfyServer
from tests.core.made_videos import steady, write_video
from tests.nodes.graphs import Graph, muxed, node, sound

from .page import ComfyPage
from .takes import Panel, drag

TAKES = 3
SECONDS = 6.0


@pytest.fixture(scope="session")
def film(comfy: ComfyServer) -> str:
    """As long as the takes."""
    write_video(comfy.input / "takes.mp4", steady(int(25 * SECONDS), 25))
    return "takes.mp4"


def three_takes(page: ComfyPage) -> dict[str, str]:
    """Three takes on both nodes that show them; ids of the nodes."""
    graph = sound(
        video="takes.mp4",
        extract={"duration": SECONDS, "prompt": "steps"},
        sample={"num_samples": TAKES, "seed": 2**40 + 1, "steps": 1},
    )
    graph = muxed(graph, video=["video", 0])
    graph["takes"] = node("MMAudioTakes", audio=["sample", 0], video=["video", 0])
    ids = page.add_nodes(graph)
    # the classic canvas hides what is below the selected node: apart, as they grow
    page.page.evaluate(
        "(id) => { window.app.canvas.graph.getNodeById(id).pos[0] += 300; }", ids["takes"]
    )
    page.set_widgets(ids["mux"], filename_prefix=f"takes/{page.renderer}")
    page.set_widgets(ids["sample"], control_after_generate="fixed")
    assert page.run() == "success"
    page.fit_view()
    return ids


@pytest.fixture
def ids(page: ComfyPage, film: str) -> dict[str, str]:
    return page.made(three_takes)


@pytest.fixture(params=["mux", "takes"])
def either(request: pytest.FixtureRequest, page: ComfyPage, ids: dict[str, str]) -> Panel:
    """The panel of either node."""
    return Panel(page, ids[request.param])


@pytest.fixture
def panel(page: ComfyPage, ids: dict[str, str]) -> Any:
    """The panel of MMAudio Takes, for what both do alike."""
    panel = Panel(page, ids["takes"])
    yield panel
    panel.pause()


def test_a_lane_a_take(either: Panel) -> None:
    lanes = either.root.locator(".lane")
    assert lanes.count() == TAKES
    for number in range(TAKES):
        text = lanes.nth(number).inner_text()
        assert f"Seed {2**40 + 1 + number}" in text
        assert "LUFS" in text
        drawn = (
            lanes.nth(number)
            .locator("canvas")
            .evaluate(
                """(canvas) => {
              const {width, height} = canvas;
              const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
              return data.some((value) => value > 0);
            }"""
            )
        )
        assert drawn


def test_one_take_is_heard_in_place(panel: Panel) -> None:
    assert panel.heard() == []
    panel.play()
    assert panel.heard() == [0]
    for take in (2, 1, 0):
        panel.press("Home")  # so that it is far from its end, however slow the machine is
        before = panel.media()["audios"][panel.heard()[0]]["time"]
        panel.button(f"Take {take}").click()
        media = panel.media()
        assert panel.heard() == [take]
        assert media["audios"][take]["time"] >= before - 0.1  # where the last one was
        assert not media["audios"][take]["paused"]
        assert media["video"]["muted"] and not media["video"]["paused"]


def test_picture_and_takes_stay_together(panel: Panel) -> None:
    panel.play()
    played = panel.follow(3)
    assert len(played.sounds) > 10
    # the worst is the machine's, where it is busy
    assert statistics.median(played.apart()) < 0.04


def test_the_picture_waits_for_a_sound_that_starts_before_it(
    page: ComfyPage, ids: dict[str, str]
) -> None:
    page.set_widgets(ids["takes"], start_offset=-3)
    try:
        assert page.run() == "success"
        panel = Panel(page, ids["takes"])
        panel.play()
        early = panel.media()
        assert early["audios"][0]["time"] < 3
        assert early["video"] == {"time": 0, "muted": True, "paused": True}
        played = panel.follow(SECONDS)
        apart = played.apart(offset=-3)
        both = zip(apart, played.sounds, strict=True)
        together = [gap for gap, sounds in both if sounds[0] > 3.5]
        assert len(together) > 10
        assert statistics.median(together) < 0.04  # the worst is the machine's, where it is busy
        panel.pause()
        panel.press("Home")
        panel.until(lambda: panel.media()["video"]["time"] == 0)
    finally:
        page.set_widgets(ids["takes"], start_offset=0)
        assert page.run() == "success"


def test_keys(panel: Panel) -> None:
    panel.press("Home")
    panel.press("Space")
    panel.until(lambda: panel.media()["audios"][0]["time"] > 0.2)
    panel.press("2")
    assert panel.heard() == [1]
    panel.press("3")
    assert panel.heard() == [2]
    panel.press("9")  # there is none
    assert panel.heard() == [2]
    panel.press("b")
    assert panel.heard() == [1]
    panel.button("A/B 2|1").click()
    assert panel.heard() == [2]
    panel.press("Home")  # else it may have come to its end by now
    panel.press("Space")
    assert all(audio["paused"] for audio in panel.media()["audios"])
    panel.press("Home")
    panel.press("ArrowRight")
    assert panel.position() == 1
    assert panel.page.graph()["nodes"]  # Delete and Backspace are not the page's here
    panel.press("Delete")
    assert panel.node_id in {str(one["id"]) for one in panel.page.graph()["nodes"]}


def test_levels_are_matched(panel: Panel) -> None:
    volumes = [audio["volume"] for audio in panel.media()["audios"]]
    assert max(volumes) == pytest.approx(1) and min(volumes) < 1
    panel.button("Level").click()
    assert [audio["volume"] for audio in panel.media()["audios"]] == [1, 1, 1]
    panel.button("Level").click()
    assert [audio["volume"] for audio in panel.media()["audios"]] == pytest.approx(volumes)


def test_keep_sets_the_widget_and_only_mux_runs(
    page: ComfyPage, ids: dict[str, str], either: Panel
) -> None:
    either.button("Keep", 1).click()
    assert either.widget("take") == 1
    assert either.button("Kept", 1).get_attribute("aria-pressed") == "true"
    page.set_widgets(either.node_id, take=0)  # by hand
    either.button("Kept", 0).wait_for()
    either.button("Keep", 2).click()
    ran = page.page.evaluate(
        """() => {
          window.ran = [];
          window.app.api.addEventListener('executing', ({detail}) => window.ran.push(detail));
        }"""
    )
    assert page.run() == "success"
    ran = page.page.evaluate("() => window.ran.filter(Boolean).map(String)")
    assert set(ran) == {either.node_id}
    either.root.locator(".lane.picked", has_text="Take 2").wait_for()


def test_the_seed_is_copied(page: ComfyPage, panel: Panel) -> None:
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.button(f"Copy seed {2**40 + 3}", 2).click()
    panel.until(lambda: "copied" in panel.status())
    assert page.page.evaluate("() => navigator.clipboard.readText()") == str(2**40 + 3)


def test_a_click_seeks_and_a_drag_repeats(page: ComfyPage, panel: Panel) -> None:
    wave = panel.root.locator(".lane .sound").nth(1)
    box = wave.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    position = [one["pos"] for one in page.graph()["nodes"] if str(one["id"]) == panel.node_id]
    page.page.mouse.click(box["x"] + box["width"] / 2, y)
    assert panel.position() == pytest.approx(SECONDS / 2, abs=0.05)
    drag(page, wave, 0.25, 0.5)
    assert panel.button("Loop").get_attribute("aria-pressed") == "true"
    assert panel.root.locator(".mark").is_visible()
    panel.button("Play").click()
    panel.button("Pause").wait_for()
    played = panel.follow(4)  # the region lasts 1.5 s
    times = [sounds[1] for sounds in played.sounds]
    assert "seeking" in played.events and "pause" not in played.events
    assert min(times) >= SECONDS / 4 - 0.05
    # where the machine is busy, the picture in which it is seen to be over comes late
    assert statistics.quantiles(times, n=4)[-1] < SECONDS / 2
    panel.pause()
    panel.press("l")
    assert panel.button("Loop").get_attribute("aria-pressed") == "false"
    after = [one["pos"] for one in page.graph()["nodes"] if str(one["id"]) == panel.node_id]
    assert position == after  # the node was not dragged


def test_spectrograms_are_made_on_demand(panel: Panel) -> None:
    pictures = panel.root.locator(".lane img")
    panel.button("Spectrogram").click()
    panel.until(lambda: pictures.first.evaluate("(image) => image.naturalWidth") > 0)
    assert pictures.first.evaluate("(image) => image.naturalHeight") == 80
    panel.button("Spectrogram").click()
    pictures.first.wait_for(state="hidden")


def test_accessible(either: Panel) -> None:
    assert either.violations() == []


@pytest.mark.parametrize("zoom", [1.0, 0.75, 0.5])
def test_at_any_zoom(page: ComfyPage, either: Panel, zoom: float) -> None:
    """A click on the axis lands where it is, and pictures have the pixels that are shown."""
    page.look_at(either.node_id, zoom)
    axis = either.root.get_by_role("slider").first
    box = axis.bounding_box()
    assert box is not None
    drawn = axis.evaluate("(axis) => axis.clientWidth")
    assert box["width"] == pytest.approx(drawn * zoom, rel=0.01)
    second_px = box["width"] / SECONDS
    for part in (0.1, 0.5, 0.9):
        page.page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        assert either.position() == pytest.approx(part * SECONDS, abs=1 / second_px)
        head = either.root.locator(".playhead").bounding_box()
        assert head is not None
        middle = head["x"] + head["width"] / 2 - box["x"]
        assert middle == pytest.approx(part * box["width"], abs=1.5)
    widths = either.root.locator(".lane canvas").evaluate_all(
        """(all) => all.map((canvas) =>
          [canvas.width, Math.round(canvas.clientWidth * window.devicePixelRatio)])"""
    )
    assert len(widths) == TAKES and all(got == wanted for got, wanted in widths)


def test_readable_in_the_light_theme(page: ComfyPage, either: Panel) -> None:
    canvas = either.root.locator(".lane.picked canvas")
    brightness = """(canvas) => {
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const seen = [];
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 250) seen.push(data[at]);
      return seen.reduce((sum, value) => sum + value, 0) / seen.length;
    }"""
    assert canvas.evaluate(brightness) > 180
    page.change_setting("Comfy.ColorPalette", "light")
    try:
        assert page.wait(lambda: canvas.evaluate(brightness) < 80)  # they are drawn anew
        assert either.violations() == []
    finally:
        page.change_setting("Comfy.ColorPalette", "dark")
    assert page.wait(lambda: canvas.evaluate(brightness) > 180)


def test_nothing_moves_that_need_not(page: ComfyPage, panel: Panel) -> None:
    durations = """(panel) => [panel, ...panel.querySelectorAll('*')].map((element) => {
      const {transitionDuration, animationName} = getComputedStyle(element);
      return animationName === 'none' ? transitionDuration : animationName;
    }).filter((value) => value !== '0s')"""
    assert panel.root.evaluate(durations) != []
    page.page.emulate_media(reduced_motion="reduce")
    try:
        assert panel.root.evaluate(durations) == []
    finally:
        page.page.emulate_media(reduced_motion="null")


def test_the_saved_file_is_heard_in_the_panel(page: ComfyPage, ids: dict[str, str]) -> None:
    """The page's own player of the same file is not shown beside it."""
    panel = Panel(page, ids["mux"])
    page.look_at(ids["mux"], 0.8)
    videos = page.page.locator("video:visible").evaluate_all(
        """(all) => all.map((video) => video.src)
          .filter((src) => src.includes('type=output')).length"""
    )
    assert videos == 1
    panel.play()
    panel.button("Saved file").click()
    media = panel.media()
    assert panel.heard() == [] and not media["video"]["muted"] and not media["video"]["paused"]
    panel.press("2")
    assert panel.heard() == [1] and panel.media()["video"]["muted"]
    panel.pause()
    with page.page.expect_download() as download:
        panel.root.get_by_role("link", name="Download").click()
    saved = list((page.server.output / "takes").glob(f"{page.renderer}*.mp4"))
    name = download.value.suggested_filename
    assert name in {path.name for path in saved}
    assert download.value.path().read_bytes() == (saved[0].parent / name).read_bytes()


def test_nothing_of_the_panel_is_in_the_prompt(page: ComfyPage, ids: dict[str, str]) -> None:
    prompt = page.prompt()
    assert "mmaudio_takes" not in str(prompt)
    values = [one.get("widgets_values") for one in page.graph()["nodes"]]
    assert "mmaudio-takes" not in str(values)


def test_shown_again_after_a_reload(page: ComfyPage, ids: dict[str, str]) -> None:
    page.reload()
    for name in ("mux", "takes"):
        panel = Panel(page, ids[name])
        assert panel.root.locator(".lane").count() == TAKES
        panel.play()
        assert panel.heard() != []
        panel.pause()


def test_what_is_gone_is_said(page: ComfyPage, ids: dict[str, str]) -> None:
    for path in (page.server.temp / "mmaudio-takes").iterdir():
        path.unlink()
    page.forgive("mmaudio-takes")  # in the addresses that the page asks for in vain
    page.reload()
    panels = page.page.locator(".mmaudio-takes", has_text="no longer on disk")
    assert page.wait(lambda: panels.count() == 2)
    page.settle()
    (height,) = (box.height for box in page.boxes() if box.id == ids["takes"])
    assert height < 250  # not an empty box


# --- the nodes around the panel


def take_of_a_region(page: ComfyPage) -> dict[str, str]:
    """A graph whose sound comes from a schedule of prompts and a region; ids of its nodes."""
    graph = sound(
        video="takes.mp4",
        extract={"duration": SECONDS},
        sample={"num_samples": 1, "steps": 1, "features": ["schedule", 0], "latent": ["dot", 0]},
    )
    graph["schedule"] = node(
        "MMAudioPromptSchedule",
        mmaudio=["load", 0],
        features=["extract", 0],
        schedule="0-2: rain | 2 - 0:04 : thunder --no music | 4-: birds",
    )
    graph["first"] = node("MMAudioSampler", mmaudio=["load", 0], features=["extract", 0], steps=1)
    graph["encoded"] = node(
        "MMAudioEncode", mmaudio=["load", 0], audio=["first", 0], features=["extract", 0]
    )
    graph["region"] = node("MMAudioRegion", samples=["encoded", 0], start=0.0, end=1.0)
    graph["dot"] = node("Reroute", **{"": ["region", 0]})
    graph["takes"] = node("MMAudioTakes", audio=["sample", 0], video=["video", 0])
    ids = page.add_nodes(graph)
    for sampler in ("sample", "first"):
        page.set_widgets(ids[sampler], control_after_generate="fixed")
    assert page.run() == "success"
    page.look_at(ids["takes"], 0.9)
    return ids


@pytest.fixture
def region_ids(page: ComfyPage, film: str) -> dict[str, str]:
    return page.made(take_of_a_region)


def widget(page: ComfyPage, node_id: str, name: str) -> Any:
    return page.page.evaluate(
        """([id, name]) => window.app.canvas.graph.getNodeById(id)
          .widgets.find((widget) => widget.name === name).value""",
        [node_id, name],
    )


def test_a_region_is_written_into_the_region_node(
    page: ComfyPage, region_ids: dict[str, str]
) -> None:
    panel = Panel(page, region_ids["takes"])
    drag(page, panel.root.locator(".lane .sound").first, 0.25, 0.5)
    start, end = (widget(page, region_ids["region"], name) for name in ("start", "end"))
    assert start == pytest.approx(SECONDS / 4, abs=0.06)
    assert end == pytest.approx(SECONDS / 2, abs=0.06)
    assert "MMAudio Region" in panel.status()
    page.undo()
    assert widget(page, region_ids["region"], "start") == 0  # both at once
    assert widget(page, region_ids["region"], "end") == 1


def test_borders_of_prompts_are_dragged(page: ComfyPage, region_ids: dict[str, str]) -> None:
    panel = Panel(page, region_ids["takes"])
    strip = panel.root.locator(".schedule")
    assert strip.locator(".prompt").all_inner_texts() == ["rain", "thunder --no music", "birds"]
    border = strip.locator(".border").first
    box, whole = border.bounding_box(), strip.bounding_box()
    assert box is not None and whole is not None
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    page.page.mouse.move(whole["x"] + whole["width"] / 2, box["y"] + 5, steps=6)
    page.page.mouse.up()
    text = widget(page, region_ids["schedule"], "schedule")
    moved = re.fullmatch(
        r"0-(\d[\d.]*): rain \| (\d[\d.]*) - 0:04 : thunder --no music \| 4-: birds", text
    )
    assert moved is not None, text
    assert float(moved[1]) == float(moved[2]) == pytest.approx(SECONDS / 2, abs=0.06)
    border = strip.locator(".border").last
    border.focus()
    page.page.keyboard.press("ArrowRight")
    assert "- 4.1 : thunder --no music | 4.1-: birds" in widget(
        page, region_ids["schedule"], "schedule"
    )
    assert page.run() == "success"  # the text is still a schedule


def test_in_a_subgraph(page: ComfyPage, region_ids: dict[str, str]) -> None:
    """The panel in one, the region in another one behind a node that stands for a link."""
    page.page.evaluate(
        """([region, sample]) => {
          const {LiteGraph} = window, {graph} = window.app.canvas;
          class Get extends LiteGraph.LGraphNode {
            constructor(title) {
              super(title);
              this.isVirtualNode = true;
              this.addOutput('samples', 'LATENT');
            }
            resolveVirtualOutput() {
              return {node: graph.getNodeById(this.properties.of), slot: 0};
            }
          }
          LiteGraph.registerNodeType('test/Get', Get);
          const node = LiteGraph.createNode('test/Get');
          node.properties.of = region;
          graph.add(node);
          const target = graph.getNodeById(sample);
          node.connect(0, target, target.inputs.findIndex((one) => one.name === 'latent'));
        }""",
        [region_ids["region"], region_ids["sample"]],
    )
    subgraph = page.into_subgraph(region_ids["takes"])
    page.set_widgets(region_ids["sample"], seed=3)
    assert page.run() == "success"
    (inner,) = page.enter(subgraph)
    panel = Panel(page, inner)
    panel.play()
    assert panel.heard() == [0]
    panel.pause()
    drag(page, panel.root.locator(".lane .sound").first, 0.5, 0.75)
    page.leave()
    assert widget(page, region_ids["region"], "start") == pytest.approx(SECONDS / 2, abs=0.06)


def doubled(seconds: float, times: int, *, count: int) -> tuple[Graph, list[Any]]:
    """So many takes, twice as long so many times: none is generated in full; and their output."""
    graph = sound(extract={"duration": seconds}, sample={"num_samples": count})
    takes: list[Any] = ["sample", 0]
    for number in range(times):
        inputs = {"audio1": takes, "audio2": takes, "direction": "after"}
        graph[f"doubled-{number}"] = node("AudioConcat", **inputs)
        takes = [f"doubled-{number}", 0]
    return graph, takes


@pytest.mark.slow
def test_a_minute_stays_together(page: ComfyPage) -> None:
    """Picture and sound, measured in the page at one moment each, without a jump in what is heard.

    A minute in Nodes 2.0, and a third of it with the classic canvas, whose panel is the same.
    """
    write_video(page.server.input / "minute.mp4", steady(25 * 64, 25))
    graph, takes = doubled(4.0, 4, count=3)
    graph["film"] = node("LoadVideo", file="minute.mp4")
    graph["takes"] = node("MMAudioTakes", audio=takes, video=["film", 0])
    made = page.add_nodes(graph)
    assert page.run() == "success"
    panel = Panel(page, made["takes"])
    panel.play()
    played = panel.follow(60 if page.renderer == "nodes2" else 20)
    panel.pause()
    apart = played.apart()
    print(told(page, apart))
    # what drifts is apart at the end; single pictures come late where the machine is busy
    assert len(apart) > 100
    assert statistics.median(apart) < 0.04
    assert statistics.median(apart[-len(apart) // 6 :]) < 0.04
    # what is heard only plays, as fast as the machine plays anything
    assert played.events == [] and played.rate == 1
    assert 0.9 < played.speed < 1.1


def told(page: ComfyPage, apart: list[float]) -> str:
    p95 = statistics.quantiles(apart, n=20)[-1]
    return (
        f"{page.renderer}: {len(apart)} times, median {1000 * statistics.median(apart):.1f} ms "
        f"apart, p95 {1000 * p95:.1f} ms, at most {1000 * max(apart):.1f} ms"
    )


@pytest.mark.slow
@pytest.mark.parametrize("opened_page", ["nodes2"], indirect=True)  # the panel is the same in both
def test_five_minutes_with_four_takes(page: ComfyPage) -> None:
    """It is there at once, before any sound is loaded, and costs the page little."""
    graph, takes = doubled(4.7, 6, count=4)
    graph["takes"] = node("MMAudioTakes", audio=takes)
    made = page.add_nodes(graph)
    fetched: list[int] = []
    page.page.on(
        "response",
        lambda answer: (
            fetched.append(int(answer.headers.get("content-length", 0)))
            if "mmaudio-takes" in answer.url
            else None
        ),
    )
    page.page.evaluate(
        """(panel) => window.app.api.addEventListener('execution_success', () => {
          window.succeeded = performance.now();
          const look = () => document.querySelector(`${panel} .lane canvas`)?.clientWidth
            ? (window.seen = performance.now()) : setTimeout(look, 10);
          look();
        })""",
        f".mmaudio-takes[data-node='{made['takes']}']",
    )
    assert page.run() == "success"
    panel = Panel(page, made["takes"])
    assert panel.root.locator(".lane").count() == 4
    waited = page.page.evaluate("() => window.seen - window.succeeded")
    before_play = sum(fetched)
    assert before_play < 2_000_000
    assert waited < 5000  # some 100 where nothing else runs
    panel.play(start=280)
    session = page.page.context.new_cdp_session(page.page)
    # in seconds that the page's thread has worked, which are the same on a busy machine
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    played = panel.follow(5)
    metrics = session.send("Performance.getMetrics")["metrics"]
    (script,) = (one["value"] for one in metrics if one["name"] == "ScriptDuration")
    panel.pause()
    apart = played.apart()
    milliseconds = 1000 * script / played.frames
    print(
        f"panel after {waited:.0f} ms, {before_play} bytes before play, "
        f"{milliseconds:.2f} ms of script a frame of {played.frames}; {told(page, apart)}"
    )
    assert statistics.median(apart) < 0.04
    assert milliseconds < 8
