"""The demo's options survive the way from ``dev.py`` into the virtual environment."""

from __future__ import annotations

import pytest

from dev.options import demo_parser, to_arguments


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["clip.mp4"],
        ["--prompt", "", "--out", "some where"],
        ["--prompt=--rain", "--model", "small_16k", "--download", "--serve", "--", "-clip.mp4"],
    ],
)
def test_options_are_passed_on(given: list[str]) -> None:
    options = demo_parser().parse_args(given)
    assert demo_parser().parse_args(to_arguments(options)) == options


def test_paths_do_not_depend_on_the_working_directory() -> None:
    options = demo_parser().parse_args(["clip.mp4"])
    assert options.video.is_absolute()
    assert options.out.is_absolute()
