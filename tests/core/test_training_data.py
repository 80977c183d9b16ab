"""From a folder of recordings to pieces that are learned and pieces that are held out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from mmaudio_core.audio.loudness import integrated_loudness
from mmaudio_core.audio.resample import resample
from mmaudio_core.audio.waveform import Audio
from mmaudio_core.checkpoint import PartKind
from mmaudio_core.codec.encode import Posterior, encode
from mmaudio_core.errors import MediaError, MMAudioError
from mmaudio_core.feature_cache import FeatureCache
from mmaudio_core.features.types import Features
from mmaudio_core.features.visual import TimeRange, VideoClip, extract_visual_features
from mmaudio_core.scoring.voice import VoiceResult
from mmaudio_core.training import prepare as prepare_module
from mmaudio_core.training.cutting import piece_starts
from mmaudio_core.training.dataset import draw_examples, split_recordings
from mmaudio_core.training.folder import (
    ListedFile,
    caption_of_name,
    find_subfolder,
    list_recordings,
)
from mmaudio_core.training.pieces import Piece, PieceOptions, PreparedRecording
from mmaudio_core.training.prepare import file_source, prepare_recording, prepare_source
from mmaudio_core.training.recording import Recording, read_recording
from tests.core.made_sounds import RATE, tone, with_sound
from tests.core.made_videos import numbers, steady, write_video
from tests.core.networks import noise
from tests.core.small import MemoryNetworks
from tests.golden_files import relative_error

NETWORKS = MemoryNetworks()
SECOND = PieceOptions(length=Fraction(1), at_cuts=False)


def film(folder: Path, name: str, waveform: Tensor) -> Path:
    """A film with that sound, and a picture as long."""
    silent = folder / f".{name}.mp4"
    frames = round(25 * waveform.shape[1] / RATE)
    write_video(silent, steady(frames, 25))
    return with_sound(silent, folder / f"{name}.mkv", waveform, RATE)


def listed(path: Path, caption: str = "a tone") -> ListedFile:
    return ListedFile(path=path, name=path.name, caption=caption)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/../../other", "/etc", "C:\\x", "\\x", "a\\..\\..\\x"]
)
def test_only_folders_inside_the_input_folder_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "input" / "a").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    assert find_subfolder(tmp_path / "input", "a") == tmp_path / "input" / "a"
    with pytest.raises(MediaError, match="got the folder"):
        find_subfolder(tmp_path / "input", name)


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "input", tmp_path / "outside"
    (root / "inside").mkdir(parents=True)
    outside.mkdir()
    for name in ("secret.wav", "secret.txt"):
        (outside / name).write_text("secret")
    (root / "link").symlink_to(outside)
    with pytest.raises(MediaError, match="leads out of it"):
        find_subfolder(root, "link")
    folder = find_subfolder(root, "inside")
    (folder / "linked.wav").symlink_to(outside / "secret.wav")
    (folder / "deep").symlink_to(outside)
    (folder / "own.wav").write_text("own")
    (folder / "own.txt").symlink_to(outside / "secret.txt")
    listing = list_recordings(folder)
    assert [(file.name, file.caption) for file in listing.files] == [("own.wav", "own")]
    assert listing.left_out == ("linked.wav: a link that leads out of the folder",)


def test_captions_come_from_a_text_a_list_or_the_name(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("door_slam-03.wav", "b.mp4", "c.mp3", "more/d.wav", ".hidden.wav", "e.wav"):
        (tmp_path / name).write_text("")
    (tmp_path / "b.txt").write_text("\ufeffa bell,\n rung twice ", encoding="utf-8")
    lines = [
        json.dumps({"file_name": "b.mp4", "caption": "not this one"}),
        json.dumps({"file": "./c.mp3", "text": "a cat"}),
        "no JSON",
        json.dumps(["a list"]),
        json.dumps({"audio": "more\\d.wav", "prompt": "a dog"}),
        "",
        json.dumps({"file_name": "e.wav", "caption": 3}),
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    listing = list_recordings(tmp_path)
    assert {file.name: file.caption for file in listing.files} == {
        "b.mp4": "a bell, rung twice",
        "c.mp3": "a cat",
        "door_slam-03.wav": "door slam",
        "e.wav": "e",
        "more/d.wav": "a dog",
    }
    assert [left.split(":")[0] for left in listing.left_out] == [
        "metadata.jsonl, line 3",
        "metadata.jsonl, line 4",
        "metadata.jsonl, line 7",
    ]
    assert caption_of_name("42") == "42"


def test_texts_and_names_are_read_however_they_were_written(tmp_path: Path) -> None:
    texts = {
        "utf8": "Türen".encode(),
        "with mark": "\ufeffTüren\r\n".encode(),
        "utf16": "Türen".encode("utf-16"),
        "windows": "Türen".encode("cp1252"),
        "control": b"T\x00\xc3\xbcren\x07\n\n",
        "long": b"a very long caption " * 10_000,
        "兎 🐇": "うさぎ 🐇".encode(),
        "empty": b" \n",
    }
    for name, content in texts.items():
        (tmp_path / f"{name}.wav").write_text("")
        (tmp_path / f"{name}.txt").write_bytes(content)
    (tmp_path / "LOUD.WAV").write_text("")
    (tmp_path / "LOUD.TXT").write_text("shouting")
    (tmp_path / "list.wav").write_text("")
    line = '{"file_name": "list.wav", "caption": "half \\ud83d of\u2028a pair"}\r\n'
    (tmp_path / "list.jsonl").write_bytes(b"\xff\xfe" + line.encode("utf-16-le"))
    captions = {file.name: file.caption for file in list_recordings(tmp_path).files}
    assert captions.pop("long.wav").startswith("a very long caption a very")
    assert captions == {
        "utf8.wav": "Türen",
        "with mark.wav": "Türen",
        "utf16.wav": "Türen",
        "windows.wav": "Türen",
        "control.wav": "T üren",
        "兎 🐇.wav": "うさぎ 🐇",
        "empty.wav": "",
        "LOUD.WAV": "shouting",
        "list.wav": "half ? of a pair",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_names_that_are_no_text_can_be_shown(tmp_path: Path) -> None:
    for name in (b"a\nb.wav", b"t\xfcr.wav"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("")
    files = list_recordings(tmp_path).files
    assert [file.name for file in files] == ["a b.wav", "t?r.wav"]
    assert all(file.path.exists() and file.caption.encode() for file in files)


@pytest.mark.parametrize(
    ("duration", "overlap", "cuts", "starts"),
    [
        (8, 0, (), (0,)),
        (17, 0, (), (0, 8)),  # one second is not worth a piece
        (18, 0, (), (0, 8, 10)),  # two are
        (16, 4, (), (0, 4, 8)),
        (20, 0, (9.0625,), (0, 9.125, 12)),  # on the grid of CLIP's frames
        (12, 0, (3, 6), (0, 4)),  # all scenes short: cut as one
        (21, 0, (2, 4), (4, 12)),  # the short ones hold no piece
        (7, 0, (), ()),
    ],
)
def test_pieces_keep_within_scenes(
    duration: float, overlap: float, cuts: tuple[float, ...], starts: tuple[float, ...]
) -> None:
    got = piece_starts(Fraction(duration), Fraction(8), Fraction(overlap), cuts)
    assert [float(start) for start in got] == list(starts)


def test_a_film_is_cut_into_pieces_of_its_sound_and_picture(tmp_path: Path) -> None:
    loud = tone(1, 440, -20)
    sound = torch.cat([loud, torch.zeros(1, RATE), tone(1, 880, -20)], 1)
    recording = read_recording(listed(film(tmp_path, "beep", sound)))
    prepared = prepare_recording(NETWORKS, recording, SECOND)
    first, last = prepared.pieces
    assert (first.start, last.start) == (0, 2)
    assert prepared.left_out == ("beep.mkv at 1 s: silent",)
    at_16k = resample(sound[:, 2 * RATE :], RATE, 16_000)
    alone = Audio(waveforms=at_16k[None], sample_rate=16_000)
    expected = encode(NETWORKS, alone, Fraction(1))  # flac has 16 bits
    assert relative_error(last.latents.mean, expected) < 0.02
    assert relative_error(first.latents.mean, expected) > 0.2
    clip = VideoClip(source=tmp_path / "beep.mkv")
    seen = extract_visual_features(
        NETWORKS, clip, TimeRange(duration=Fraction(1), start=Fraction(2))
    )
    assert last.features.clip is not None and seen.features.clip is not None
    assert torch.equal(last.features.clip, seen.features.clip)
    assert not torch.equal(last.features.clip, first.features.clip)  # pyright: ignore


def test_a_known_file_is_neither_decoded_nor_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process, under another name and caption; a changed file or option is."""
    sound = torch.cat([tone(1, 440, -20), torch.zeros(1, RATE), tone(1, 880, -20)], 1)
    path = film(tmp_path, "beep", sound)

    def networks() -> MemoryNetworks:
        return MemoryNetworks(feature_cache=FeatureCache(folder=tmp_path / "cache"))

    first = prepare_source(networks(), file_source(listed(path)), SECOND)
    renamed = listed(path.rename(tmp_path / "other.mkv"), "a beep")
    later = networks()
    with monkeypatch.context() as patched:
        patched.setattr(prepare_module, "read_recording", pytest.fail)
        again = prepare_source(later, file_source(renamed), SECOND)
    assert not {PartKind.VAE, PartKind.SYNCHFORMER} & set(later.placed)
    assert again.left_out == ("other.mkv at 1 s: silent",) and again.digest == first.digest
    assert [piece.recording for piece in again.pieces] == ["other.mkv"] * 2
    for a, b in zip(first.pieces, again.pieces, strict=True):
        assert (a.start, b.caption) == (b.start, "a beep")
        for name in ("clip", "sync", "motion", "text", "duration"):
            one, other = getattr(a.features, name), getattr(b.features, name)
            same = torch.equal(one, other) if isinstance(one, Tensor) else one == other
            assert same is (name != "text"), name
        assert torch.equal(a.latents.mean, b.latents.mean)
        assert torch.equal(a.latents.std, b.latents.std)
        assert torch.equal(a.spectrogram, b.spectrogram)
        assert a.frames is not None and b.frames is not None and torch.equal(a.frames, b.frames)
    longer = replace(SECOND, length=Fraction(3))
    assert len(prepare_source(networks(), file_source(renamed), longer).pieces) == 1
    film(tmp_path, "other", tone(1, 200, -20))
    assert len(prepare_source(networks(), file_source(renamed), SECOND).pieces) == 1


