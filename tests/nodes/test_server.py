"""The pack in a real ComfyUI: it loads, and its nodes are there."""

from __future__ import annotations

import requests

from dev.server import ALIAS, ComfyServer

NODES = ("LoadMMAudioModel", "MMAudioFeatureExtract", "MMAudioSampler", "MuxAudioVideo")


def test_the_nodes_are_there(comfy: ComfyServer) -> None:
    info = comfy.client.object_info()
    missing = [node for node in NODES if node not in info]
    assert not missing, comfy.log_tail()
    assert {info[node]["python_module"] for node in NODES} == {f"custom_nodes.{ALIAS}"}


def test_nothing_failed_to_load(comfy: ComfyServer) -> None:
    log = comfy.log_text().split("got prompt")[0]  # failing jobs, on purpose, come later
    assert "IMPORT FAILED" not in log
    assert "Traceback" not in log


def test_no_other_pack_is_loaded(comfy: ComfyServer) -> None:
    modules = {node["python_module"] for node in comfy.client.object_info().values()}
    assert {name for name in modules if name.startswith("custom_nodes.")} == {
        f"custom_nodes.{ALIAS}"
    }


def test_the_gateway_is_off(comfy: ComfyServer) -> None:
    status = "/fal/queue/fal-ai/mmaudio-v2/requests/a/status"
    for path in ("", "/", status, "/inferencesh/tasks/a"):
        assert requests.get(f"{comfy.url}/mmaudio{path}", timeout=30).status_code == 404, path
    assert "gateway" not in comfy.log_text()
