"""What registries, installers and readers of the repository rely on."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from PIL import Image

from dev.comfyui import python_of
from dev.environment import TORCH
from dev.server import ALIAS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports] (pytest brings it)

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWNER = PROJECT["project"]["urls"]["Repository"].split("/")[3]
NAME = PROJECT["project"]["name"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

# Accounts of others that the project's files link to.
THIRD_PARTIES = {"actions", "Comfy-Org", "comfyanonymous", "hkchengrex", "kijai"}
GITHUB_URL = re.compile(
    r"(?:https?://|git@)(?:www\.|raw\.)?github(?:usercontent)?\.com[/:]([\w.-]+)"
)
# Loads the pack from a folder inside ComfyUI, as its loader does, and builds every node's schema.
LOAD_PACK = """
import asyncio, importlib.util, sys

comfyui, pack = sys.argv[1:]
sys.argv[1:] = ["--cpu"]
sys.path.insert(0, comfyui)
import comfy.options
comfy.options.enable_args_parsing()
spec = importlib.util.spec_from_file_location(
    "published_pack", pack + "/__init__.py", submodule_search_locations=[pack]
)
module = importlib.util.module_from_spec(spec)
sys.modules["published_pack"] = module
spec.loader.exec_module(module)


async def nodes():
    extension = await module.comfy_entrypoint()
    return await extension.get_node_list()


print(*(node.GET_SCHEMA().node_id for node in asyncio.run(nodes())))
"""
# Every module of the core, and its one data file.
LOAD_CORE = """
import importlib, pkgutil
import mmaudio_core

for module in pkgutil.walk_packages(mmaudio_core.__path__, "mmaudio_core."):
    importlib.import_module(module.name)
