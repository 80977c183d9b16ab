"""ComfyUI with a gateway that does not start; without one, it is in ``tests/nodes``."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from filelock import FileLock

from dev.server import ComfyServer

from .conftest import environment, write_models

pytestmark = pytest.mark.newest
PATHS = ("", "/", "/fal/queue/fal-ai/mmaudio-v2/requests/a/status", "/inferencesh/tasks/a")


def check_not_served(server: ComfyServer) -> None:
    for path in PATHS:
        answer = requests.get(f"{server.url}/mmaudio{path}", timeout=30)
        assert answer.status_code == 404, path
    assert "MMAudioSampler" in server.client.object_info("MMAudioSampler")


def test_a_wrong_variable_is_named(comfy_path: Path, tmp_path: Path) -> None:
    write_models(tmp_path)
    variables = environment(MMAUDIO_GATEWAY_MODEL="huge_96k")
    with ComfyServer(comfy_path, tmp_path, env=variables) as server:
        check_not_served(server)
        (line,) = (line for line in server.log_text().splitlines() if "gateway" in line)
    assert "The MMAudio gateway does not start. MMAUDIO_GATEWAY_MODEL: got 'huge_96k'" in line
    assert "expected one of small_16k" in line


def test_a_second_comfyui_on_one_user_folder_does_not_serve(
    comfy_path: Path, tmp_path: Path
) -> None:
    write_models(tmp_path)
    database = tmp_path / "user" / "__mmaudio" / "gateway.db"
    database.parent.mkdir(parents=True)
    with (
        FileLock(f"{database}.lock"),
        ComfyServer(comfy_path, tmp_path, env=environment()) as server,
    ):
        check_not_served(server)
        (line,) = (line for line in server.log_text().splitlines() if "gateway" in line)
    assert "gateway.db is in use by another ComfyUI, which serves its jobs." in line


def test_missing_weights_are_told_and_without_keys_everyone_of_this_machine_is_let_in(
    comfy_path: Path, tmp_path: Path
) -> None:
    variables = environment(MMAUDIO_GATEWAY_MODEL="large_44k_v2", MMAUDIO_GATEWAY_KEYS="none")
    with ComfyServer(comfy_path, tmp_path, env=variables) as server:
        assert requests.get(f"{server.url}/mmaudio", timeout=30).status_code == 200
        text = server.log_text()
        for headers in ({}, {"X-API-Key": "anything"}):
            url = f"{server.url}/mmaudio/eachlabs/v1/prediction/none"
            answer = requests.get(url, headers=headers, timeout=30)
            assert (answer.status_code, answer.json()["details"]) == (404, "not_found")
    assert "gateway's jobs will fail until its model is there" in text
    assert "large_44k_v2: no file found for its flow network" in text
