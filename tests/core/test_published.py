"""The table of published variants and their files."""

from __future__ import annotations

import pytest

from mmaudio_core.checkpoint.kinds import MODEL_PARTS
from mmaudio_core.checkpoint.published import DEFAULT_VARIANT, VARIANTS, files_for
from mmaudio_core.errors import MMAudioError


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_one_file_of_each_kind(variant: str) -> None:
    assert [file.kind for file in files_for(variant)] == list(MODEL_PARTS)


def test_the_default_is_a_variant() -> None:
    assert DEFAULT_VARIANT in VARIANTS


def test_a_variant_s_sample_rate_decides_its_decoders() -> None:
    assert [file.name for file in files_for("small_16k")[1:3]] == ["v1-16.pth", "best_netG.pt"]
    for variant in ("small_44k", "medium_44k", "large_44k", "large_44k_v2"):
        names = [file.name for file in files_for(variant)[1:3]]
        assert names == ["v1-44.pth", "bigvgan_generator.pt"]


def test_names_and_checksums_are_unique() -> None:
    files = {file for variant in VARIANTS for file in files_for(variant)}
    assert len(files) == len({file.name for file in files}) == 11
    sums = [file.md5 for file in files if file.md5 is not None]
    assert len(set(sums)) == len(sums) == 9
    assert all(len(md5) == 32 for md5 in sums)


def test_a_description_has_address_size_and_license() -> None:
    text = files_for("large_44k_v2")[0].describe()
    assert text == (
        "flow network: https://huggingface.co/hkchengrex/MMAudio/resolve/main/"
        "weights/mmaudio_large_44k_v2.pth"
        " (about 4.12 GB; CC-BY-NC 4.0: not for commercial use)"
    )
    assert "not for commercial use" not in files_for("large_44k_v2")[2].describe()


def test_an_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(MMAudioError, match=r"'large'.*small_16k, .*large_44k_v2"):
        files_for("large")