from mmaudio_core.models.clip.tokenizer import tokenize
assert tokenize(["rain"]).shape[-1] == 77
"""


def git_files(*options: str) -> set[str]:
    """Tracked files, as paths with forward slashes."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", *options], cwd=ROOT, check=True, capture_output=True
    )
    files = {name.decode() for name in listed.stdout.split(b"\0") if name}
    return {name for name in files if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def published() -> set[str]:
    """What ``comfy node publish`` packs: tracked files that .comfyignore does not match."""
    return git_files() - git_files("--ignored", "--exclude-from=.comfyignore")


@pytest.fixture(scope="module")
def published_pack(published: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the published files and nothing else."""
    folder = tmp_path_factory.mktemp("published")
    for name in published:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return folder


def run(python: str, script: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [python, "-c", script, *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def workflow(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def test_the_published_pack_is_small(published: set[str]) -> None:
    assert sum((ROOT / name).stat().st_size for name in published) < 4_000_000


def test_only_what_a_user_needs_is_published(published: set[str]) -> None:
    folders = {"gateway", "locales", "mmaudio_core", "nodes", "subgraphs", "web", "workflows"}
    files = {"CHANGELOG.md", "LICENSE", "README.md", "__init__.py", "pyproject.toml"}
    assert {name.split("/")[0] for name in published} == folders | files | {"requirements.txt"}
    assert {name for name in git_files() if name.split("/")[0] in folders} <= published


def test_the_published_core_works_alone(published_pack: Path) -> None:
    run(sys.executable, LOAD_CORE, cwd=published_pack)


def test_the_published_nodes_load_in_comfyui(published_pack: Path, comfy_path: Path) -> None:
    printed = run(
        str(python_of(comfy_path)),
        LOAD_PACK,
        str(comfy_path),
        str(published_pack),
        cwd=published_pack,
    )
    loaded = set(printed.splitlines()[-1].split())
    assert loaded == {page.stem for page in (ROOT / "web" / "docs").glob("*.md")}


def test_dependencies_are_listed_alike() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == PROJECT["project"][
        "dependencies"
    ]


def test_dependencies_have_no_upper_bounds_and_are_not_comfyuis() -> None:
    comfyuis = {"torch", "numpy", "transformers", "tokenizers", "safetensors", "av"}
    for dependency in PROJECT["project"]["dependencies"]:
        name, _, bound = dependency.partition(">=")
        assert name not in comfyuis
        assert re.fullmatch(r"[\d.]*", bound)
        assert re.fullmatch(r"[\w-]+", name)


def test_the_wheel_holds_the_core_with_its_data() -> None:
    """Every module is in a package that is found, and every other file is named."""
    settings = PROJECT["tool"]["setuptools"]
    assert settings["packages"]["find"]["include"] == ["mmaudio_core", "mmaudio_core.*"]
    files = [ROOT / name for name in git_files("--others", "--exclude-standard", "mmaudio_core")]
    patterns = settings["package-data"]["*"]
    for path in files:
        if path.suffix != ".py":
            assert any(path.match(pattern) for pattern in patterns), path
        else:
            assert (path.parent / "__init__.py").exists(), path
    module, function = PROJECT["project"]["scripts"]["mmaudio"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_registry_accepts_the_metadata() -> None:
    assert re.fullmatch(r"[a-z](?:[-_.]?[a-z0-9])*", NAME)
    assert len(NAME) < 100
    assert "comfyui" not in NAME.lower()
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["project"]["version"])
    assert PROJECT["tool"]["comfy"]["requires-comfyui"] == ">=0.8.0"


def test_the_pack_is_tested_under_the_name_that_an_installation_has() -> None:
    assert ALIAS == NAME


@pytest.mark.parametrize(("key", "ratio", "width"), [("Icon", 1, 400), ("Banner", 21 / 9, 1260)])
def test_icon_and_banner_are_files_of_this_repository(key: str, ratio: float, width: int) -> None:
    url = PROJECT["tool"]["comfy"][key]
    prefix = f"https://raw.githubusercontent.com/{OWNER}/{NAME}/main/"
    assert url.startswith(prefix)
    assert url.removeprefix(prefix) in git_files()
    with Image.open(ROOT / url.removeprefix(prefix)) as image:
        assert image.width == width
        assert image.width / image.height == pytest.approx(ratio)


def test_the_projects_address_stands_in_pyproject_alone() -> None:
    urls = PROJECT["project"]["urls"].values()
    assert all(url.startswith(f"https://github.com/{OWNER}/{NAME}") for url in urls)
    assert PROJECT["tool"]["comfy"]["PublisherId"] == OWNER
    found: dict[str, set[str]] = {}
    for name in git_files() - {"pyproject.toml"}:
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            owners = set(GITHUB_URL.findall(content.decode("utf-8")))
            found[name] = owners - THIRD_PARTIES - {"{OWNER}"}
    assert not {name: owners for name, owners in found.items() if owners}


def test_the_changelog_has_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", changelog, re.M)
    assert versions[:2] == ["Unreleased", PROJECT["project"]["version"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    paths = re.findall(
        r"`((?:mmaudio_core|nodes|tests|dev|bench|subgraphs|workflows|web|locales)/[\w./-]*)`", text
    )
    missing = [link for link in links if not (page.parent / unquote(link)).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_workflows_fit_githubs_schema() -> None:
    assert {path.name for path in WORKFLOWS} == {"publish.yml", "tests.yml"}
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
        done = subprocess.run(
            [*command, *map(str, WORKFLOWS)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_use_known_accounts_only(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    used += [
        step["with"]["repository"] for step in steps(path) if "repository" in step.get("with", {})
    ]
    assert {name.split("/")[0] for name in used} <= THIRD_PARTIES


def test_ci_runs_both_supported_ends_on_linux_and_windows() -> None:
    ci = ROOT / ".github" / "workflows" / "tests.yml"
    matrix = workflow(ci)["jobs"]["test"]["strategy"]["matrix"]
    oldest = PROJECT["tool"]["comfy"]["requires-comfyui"].removeprefix(">=")
    assert matrix["comfyui"][0] == f"v{oldest}"
    assert len(matrix["comfyui"]) == 2
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "windows"}
    oldest_python = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert oldest_python in [entry["python"] for entry in matrix["include"]]
    install = next(step["run"] for step in steps(ci) if step.get("name") == "Install")
    assert set(TORCH) <= set(install.split())


@pytest.mark.skipif(os.name == "nt", reason="the publish job runs on Linux")
def test_publishing_refuses_the_placeholder(tmp_path: Path) -> None:
    """The guard of publish.yml, run on copies of the two files that it reads."""
    guard = next(step["run"] for step in steps(WORKFLOWS[0]) if "run" in step)
    version = PROJECT["project"]["version"]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)

    def accepts(content: str, tag: str) -> bool:
        (tmp_path / "pyproject.toml").write_text(content, encoding="utf-8")
        env = {**os.environ, "GITHUB_REF_NAME": tag}
        return not subprocess.run(
            ["bash", "-e", "-c", guard], cwd=tmp_path, env=env, check=False
        ).returncode

    assert accepts(text.replace("OWNER-NOT-SET", "someone"), f"v{version}")
    assert not accepts(text.replace("OWNER-NOT-SET", "someone"), "v99.0.0")
    assert not accepts(text + "# OWNER-NOT-SET", f"v{version}")
