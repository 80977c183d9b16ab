"""ComfyUI's model nodes on our MODEL, each against its formula or a reference."""

from __future__ import annotations

from .conftest import Inside

EXACT = 1e-5


def test_easycache_and_lazycache_skip_steps(inside: Inside) -> None:
    results = inside("contract")("caches")
    for name in ("EasyCacheNode", "LazyCacheNode"):
        off, some, more = (results[f"{name} {threshold}"] for threshold in (0.0, 0.05, 0.2))
        assert (off["calls"], off["told"]) == (25, 0)
        assert off["error"] < EXACT
        assert 25 > some["calls"] > more["calls"], results
        assert some["calls"] + some["told"] == more["calls"] + more["told"] == 25, results
        assert EXACT < some["error"] < more["error"] < 0.2, results


def test_the_compiled_network_is_one_graph(inside: Inside) -> None:
    found = inside("contract")("compiled")
    assert found["error"] < EXACT, found
    assert found["breaks"] == {}
    assert found["graphs"] == 1, found


def test_nag_is_its_formula(inside: Inside) -> None:
    errors = inside("contract")("nag")
    if "missing" in errors:
        return  # ComfyUI 0.8.0 has no such node
    assert errors["plain"] < EXACT, errors
    assert errors["formula"] < EXACT, errors
    assert min(errors["other alpha"], errors["effect"]) > 1e-3, errors


def test_skipped_layers_are_a_network_without_them(inside: Inside) -> None:
    results = inside("contract")("skip_layers")
    for name in ("double", "single", "both"):
        assert results[name]["formula"] < EXACT, results
        assert results[name]["simple"] < EXACT, results
        assert results[name]["effect"] > 1e-3, results


def test_a_replaced_block_may_change_the_text(inside: Inside) -> None:
    found = inside("contract")("replaced_block")
    assert found["error"] < EXACT, found
    assert found["effect"] > 1e-3, found


def test_what_blocks_attend_may_be_patched(inside: Inside) -> None:
    found = inside("contract")("attention_output_patch")
    assert found["error"] < EXACT, found
    assert found["effect"] > 1e-3, found


def test_attention_may_be_overridden_in_every_block(inside: Inside) -> None:
    found = inside("contract")("attention_override")
    assert found["error"] < EXACT
    assert [found["double"], found["single"]] == found["blocks"]
    assert len(found["heads"]) == 1


def test_two_models_guide_each_other_if_their_latents_agree(inside: Inside) -> None:
    found = inside("contract")("dual_model")
    if "missing" in found:
        return  # ComfyUI 0.8.0 has no such node
    assert found["formula"] < EXACT, found
    assert found["effect"] > 1e-3, found
    assert "normalized differently" in found["said"]
    assert found["calls"] == 0  # refused before sampling


def test_context_windows_are_refused_before_sampling(inside: Inside) -> None:
    found = inside("contract")("context_windows")
    assert "Context Windows" in found["said"]
    assert "MMAudio Long Form" in found["said"]
    assert found["calls"] == 0
    assert found["longer"] == 0.0  # one window that holds everything


def test_clones_have_weights_of_their_own(inside: Inside) -> None:
    results = inside("contract")("clones")
    for name in {"disable_dynamic", "force_deepcopy", "multigpu"} & results.keys():
        assert results[name]["error"] < EXACT, results
    for name in {"force_deepcopy", "multigpu"} & results.keys():
        assert results[name]["own weights"], results
    assert results["models"][0] is True
    assert results["with the VAE"] >= 2
