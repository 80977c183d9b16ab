"""What ``dev.py bench`` is told arrives at the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import options, weights
from bench.options import Size, bench_arguments, bench_parser
from bench.stages import Stage, phases


def test_options_are_passed_on(tmp_path: Path) -> None:
    given = [
        "--device=cpu",
        f"--reference={tmp_path}",
        "--json=out.json",
        "--stages=sampler,media",
        "--seconds=8,30",
        "--takes=1,4",
        "--made=1920x1080",
        "--compared-precision=fp32",
    ]
    parsed = bench_parser().parse_args(given)
    assert bench_parser().parse_args(bench_arguments(parsed)) == parsed
    assert parsed.stages == (Stage.MEDIA, Stage.SAMPLER)
    assert parsed.made == Size(1920, 1080)
    assert parsed.json.is_absolute()


@pytest.mark.parametrize(
    "given",
    ["--stages=sampling", "--takes=0", "--seconds=long", "--made=1920", "--reference=/no/such"],
)
def test_wrong_options_are_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_parser().parse_args([given])
    assert given.partition("=")[0] in capsys.readouterr().err


def test_every_published_variant_can_be_chosen() -> None:
    assert options.VARIANTS == weights.CHOICES


def test_stages_share_processes_in_order() -> None:
    assert phases([Stage.SAMPLER, Stage.MUX, Stage.MEDIA]) == [
        (Stage.MEDIA, Stage.MUX),
        (Stage.SAMPLER,),
    ]
    assert sorted(stage for phase in phases(tuple(Stage)) for stage in phase) == sorted(Stage)
