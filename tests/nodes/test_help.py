"""Help pages cover exactly the nodes and sockets that exist, and say the same in each language."""

from __future__ import annotations

import json
import re
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.environment import ROOT
from dev.server import ALIAS, ComfyServer
from tests.nodes.described import LANGUAGES, Node, fetch, inputs, our_nodes

PAGES = ROOT / "web" / "docs"
ENGLISH = "en"
# Choices that the pack defines and ComfyUI's page does not translate.
CHOICES = (
    ("LoadMMAudioModel", "precision"),
    ("MMAudioAutoPrompt", "kind"),
    ("MMAudioFeatureExtract", "negative_preset"),
    ("MMAudioLongForm", "join"),
    ("MMAudioSaveAudio", "format"),
    ("MMAudioTrainingSet", "loudness"),
    ("MuxAudioVideo", "original_audio"),
    ("MuxAudioVideo", "loudness"),
    ("MuxAudioVideo", "container"),
    ("MuxAudioVideo", "audio_codec"),
    ("MuxAudioVideo", "pix_fmt"),
)
# Names such as ComfyUI, H.264, mp4: with a digit, or a capital that is not the first letter.
PROPER = re.compile(r"\b(?=[\w.-]*\d|\w+[A-Z])[A-Za-z][\w.-]*\w")


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """How pages in a language put what the tests look for."""

    headings: tuple[str, str]
    to: str
    default: str
    on: str
    off: str
    named: str  # a pattern of one name at the start of a list item; group 1 is the id


PHRASES = {
    ENGLISH: Phrases(
        headings=("Inputs", "Outputs"),
        to="{} to {}, ",
        default="default {})",
        on="on",
        off="off",
        named=r"`(\w+)`",
    ),
    "zh": Phrases(
        headings=("输入", "输出"),
        to="{} 到 {}，",
        default="默认 ?{}[，）；]",
        on="开启",
        off="关闭",
        named=r"[^`，、：]+（`(\w+)`[^）]*）",
    ),
    "ja": Phrases(
        headings=("入力", "出力"),
        to="{}～{}、",
        default="デフォルト {}[ ）、]",
        on="オン",
        off="オフ",
        named=r"[^`、：]+（`(\w+)`[^）]*）",
    ),
}
in_each_language = pytest.mark.parametrize("language", PHRASES)
in_other_languages = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def nodes(comfy: ComfyServer) -> dict[str, Node]:
    return our_nodes(comfy)


def path(node: str, language: str) -> Path:
    """The page asks for the second first, in its own language, and then for the first."""
    return PAGES / f"{node}.md" if language == ENGLISH else PAGES / node / f"{language}.md"


def read(node: str, language: str = ENGLISH) -> str:
    return path(node, language).read_text(encoding="utf-8")


def labels(language: str) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    file = ROOT / "locales" / language / "nodeDefs.json"
    return json.loads(file.read_text(encoding="utf-8"))


def items(page: str, heading: str, named: str) -> dict[str, str]:
    """The lines of a page's list of inputs or outputs, by the names that they start with."""
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found: dict[str, str] = {}
    for line in section.splitlines():
        if line.startswith("- "):
            start = re.match(rf"- (?:{named}(?:, |、)?)+", line)
            assert start, line
            found |= dict.fromkeys(re.findall(named, start[0]), line)
    return found


def kinds(page: str) -> Iterator[str]:
    """What each line is: its mark, and in diagrams the number of arrows."""
    code = False
    for line in page.splitlines():
        if line == "```":
            code = not code
        mark = re.match(r"#+ |- |\||```|", line)
        assert mark
        yield f"code {line.count('->')}" if code else mark[0] or ("text" if line else "")


