"""What differs between the supported versions of ComfyUI (0.8.0 and later).

Each function says which oldest supported version would make it unnecessary.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import comfy.model_patcher
from comfy_api.latest import io


def model_patcher_class() -> type[comfy.model_patcher.ModelPatcher]:
    """The ``ModelPatcher`` that ComfyUI uses for its own models.

    0.33.0 has ``CoreModelPatcher``, set at start-up according to the memory manager; 0.8.0 has only
    ``ModelPatcher``. With 0.33.0 as the oldest version, use
    ``comfy.model_patcher.CoreModelPatcher``, looked up at each call.
    """
    return getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)


def trim_window(video: Any) -> tuple[float, float]:
    """Start and duration of a VIDEO's trim in seconds; a duration of 0 means to the end.

    0.8.0 cannot trim videos. With 0.33.0 as the oldest version, use
    ``video.get_active_trim_window()``.
    """
    active = getattr(video, "get_active_trim_window", None)
    return (0.0, 0.0) if active is None else active()


def has_frame_edits(video: Any) -> bool:
    """Whether a VIDEO has edits, such as a crop, that its stream source lacks.

    0.33.0 knows no such edits, later versions do. With one of those as the oldest version, use
    ``video.has_pending_frame_edits()``.
    """
    pending = getattr(video, "has_pending_frame_edits", None)
    return pending is not None and pending()


def later_schema_fields(**values: Any) -> dict[str, Any]:
    """Those of ``values`` that ``io.Schema`` has in this version.

    0.8.0 lacks ``search_aliases`` and ``has_intermediate_output``. With 0.33.0 as the oldest
    version, pass them directly.
    """
    known = {field.name for field in fields(io.Schema)}
    return {name: value for name, value in values.items() if name in known}
