"""The table in docs/model-nodes.md: ComfyUI's nodes for a MODEL, tried on ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Inside

EXACT = 1e-4
NOTHING, CHANGES = "changes nothing", "changes the result"
OUTCOMES = {
    "CFGNorm": CHANGES,
    "DifferentialDiffusion": NOTHING,  # without a mask
    "EpsilonScaling": CHANGES,
    "FreeU": "KeyError: 'model_channels'",
    "FreeU_V2": "KeyError: 'model_channels'",
    "FreSca": NOTHING,
    "HyperTile": NOTHING,
    "Mahiro": CHANGES,
    "ModelAttentionBackend": NOTHING,  # torch's attention is what it uses without
    "ModelComputeDtype": CHANGES,
    "ModelNoiseScale": CHANGES,
    "ModelSamplingAuraFlow": CHANGES,
    "ModelSamplingDiscrete": "MMAudioNodeError: got a model whose sampling",
    "ModelSamplingFlux": CHANGES,
    "ModelSamplingSD3": CHANGES,
    "PatchModelAddDownscale": NOTHING,
    "PerturbedAttentionGuidance": NOTHING,
    "RenormCFG": "AttributeError: 'ComfyFlowNetwork' object has no attribute 'in_channels'",
    "ScaleROPE": NOTHING,
    "SelfAttentionGuidance": "AttributeError: 'NoneType' object has no attribute 'shape'",
    "SkipLayerGuidanceSD3": CHANGES,
    "TCFG": CHANGES,
    "TemporalScoreRescaling": CHANGES,
    "TomePatchModel": "TypeError: 'NoneType' object is not callable",
    "UNetCrossAttentionMultiply": NOTHING,
    "UNetSelfAttentionMultiply": NOTHING,
    "VideoLinearCFGGuidance": CHANGES,
    "VideoTriangleCFGGuidance": CHANGES,
}


def test_what_other_nodes_do(inside: Inside) -> None:
    outcomes = inside("model_nodes")("outcomes")
    assert set(OUTCOMES) - set(outcomes) <= {"ModelAttentionBackend", "ModelNoiseScale"}  # in 0.8.0
    for name, outcome in outcomes.items():
        assert outcome.startswith(OUTCOMES[name]), (name, outcome)
    assert inside("model_nodes")("afterwards") == 0


@pytest.mark.parametrize("name", ["SD3", "AuraFlow", "Flux"])
def test_shifted_schedules(inside: Inside, name: str) -> None:
    found = inside("model_nodes")("shift")[f"ModelSampling{name}"]
    assert found["sigmas"] < 1e-3, found  # of a table with 1000 entries
    assert found["linear"] == 0, found


@pytest.mark.parametrize("name", ["subtract", "add", "blocks"])
def test_merged_models(inside: Inside, name: str) -> None:
    found = inside("model_nodes")("merge_arithmetic")[name]
    assert found["error"] < EXACT < found["effect"], found


def test_every_sampler_ends_finite(inside: Inside) -> None:
    found = inside("model_nodes")("samplers")
    assert found["not"] == []
    assert len(found["finite"]) == found["all"] > 30


def test_the_table_names_tests_that_exist() -> None:
    here = Path(__file__).parent
    lines = (here.parents[1] / "docs" / "model-nodes.md").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and "test in `tests" not in line]
    assert len(rows) > 20
    for row in rows:
        tests = [cell for cell in row.split("`") if "::" in cell]
        assert tests, row
        for file, name in (test.split("::") for test in tests):
            assert f"def {name}(" in (here / file).read_text("utf-8"), name
    assert {name for name in OUTCOMES if not any(name in row for row in rows)} == set()
