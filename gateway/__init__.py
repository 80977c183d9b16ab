"""The hosted services' APIs, served by this ComfyUI; off unless ``MMAUDIO_GATEWAY=1``.

Every request becomes a job, and every job a prompt in ComfyUI's own queue. ``services/`` holds what
differs between services; nodes and core know nothing of this package.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

log = logging.getLogger(__name__)


def start() -> None:
    """Serve ``/mmaudio`` if the environment asks for it; what is wrong with it is logged.

    Called while ComfyUI loads the pack, before its server starts.
    """
    from .settings import Settings, SettingsError

    try:
        settings = Settings.read(os.environ, _listen(), _default_model())
        if settings is None:
            return
        _check_model(settings.model)
    except SettingsError as error:
        log.error("The MMAudio gateway does not start. %s", error)
        return
    from .store import StoreError

    try:
        _mount(settings)
    except StoreError as error:
        log.error("The MMAudio gateway does not start: %s.", error)
    except Exception as error:
        log.error("The MMAudio gateway does not start: %s.", error, exc_info=True)


def _mount(settings: Settings) -> None:
    import folder_paths
    from server import PromptServer

    from .app import build_app
    from .jobs import Folders

    server = PromptServer.instance
    folders = Folders(
        Path(folder_paths.get_input_directory()), Path(folder_paths.get_output_directory())
    )
    app = build_app(
        settings, server, folders, Path(folder_paths.get_system_user_directory("mmaudio"))
    )
    server.app.add_subapp("/mmaudio", app)
    _warn_of_missing(settings.model)
    log.info("The MMAudio gateway serves /mmaudio with the model %s.", settings.model)


def _listen() -> list[str]:
    from comfy.cli_args import args

    return str(args.listen).split(",")  # an empty one is every address


def _default_model() -> str:
    from ..mmaudio_core.checkpoint.published import DEFAULT_VARIANT

    return DEFAULT_VARIANT


def _check_model(model: str) -> None:
    """Raises SettingsError for a name that Load MMAudio Model does not know."""
    from ..mmaudio_core.checkpoint import VARIANTS, PartKind
    from ..nodes import folders
    from .settings import SettingsError

    known = [*VARIANTS, *folders.catalog().names(PartKind.FLOW)]
    if model not in known:
        raise SettingsError(
            f"MMAUDIO_GATEWAY_MODEL: got {model!r}; expected one of {', '.join(known)}."
        )


def _warn_of_missing(model: str) -> None:
    """Every job would fail, and its client is not told why."""
    from ..mmaudio_core.errors import CheckpointError
    from ..nodes import folders
    from ..nodes.model_manager import precision_dtype

    try:
        folders.catalog().bundle(model, dtype=precision_dtype("auto"))
    except CheckpointError as error:
        log.warning(
            "The MMAudio gateway's jobs will fail until its model is there. Download it, or run "
            "Load MMAudio Model with download_missing once. %s",
            error,
        )
