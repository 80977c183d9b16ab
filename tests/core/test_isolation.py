"""The core stands alone: no ComfyUI, nothing it does not need, under any package name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

CORE = Path(__file__).parents[2] / "mmaudio_core"
MODULES = sorted(
    ".".join(path.relative_to(CORE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in CORE.rglob("*.py")
)
BLOCKED = (
    "comfy",
    "folder_paths",
    "einops",
    "timm",
    "open_clip",
    "librosa",
    "torchdiffeq",
    "omegaconf",
    "torchvision",
    "torchaudio",
    "transformers",
    "huggingface_hub",
    "scipy",
    "PIL",
)
_SCRIPT = """
import importlib, sys

blocked, modules = sys.argv[1].split(","), sys.argv[2].split(",")


class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is not there")


before = set(sys.modules)
sys.meta_path.insert(0, Block())
for name in modules:
    importlib.import_module(name)
assert not {name.split(".")[0] for name in set(sys.modules) - before} & set(blocked)
"""
_JOB = """
from fractions import Fraction
from pathlib import Path
from {package}.checkpoint import Catalog
from {package}.checkpoint.synthetic import write_synthetic_bundle
from {package}.features.visual import TimeRange
from {package}.pipeline import generate_audio
from {package}.providers import CachedModels
import sys, torch

torch.set_num_threads(1)
folder = Path(sys.argv[3])
write_synthetic_bundle(folder, variant="small_16k")
catalog = Catalog([(path.name, path) for path in folder.iterdir()])
networks = CachedModels(bundle=catalog.bundle("small_16k", dtype=torch.float32))
time_range = TimeRange(duration=Fraction(1))
sound = generate_audio(networks, None, time_range, [1], prompt="rain", steps=1)
assert sound.shape == (1, 1, 16000)
"""


def python(script: str, modules: list[str], *arguments: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, ",".join(BLOCKED), ",".join(modules), *arguments],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_every_module_imports_without_what_is_not_needed():
    python(_SCRIPT, MODULES, path=CORE.parent)


def test_the_core_works_under_another_name(tmp_path: Path):
    inside = tmp_path / "pack" / "inner"
    shutil.copytree(CORE, inside, ignore=shutil.ignore_patterns("__pycache__"))
    modules = [re.sub("^mmaudio_core", "pack.inner", name) for name in MODULES]
    script = (
        _SCRIPT + _JOB.format(package="pack.inner") + "assert 'mmaudio_core' not in sys.modules"
    )
    python(script, modules, str(tmp_path / "weights"), path=tmp_path)
