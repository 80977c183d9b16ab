"""What the compared code imports that this pack and ComfyUI do not bring."""

from __future__ import annotations

ENVIRONMENT = ".venv-bench"
PYTHON_VARIABLE = "MMAUDIO_BENCH_PYTHON"  # tells the benchmark that environment's Python
PACKAGES = (
    "accelerate",
    "colorlog",
    "einops",
    "ftfy",
    "librosa",
    "omegaconf",
    "open_clip_torch",
    "requests",
    "timm",
    "torchdiffeq",
    "tqdm",
)
