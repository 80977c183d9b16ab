"""Colors as the encoders see them: as recorded from ffmpeg, in any range and gamut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmaudio_core.media import color, decode, open_source

from ..golden_files import golden
from .color_cases import (
    BT709,
    BT2020,
    CASES,
    HLG,
    PQ,
    UNSPECIFIED,
    synthetic_picture,
    write_clip,
)
from .color_table import ours, sample


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return golden("color")[0]


@pytest.mark.parametrize("title", CASES)
def test_colors_are_ffmpegs(title: str, expected: dict[str, torch.Tensor], tmp_path: Path) -> None:
    got = sample(ours(write_clip(tmp_path / "a.mkv", CASES[title]))[0])
    errors = abs(got.astype(int) - expected[title].numpy())
    assert errors.mean((0, 1)).max() < 1
    assert np.percentile(errors, 95) <= 3


def test_the_light_metadata_counts(expected: dict[str, torch.Tensor]) -> None:
    """The same picture, told to reach 1000 (the default), 2000 and 4000 cd/m2."""
    names = ("PQ, 10 bit", "PQ, content up to 2000 cd/m2", "PQ, display of 4000 cd/m2")
    means = [expected[name].float().mean().item() for name in names]
    assert means[0] > means[1] + 2 > means[2] + 3


def test_sdr_in_bt709_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also BT.601 and what is not told: their features stay bit for bit."""
    monkeypatch.setattr(decode, "SdrConverter", None)
    for title, case in CASES.items():
        if not case.is_converted:
            frame = next(open_source(write_clip(tmp_path / "a.mkv", case)).frames())
            assert frame.rgb().shape == (*case.size[::-1], 3), title


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_gray_stays_gray_and_ascends(transfer: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256)[None, None, :, None].repeat(16, 1).repeat(3, 3)
    case = replace(CASES["PQ, GBR, 10 bit"], transfer=transfer)
    row = ours(write_clip(tmp_path / "a.mkv", case, ramp))[0, 0].astype(int)
    assert (abs(row - row[:, :1]) <= 1).all()
    assert (np.diff(row[:, 0]) >= 0).all()
    assert row[0, 0] == 0 and row[-1, 0] == 255


def test_hdr_without_its_matrix_and_primaries_is_taken_for_bt2020(tmp_path: Path) -> None:
    """ffv1 in Matroska stores no tag that is unspecified."""
    told = CASES["PQ, 10 bit"]
    pixels = synthetic_picture(*told.size)[None]
    untold = replace(told, matrix=UNSPECIFIED, primaries=UNSPECIFIED)
    write_clip(tmp_path / "a.mkv", told, pixels)
    write_clip(tmp_path / "b.mkv", untold, pixels, coded_as=BT2020)
    assert np.array_equal(ours(tmp_path / "b.mkv"), ours(tmp_path / "a.mkv"))


def test_large_pictures_are_converted_in_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mkv", CASES["HLG, 10 bit"])
    whole = ours(path)
    monkeypatch.setattr(color, "_PIXELS_AT_ONCE", 192 * 7)
    assert np.array_equal(ours(path), whole)
    monkeypatch.setattr(color, "_PIXELS_AT_ONCE", 1)
    assert np.array_equal(ours(path), whole)


def test_primaries_without_a_matrix_of_theirs_count_as_bt709() -> None:
    wide = color.SdrConverter(color.FrameColor(PQ, 22))
    assert torch.equal(
        wide._matrix,  # pyright: ignore[reportPrivateUsage]
        color.SdrConverter(color.FrameColor(PQ, BT709))._matrix,  # pyright: ignore[reportPrivateUsage]
    )
