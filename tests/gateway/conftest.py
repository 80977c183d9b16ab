"""A real ComfyUI whose gateway is on, and a host of videos that it may fetch from."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import trustme

from dev.server import ComfyServer
from mmaudio_core.checkpoint.synthetic import write_synthetic_bundle
from tests.core.made_videos import steady, write_video

from .clients import install
from .video_host import VideoHost, video_host

MODEL = "small_16k"
KEYS = ("key-of-anna", "key-of-bert", "key-of-carl")
MAX_UNFINISHED = 50  # jobs of a key


@dataclass(frozen=True)
class Served:
    """A ComfyUI with the gateway on.

    Attributes:
        url: of the gateway.
        key, other_key: two keys that it knows.
    """

    server: ComfyServer
    host: VideoHost
    secure_host: VideoHost
    key: str = KEYS[0]
    other_key: str = KEYS[1]

    @property
    def url(self) -> str:
        return f"{self.server.url}/mmaudio"

    @property
    def video_url(self) -> str:
        """Two seconds, 25 frames a second, silent."""
        return f"{self.host.url}/clip.mp4"

    @property
    def secure_video_url(self) -> str:
        """The same, by https."""
        return f"{self.secure_host.url}/clip.mp4"

    def queued(self, name: str) -> list[str]:
        """The ids in ComfyUI's ``queue_running`` or ``queue_pending``, once there are any."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = requests.get(f"{self.server.url}/queue", timeout=30).json()[name]
            if found:
                return [item[1] for item in found]
            time.sleep(0.05)
        raise AssertionError(f"nothing is in {name}")


@pytest.fixture(scope="session")
def clip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two silent seconds of 96 x 96, 25 frames a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, steady(50, 25))
    return path.read_bytes()


def environment(*hosts: VideoHost, **others: str) -> dict[str, str]:
    """Variables that switch the gateway on, with the tests' keys."""
    return {
        "MMAUDIO_GATEWAY": "1",
        "MMAUDIO_GATEWAY_KEYS": ",".join(KEYS),
        "MMAUDIO_GATEWAY_MODEL": MODEL,
        "MMAUDIO_GATEWAY_ALLOW_HOSTS": ",".join(host.host for host in hosts),
        "MMAUDIO_GATEWAY_LIMITS": f"100000/{MAX_UNFINISHED}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    } | others


def write_models(folder: Path) -> None:
    """Tiny stand-in weights."""
    write_synthetic_bundle(folder / "models" / "mmaudio" / MODEL, variant=MODEL)


@dataclass(frozen=True)
class Tls:
    """Files of a key, its certificate for 127.0.0.1, and the authority that signed it."""

    key: Path
    certificate: Path
    authority: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """An authority of this test run; a client trusts it with ``SSL_CERT_FILE``."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = Tls(folder / "key.pem", folder / "certificate.pem", folder / "authority.pem")
    issued.private_key_pem.write_to_path(str(files.key))
    issued.cert_chain_pems[0].write_to_path(str(files.certificate))
    authority.cert_pem.write_to_path(str(files.authority))
    return files


@pytest.fixture(scope="session")
def long_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """30 silent seconds: with 50 steps, a job that runs long enough to be cancelled."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, steady(360, 12))
    return path.read_bytes()


@pytest.fixture(scope="session")
def host(clip_bytes: bytes, long_bytes: bytes) -> Iterator[VideoHost]:
    with video_host() as running:
        running.files |= {"/clip.mp4": clip_bytes, "/long.mp4": long_bytes}
        yield running


@pytest.fixture(scope="session")
def secure_host(clip_bytes: bytes, long_bytes: bytes, tls: Tls) -> Iterator[VideoHost]:
    with video_host(tls.context()) as running:
        running.files |= {"/clip.mp4": clip_bytes, "/long.mp4": long_bytes}
        yield running


@pytest.fixture(scope="session")
def served(
    comfy_path: Path,
    host: VideoHost,
    secure_host: VideoHost,
    tls: Tls,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """One for all tests of a version."""
    folder = tmp_path_factory.mktemp("gateway")
    write_models(folder)
    variables = environment(host, secure_host, SSL_CERT_FILE=str(tls.authority))
    with ComfyServer(comfy_path, folder, env=variables) as server:
        yield Served(server, host, secure_host)


@pytest.fixture(scope="session")
def wavespeed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where WaveSpeed's JavaScript client is installed."""
    return install("wavespeed@0.3.2", tmp_path_factory.mktemp("wavespeed"))


@pytest.fixture(scope="session")
def secure(
    comfy_path: Path, host: VideoHost, tls: Tls, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Another one, over TLS, for clients that insist on it."""
    folder = tmp_path_factory.mktemp("secure gateway")
    write_models(folder)
    files = (tls.key, tls.certificate, tls.authority)
    with ComfyServer(comfy_path, folder, env=environment(host), tls=files) as server:
        yield Served(server, host, host)