def spans(page: str) -> set[str]:
    """What stands between backticks, without diagrams."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```$.*?^```$", "", page, flags=re.M | re.S)))


def test_every_node_has_a_page_in_each_language(nodes: dict[str, Node]) -> None:
    assert set(PAGES.rglob("*.*")) == {path(node, lang) for node in nodes for lang in PHRASES}


@in_each_language
def test_pages_list_every_input_and_output(nodes: dict[str, Node], language: str) -> None:
    phrases = PHRASES[language]
    for name, node in nodes.items():
        page = read(name, language)
        listed = [items(page, heading, phrases.named) for heading in phrases.headings]
        assert [list(names) for names in listed] == [list(inputs(node)), node["output_name"]], name
        assert page.count("```") >= 2, f"{name} has no graph"
        assert not page.startswith("#"), f"{name}: the page shows the node's name itself"


@in_other_languages
def test_pages_use_the_labels_that_the_page_shows(nodes: dict[str, Node], language: str) -> None:
    phrases, told = PHRASES[language], labels(language)
    shown: dict[str, set[str]] = {}
    for name, node in nodes.items():
        sockets = {key: entry["name"] for key, entry in told[name]["inputs"].items()}
        outputs = [entry["name"] for entry in told[name]["outputs"].values()]
        produced = dict(zip(node["output_name"], outputs, strict=True))
        for heading, own in zip(phrases.headings, (sockets, produced), strict=True):
            for key, line in items(read(name, language), heading, phrases.named).items():
                assert f"{own[key]}（`{key}`" in line, (name, key)
        for key, label in [*sockets.items(), *produced.items()]:
            shown.setdefault(key, set()).add(label)
    titles = {str(entry["display_name"]) for entry in told.values()}
    for name in nodes:
        page, english = read(name, language), read(name)
        for mention in re.finditer(r"（`(\w+)`", page):
            before = page[: mention.start()].rstrip("”」")
            assert before.endswith(tuple(shown.get(mention[1], {""}))), (name, before[-20:])
        for quoted in re.findall(r"[“「](MMAudio[^”」]*)[”」]", page):
            assert quoted in titles or f'"{quoted}"' in english, (name, quoted)


@in_each_language
def test_pages_give_ranges_and_defaults(nodes: dict[str, Node], language: str) -> None:
    phrases = PHRASES[language]
    for name, node in nodes.items():
        lines = items(read(name, language), phrases.headings[0], phrases.named)
        for key, (kind, options) in inputs(node).items():
            default = options.get("default")
            if kind in ("INT", "FLOAT"):
                top = "2^64 - 1" if options["max"] == 2**64 - 1 else f"{options['max']:g}"
                assert phrases.to.format(f"{options['min']:g}", top) in lines[key], (name, key)
                default = f"{default:g}"
            elif kind == "BOOLEAN":
                default = phrases.on if default else phrases.off
            elif kind == "COMBO" and "default" in options:
                default = f"`{default}`"
            else:
                continue
            text = re.escape(default)
            ending = phrases.default.replace(")", r"\)").format(text)
            assert re.search(ending, lines[key]), (name, key, ending)


@in_each_language
def test_pages_name_every_choice(nodes: dict[str, Node], language: str) -> None:
    phrases = PHRASES[language]
    for name, key in CHOICES:
        line = items(read(name, language), phrases.headings[0], phrases.named)[key]
        kind, options = inputs(nodes[name])[key]
        choices = options["options"] if kind == "COMBO" else kind
        assert [choice for choice in choices if f"`{choice}`" not in line] == []


@in_other_languages
def test_translations_say_what_the_english_says(
    comfy: ComfyServer, nodes: dict[str, Node], language: str
) -> None:
    """Line by line: the same kind of line, names, numbers and values; and nothing in English."""
    translated = set(comfy.client.object_info())  # ids of nodes, for which titles may stand
    names = {key for node in nodes.values() for key in (*inputs(node), *node["output_name"])}
    for name in nodes:
        page, english = read(name, language), read(name)
        assert list(kinds(page)) == list(kinds(english)), name
        differing = (spans(page) ^ spans(english)) - names
        assert not {span for span in differing if "->" not in span}, name
        assert re.search(LANGUAGES[language], page), name
        for line, original in zip(page.splitlines(), english.splitlines(), strict=True):
            assert line != original or not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", line), line
            proper = {
                word.removesuffix("s") for word in PROPER.findall(re.sub("`.*?`", "", original))
            }
            assert not {word for word in proper - translated if word not in line}, (name, line)
            numbers = set(re.findall(r"\d+(?:\.\d+)?", original))
            assert numbers <= set(re.findall(r"\d+(?:\.\d+)?", line)), (name, line)


@in_each_language
def test_links_and_emphasis_work(nodes: dict[str, Node], language: str) -> None:
    """Links are relative to the folder of the pages; ** between a bracket and a word is no mark."""
    for name in nodes:
        page = read(name, language)
        for target in re.findall(r"\]\(([^)]+)\)", page):
            assert target.startswith("https://") or (PAGES / target).is_file(), (name, target)
        marked = re.findall(r"(.)\*\*([^*]+)\*\*(.)", page)
        assert 2 * len(marked) == page.count("**"), name
        for before, text, after in marked:
            assert re.match(r"\w", text) or not re.match(r"\w", before), (name, text)
            assert re.search(r"\w$", text) or not re.match(r"\w", after), (name, text)


@pytest.mark.parametrize("locale", [ENGLISH, *LANGUAGES, "fr", "zh-TW"])
def test_the_page_finds_the_help_of_a_language(
    comfy: ComfyServer, nodes: dict[str, Node], locale: str
) -> None:
    """In the order in which ComfyUI's page asks."""
    for name in nodes:
        expected = read(name, locale if locale in LANGUAGES else ENGLISH)
        folder = f"/extensions/{ALIAS}/docs"
        try:
            found = fetch(comfy, f"{folder}/{name}/{locale}.md")
        except urllib.error.HTTPError:
            found = fetch(comfy, f"{folder}/{name}.md")
        assert found == expected, name