def test_what_the_cache_has_lost_is_made_again(tmp_path: Path) -> None:
    path, folder = film(tmp_path, "beep", tone(1, 440, -20)), tmp_path / "cache"

    def clip_features() -> Tensor:
        networks = MemoryNetworks(feature_cache=FeatureCache(folder=folder))
        (piece,) = prepare_source(networks, file_source(listed(path)), SECOND).pieces
        assert piece.features.clip is not None
        return piece.features.clip

    first = clip_features()
    for kept in sorted(folder.rglob("*.safetensors")):
        if "features" in load_file(kept):  # not that of the recording
            kept.write_bytes(b"damaged")
    assert torch.equal(clip_features(), first)


def test_frames_of_a_piece_are_kept_to_look_at(tmp_path: Path) -> None:
    recording = read_recording(listed(film(tmp_path, "beep", tone(2, 440, -20))))
    first, second = prepare_recording(NETWORKS, recording, SECOND).pieces
    assert first.frames is not None and second.frames is not None
    assert numbers(first.frames.permute(0, 3, 1, 2)) == [3, 9, 15, 21]
    assert numbers(second.frames.permute(0, 3, 1, 2)) == [28, 34, 40, 46]


def test_a_short_sound_is_followed_by_silence_and_a_short_film_is_left_out(tmp_path: Path) -> None:
    sound = noise(1, RATE // 2) / 8
    audio = Audio(waveforms=sound[None], sample_rate=RATE)
    alone = Recording(name="x", caption="noise", sound=audio)
    (piece,) = prepare_recording(NETWORKS, alone, SECOND).pieces
    padded = replace(audio, waveforms=torch.nn.functional.pad(audio.waveforms, (0, RATE // 2)))
    assert torch.equal(piece.latents.mean, encode(NETWORKS, padded, Fraction(1)))
    assert piece.features.clip is None and piece.features.sync is None
    short = read_recording(listed(film(tmp_path, "short", sound)))
    with pytest.raises(MMAudioError, match=r"is 0.48 s long, expected at least 1 s for pieces of"):
        prepare_recording(NETWORKS, short, SECOND)
    click = replace(alone, sound=replace(audio, waveforms=audio.waveforms[..., : RATE // 25]))
    with pytest.raises(MMAudioError, match=r"is 0.04 s long, expected at least 0.05 s for pieces"):
        prepare_recording(NETWORKS, click, SECOND)


@pytest.mark.parametrize("overlap", [1, 9, -1])
def test_pieces_that_share_all_of_it_are_refused(overlap: int) -> None:
    with pytest.raises(MMAudioError, match=f"an overlap of {overlap} s for pieces of 1 s"):
        PieceOptions(length=Fraction(1), overlap=Fraction(overlap))


def test_recordings_are_brought_to_one_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []

    def keep(_networks: object, audio: Audio, *_: object) -> Posterior:
        measured.append(integrated_loudness(audio.waveforms[0], audio.sample_rate))
        return Posterior(mean=torch.zeros(1, 32, 20), std=torch.zeros(1, 32, 20))

    monkeypatch.setattr(prepare_module, "encode_posterior", keep)
    for gain in (0.01, 0.1):
        audio = Audio(waveforms=gain * noise(1, 1, RATE), sample_rate=RATE)
        recording = Recording(name="x", caption="", sound=audio)
        prepare_recording(NETWORKS, recording, replace(SECOND, loudness=-23.0))
        prepare_recording(NETWORKS, recording, SECOND)
    assert measured[0] == pytest.approx(-23, abs=0.3)
    assert measured[2] == pytest.approx(-23, abs=0.3)
    assert measured[3] - measured[1] == pytest.approx(20, abs=0.1)


def test_voices_are_left_out_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(waveform: Tensor, _rate: int) -> VoiceResult:
        return VoiceResult(share=0.4 if waveform[0, 0] > 0 else 0.0)

    monkeypatch.setattr(prepare_module, "find_voice", find)
    sound = noise(1, 1, 2 * RATE) / 8
    sound[..., 0], sound[..., RATE] = -0.1, 0.1
    recording = Recording(name="x", caption="", sound=Audio(waveforms=sound, sample_rate=RATE))
    assert len(prepare_recording(NETWORKS, recording, SECOND).pieces) == 2
    prepared = prepare_recording(NETWORKS, recording, replace(SECOND, skip_voices=True))
    assert [piece.start for piece in prepared.pieces] == [0]
    assert prepared.left_out == ("x at 1 s: a voice is heard in 40% of it",)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("broken.mp4", b"nothing", "cannot be opened"), ("empty.wav", b"", "cannot be opened")],
)
def test_files_that_are_no_recordings_are_told(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=words):
        read_recording(listed(tmp_path / name))
    write_video(tmp_path / "silent.mp4", steady(30, 25))
    with pytest.raises(MediaError, match="holds no sound track"):
        read_recording(listed(tmp_path / "silent.mp4"))


def made(name: str, digest: str, pieces: int = 2, caption: str = "a sound") -> PreparedRecording:
    shape = (1, 5, 20)
    features = Features(
        duration=Fraction(1), clip=None, sync=None, text=torch.zeros(1), negative=torch.zeros(1)
    )
    return PreparedRecording(
        name=name,
        caption=caption,
        digest=digest,
        pieces=tuple(
            Piece(
                recording=name,
                start=Fraction(number),
                caption=caption,
                spectrogram=torch.zeros(96, 256, dtype=torch.uint8),
                latents=Posterior(mean=torch.full(shape, float(number)), std=torch.ones(shape)),
                features=features,
            )
            for number in range(pieces)
        ),
        left_out=(),
    )


def test_whole_recordings_are_held_out_by_their_sound() -> None:
    recordings = [made(name, digest) for name, digest in zip("abcdef", "3f2b91", strict=True)]
    split = split_recordings(recordings, 0.3)
    assert {piece.recording for piece in split.held_out} == {"f", "c"}  # digests 1 and 2
    assert {piece.recording for piece in split.training} == set("abde")
    assert len(split.held_out) == 4
    renamed = [replace(r, name=r.name.upper()) for r in reversed(recordings)]
    again = split_recordings(renamed, 0.3)
    assert {piece.recording for piece in again.held_out} == {"f", "c"}  # pieces keep their names
    assert again.digest == split.digest
    other = [replace(recordings[0], caption="another"), *recordings[1:]]
    assert split_recordings(other, 0.3).digest != split.digest


@pytest.mark.parametrize(("share", "count", "held"), [(0.0, 5, 0), (0.1, 2, 1), (0.5, 1, 0)])
def test_one_recording_at_least_is_learned(share: float, count: int, held: int) -> None:
    recordings = [made(str(n), str(n)) for n in range(count)] + [made("empty", "0", 0)]
    split = split_recordings(recordings, share)
    assert len({piece.recording for piece in split.held_out}) == held
    assert len({piece.recording for piece in split.training}) == count - held


def test_conditions_are_dropped_independently_and_latents_drawn() -> None:
    pieces = made("a", "1", 4).pieces
    examples = draw_examples(pieces, copies=1000, drop_picture=0.1, drop_text=0.3, seed=1)
    assert len(examples) == 4000
    assert [example.piece.start for example in examples[:5]] == [0, 1, 2, 3, 0]
    without = {
        (picture, text): sum(e.picture is picture and e.text is text for e in examples) / 4000
        for picture in (False, True)
        for text in (False, True)
    }
    expected = {
        (False, False): 0.03,
        (False, True): 0.07,
        (True, False): 0.27,
        (True, True): 0.63,
    }
    assert without == pytest.approx(expected, abs=0.02)
    drawn = torch.stack([e.latents for e in examples if e.piece is pieces[3]])
    assert drawn.mean() == pytest.approx(3, abs=0.02)
    assert drawn.std() == pytest.approx(1, abs=0.02)
    again = draw_examples(pieces, copies=2, drop_picture=0.1, drop_text=0.3, seed=1)
    assert all(torch.equal(a.latents, b.latents) for a, b in zip(again, examples, strict=False))
    other = draw_examples(pieces, copies=1, seed=2)
    assert not torch.equal(other[0].latents, examples[0].latents)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_the_folder_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    listing = list_recordings(tmp_path)
    assert not listing.files
    assert listing.left_out == ("pipe.wav: no regular file",)
