"""The reverse proxies of docs/gateway.md, as written: the gateway is reached, ComfyUI is not."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dev.environment import ROOT
from dev.server import ComfyServer

from .conftest import KEYS, Tls, environment, write_models
from .poller import Poller
from .video_host import VideoHost

PAGE = (ROOT / "docs" / "gateway.md").read_text("utf-8")
# Ways to spell a path of ComfyUI's that begin as one of ours.
ESCAPES = (
    "/mmaudio/../queue",
    "/mmaudio/%2e%2e/queue",
    "/mmaudio/..%2fqueue",
    "/mmaudio/x/../../queue",
    "/mmaudio//../queue",
    "/mmaudio/.%2e/queue",
    "/mmaudio/..;/queue",
    "/mmaudio/%252e%252e/queue",
    "/mmaudio/..\\queue",
    "/mmaudio/..%5cqueue",
    "/MMAUDIO/../queue",
    "//queue",
    "/./queue",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def example(language: str, comfyui: str, port: int, tls: Tls) -> str:
    """The page's configuration, with this machine's addresses and certificate."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    text = found[1].replace("127.0.0.1:8188", comfyui)
    if language == "nginx":
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        text = text.replace("/etc/ssl/sound.example.com.pem", str(tls.certificate))
        return text.replace("/etc/ssl/sound.example.com.key", str(tls.key))
    site = f"https://127.0.0.1:{port} {{\n\ttls {tls.certificate} {tls.key}"
    return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text.replace(
        "sound.example.com {", site
    )


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(
    comfy_path: Path,
    secure_host: VideoHost,
    tls: Tls,
    port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ComfyServer]:
    folder = tmp_path_factory.mktemp("proxied")
    write_models(folder)
    variables = environment(
        secure_host,
        SSL_CERT_FILE=str(tls.authority),
        MMAUDIO_GATEWAY_PUBLIC_URL=f"https://127.0.0.1:{port}/mmaudio",
    )
    with ComfyServer(comfy_path, folder, env=variables) as server:
        yield server


@pytest.fixture(params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, server: ComfyServer, port: int, tls: Tls, tmp_path: Path
) -> Iterator[str]:
    """Address of a running reverse proxy."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    site = example(request.param, server.url.removeprefix("http://"), port, tls)
    config = tmp_path / "config"
    if request.param == "nginx":
        config.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {tmp_path}/body;\n{site}}}\n"
        )
        command = [program, "-c", str(config), "-e", f"{tmp_path}/log"]
    else:
        config.write_text(site)
        command = [program, "run", "--config", str(config), "--adapter", "caddyfile"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, f"{request.param} ended"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def raw_get(address: str, path: str, tls: Tls) -> tuple[int, bytes]:
    """GET a path as it is: no client cleans it."""
    context = ssl.create_default_context(cafile=str(tls.authority))
    host, _, number = address.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(number)), 30) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{number}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    return int(answer.split(b" ", 2)[1]), answer


def test_the_gateway_is_reached_and_comfyui_is_not(
    proxy: str, server: ComfyServer, secure_host: VideoHost, tls: Tls
) -> None:
    poller = Poller(f"{proxy}/mmaudio", KEYS[0], tls.authority)
    job = poller.create(f"{secure_host.url}/clip.mp4")
    end = poller.wait(job)
    assert end["output"].startswith(f"{proxy}/mmaudio/files/")
    result = requests.get(end["output"], verify=str(tls.authority), timeout=30)
    assert (result.status_code, result.headers["Content-Type"]) == (200, "video/mp4")
    page = requests.get(f"{proxy}/mmaudio", verify=str(tls.authority), timeout=30)
    assert page.json()["model"] == "small_16k"
    assert b"queue_running" in requests.get(f"{server.url}/queue", timeout=30).content
    for path in ("/", "/queue", "/prompt", "/history", "/api/queue", "/ws", *ESCAPES):
        status, answer = raw_get(proxy, path, tls)
        assert status in (400, 404), path
        assert b"queue_running" not in answer, path
