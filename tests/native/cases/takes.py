"""Takes: what travels with the sound, what the panel is told, and which files it plays."""

from __future__ import annotations

import base64
import io as bytes_io
import os
from pathlib import Path
from typing import Any

import av
import folder_paths
import numpy as np
import torch
from comfy_api.latest import InputImpl
from mmaudio_pack.mmaudio_core.audio.waveform import read_audio
from mmaudio_pack.nodes import take_files
from mmaudio_pack.nodes.cures import MMAudioNodeError
from mmaudio_pack.nodes.take_files import Picture, panel_data, peaks, picture_of
from mmaudio_pack.nodes.take_notes import notes_of_one, read_notes
from mmaudio_pack.nodes.takes import MMAudioTakes

RATE = 16_000
NOTES = {"seeds": [2**63, 8, 9], "duration": 1.0, "cuts": [0.5], "windows": [], "crossfades": []}


def sound(takes: int = 3, seconds: float = 1.0) -> dict[str, Any]:
    torch.manual_seed(7)
    waveform = torch.rand(takes, 1, int(RATE * seconds)) - 0.5
    return {"waveform": waveform, "sample_rate": RATE, "mmaudio": NOTES}


def files() -> dict[str, int]:
    folder = Path(folder_paths.get_temp_directory()) / take_files.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def case_the_chosen_take_is_passed_on() -> Any:
    audio = sound()
    output = MMAudioTakes.execute(audio, 1)
    chosen = output.args[0]
    return {
        "same": torch.equal(chosen["waveform"], audio["waveform"][1:2]),
        "seeds": chosen["mmaudio"]["seeds"],
        "data": output.ui["mmaudio_takes"][0],
    }


def case_without_notes() -> Any:
    audio = {"waveform": sound()["waveform"], "sample_rate": RATE}
    data = MMAudioTakes.execute(audio, 0).ui["mmaudio_takes"][0]
    return [sorted(take) for take in data["takes"]]


def case_broken_notes_are_left_out() -> Any:
    return [read_notes({"mmaudio": broken}) for broken in (None, 3, [1], "x", torch.zeros(2))]


def case_notes_of_one() -> Any:
    return [notes_of_one(NOTES, 2)["seeds"], notes_of_one({}, 2), notes_of_one(NOTES, 7)["seeds"]]


def case_a_take_that_is_not_there() -> str:
    try:
        MMAudioTakes.execute(sound(), 3)
    except MMAudioNodeError as error:
        return str(error)
    return "no error"


def case_files_are_written_once() -> Any:
    audio = sound(2, 0.5)
    before = (
        set(files())
        if (Path(folder_paths.get_temp_directory()) / "mmaudio-takes").is_dir()
        else set()
    )
    MMAudioTakes.execute(audio, 0)
    first = files()
    MMAudioTakes.execute(audio, 1)
    second = files()
    return {"new": len(set(first) - before), "again": len(set(second) - set(first))}


def case_what_is_played_is_the_sound() -> Any:
    audio = sound(1)
    data = panel_data(read_audio(audio), NOTES, None, 0.0, 0)
    entry = data["takes"][0]["file"]
    path = Path(folder_paths.get_temp_directory()) / entry["subfolder"] / entry["filename"]
    with av.open(str(path)) as container:
        got = np.concatenate(
            [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        )
    wanted = audio["waveform"][0, 0].numpy()
    return [len(got), float(np.abs(got / 2.0**31 - wanted).max())]


def case_peaks() -> Any:
    waveform = torch.zeros(2, 8000)
    waveform[0, 15], waveform[1, 7999] = 1.0, -0.5
    pairs = np.frombuffer(base64.b64decode(peaks(waveform)), np.int8)
    short = np.frombuffer(base64.b64decode(peaks(torch.tensor([[0.5, -1.5]]))), np.int8)
    return [len(pairs), pairs[:4].tolist(), pairs[-2:].tolist(), short.tolist()]


def case_loudness_and_silence() -> Any:
    loud = torch.sin(torch.arange(RATE * 2) * 0.3)[None, None] * 0.5
    audio = {"waveform": torch.cat([loud, loud * 0.1, loud * 0]), "sample_rate": RATE}
    takes = panel_data(read_audio(audio), {}, None, 0.0, 0)["takes"]
    return [[take["loudness"], take["peak_db"]] for take in takes]


def video(folder: str, name: str = "clip.mp4") -> Path:
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 9, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shown(picture: Picture) -> bytes:
    place = getattr(folder_paths, f"get_{picture.file['type']}_directory")()
    return (Path(place) / picture.file["subfolder"] / picture.file["filename"]).read_bytes()


def case_pictures() -> Any:
    own = video(folder_paths.get_input_directory(), "sub/clip.mp4")
    far = video(os.getcwd() + "/elsewhere")
    link = Path(folder_paths.get_input_directory()) / "link.mp4"
    link.symlink_to(far)
    memory = bytes_io.BytesIO(far.read_bytes())
    found = {
        "own": picture_of(InputImpl.VideoFromFile(str(own)), 1.5),
        "elsewhere": picture_of(InputImpl.VideoFromFile(str(far)), 0.0),
        "link": picture_of(InputImpl.VideoFromFile(str(link)), 0.0),
    }
    same = {name: shown(picture) == own.read_bytes() for name, picture in found.items()}
    in_memory = picture_of(InputImpl.VideoFromFile(memory), 0.0)
    with av.open(bytes_io.BytesIO(shown(in_memory))) as container:
        frames = sum(1 for _ in container.decode(video=0))
    return {
        "same": same,
        "files": {name: [p.file["type"], p.file["subfolder"]] for name, p in found.items()},
        "start": found["own"].start,
        "memory": frames,
    }


def case_at_most_a_gigabyte() -> Any:
    take_files._MAX_BYTES, kept = 120_000, take_files._MAX_BYTES
    try:
        for number in range(6):
            audio = {"waveform": torch.rand(1, 1, RATE) + number, "sample_rate": RATE}
            audio["waveform"] /= audio["waveform"].max()
            data = panel_data(read_audio(audio), {}, None, 0.0, 0)
        there = set(files())
        last = data["takes"][0]["file"]["filename"]
        folder = Path(folder_paths.get_temp_directory()) / take_files.FOLDER
        return [last in there, sum(path.stat().st_size for path in folder.iterdir()) <= 200_000]
    finally:
        take_files._MAX_BYTES = kept


def case_a_folder_that_cannot_be_written_takes_no_result() -> Any:
    folder = Path(folder_paths.get_temp_directory()) / take_files.FOLDER
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.write_text("a file where the folder should be")
    try:
        film = video(os.getcwd() + "/far")
        output = MMAudioTakes.execute(sound(), 0, InputImpl.VideoFromFile(str(film)))
        return [output.ui, tuple(output.args[0]["waveform"].shape)]
    finally:
        folder.unlink()
        moved.rename(folder)
