"""What Eachlabs' API takes: every input, and anything else that is sent; no ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from .eachlabs import VIDEO, call, create, created, refusal
from .fuzz import FUZZ, json_values
from .stand_in import StandIn, jobs, serve

LARGEST = {"duration": 30, "num_steps": 50, "cfg_strength": 20, "seed": 2**64 - 1}
SMALLEST = {"duration": 1, "num_steps": 4, "cfg_strength": 0, "seed": 0}
FIELDS = (
    "video",
    "prompt",
    "negative_prompt",
    "duration",
    "num_steps",
    "cfg_strength",
    "seed",
)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("eachlabs") as running:
        yield running


@pytest.fixture(autouse=True)
def clean(stand_in: StandIn) -> None:
    stand_in.created.clear()
    stand_in.refuse = None


@pytest.mark.parametrize("path", ["prediction/", "prediction"])
def test_defaults_are_those_of_the_page(stand_in: StandIn, path: str) -> None:
    body = {"model": "mmaudio", "input": {"video": VIDEO}}
    assert created(call(stand_in, "POST", path, json=body)) in stand_in.jobs
    (made,) = stand_in.created
    spec = made.spec
    assert (spec.service, spec.model) == ("eachlabs", "mmaudio")
    assert (spec.prompt, spec.negative_prompt) == ("", "music")
    assert (spec.duration, spec.steps, spec.cfg) == (8, 25, 4.5)
    assert (spec.takes, spec.start_offset, spec.mask_away_clip) == (1, 0, False)
    assert spec.outputs == (jobs.Output.VIDEO,)
    assert spec.webhook is None and not spec.auto_prompt and not spec.must_fit and spec.has_video
    assert made.video == VIDEO
    assert (made.rules.field, made.rules.data_uri, made.rules.http) == ("input.video", False, False)


def test_every_field_arrives(stand_in: StandIn) -> None:
    inputs = {
        "prompt": "waves",
        "negative_prompt": "",
        "duration": 2.5,
        "num_steps": 7,
        "cfg_strength": 1.5,
        "seed": 5,
        "mask_away_clip": True,  # Eachlabs has no such input
    }
    created(create(stand_in, {"version": "0.0.1"}, **inputs))
    spec = stand_in.created[0].spec
    assert (spec.prompt, spec.negative_prompt, spec.duration) == ("waves", "", 2.5)
    assert (spec.steps, spec.cfg, spec.seed, spec.mask_away_clip) == (7, 1.5, 5, False)


def test_seeds_are_random(stand_in: StandIn) -> None:
    for seed in ({}, {}, {"seed": None}, {"seed": None}):
        created(create(stand_in, **seed))
    assert len({made.spec.seed for made in stand_in.created}) > 1


@pytest.mark.parametrize("inputs", [SMALLEST, LARGEST], ids=["smallest", "largest"])
def test_boundaries_are_accepted(stand_in: StandIn, inputs: dict[str, Any]) -> None:
    created(create(stand_in, **inputs, prompt="p" * 4000, negative_prompt="n" * 4000))
    spec = stand_in.created[0].spec
    assert (spec.duration, spec.steps, spec.cfg, spec.seed) == tuple(inputs.values())


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("duration", "8.5", 8.5),
        ("num_steps", "25", 25),
        ("num_steps", 25.0, 25),
        ("cfg_strength", "4.5", 4.5),
        ("seed", "7", 7),
    ],
)
def test_lax_spellings_are_read(stand_in: StandIn, field: str, value: Any, read: Any) -> None:
    created(create(stand_in, **{field: value}))
    names = {"num_steps": "steps", "cfg_strength": "cfg"}
    assert getattr(stand_in.created[0].spec, names.get(field, field)) == read


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("video", 5),
        ("video", None),
        ("prompt", 5),
        ("prompt", None),
        ("prompt", "p" * 4001),
        ("prompt", "\ud800"),
        ("negative_prompt", {}),
        ("negative_prompt", "n" * 4001),
        ("duration", 0.9),
        ("duration", 30.1),
        ("duration", True),
        ("duration", "Infinity"),
        ("num_steps", 3),
        ("num_steps", 51),
        ("num_steps", 25.5),
        ("num_steps", True),
        ("cfg_strength", -0.1),
        ("cfg_strength", 20.1),
        ("cfg_strength", False),
        ("cfg_strength", "nan"),
        ("seed", -1),
        ("seed", 2**64),
        ("seed", 1.5),
        ("seed", True),
    ],
)
def test_wrong_values_are_refused_by_name(stand_in: StandIn, field: str, value: Any) -> None:
    body = refusal(create(stand_in, **{field: value}), 400)
    assert body["message"].startswith(f"input.{field}: ")
    assert body["details"] == "invalid_input"
    assert not stand_in.created


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"model": "mmaudio"}, "input: "),
        ({"model": "mmaudio", "input": {}}, "input.video: "),
        ({"model": "mmaudio", "input": "video"}, "input: "),
        ({"input": {"video": VIDEO}}, "model: "),
        ({"model": 5, "input": {"video": VIDEO}}, "model: "),
        ({"model": "mmaudio", "input": {"video": VIDEO}, "webhook_url": 5}, "webhook_url: "),
        (
            {"model": "mmaudio", "input": {"video": VIDEO}, "webhook_url": "w" * 2001},
            "webhook_url: ",
        ),
        ({"model": "mmaudio", "input": {"video": VIDEO}, "webhook_secret": []}, "webhook_secret: "),
        ([], "Input should be"),
        (None, "Input should be"),
    ],
)
def test_wrong_bodies_are_refused(stand_in: StandIn, body: Any, said: str) -> None:
    response = call(stand_in, "POST", "prediction/", data=json.dumps(body))
    assert refusal(response, 400)["message"].startswith(said)


def test_another_model_is_not_found(stand_in: StandIn) -> None:
    body = {"model": "flux", "input": {"aspect_ratio": "16:9"}}
    said = refusal(call(stand_in, "POST", "prediction", json=body), 404)
    assert said["details"] == "not_found" and "'flux'" in said["message"]


def test_a_webhook_and_its_secret(stand_in: StandIn) -> None:
    hook = {"webhook_url": "https://b.example/hook", "webhook_secret": "mine"}
    created(create(stand_in, hook))
    created(create(stand_in, {"webhook_url": "https://b.example/hook", "webhook_secret": None}))
    created(create(stand_in, {"webhook_url": "", "webhook_secret": "mine"}))
    first, second, third = (made.spec.webhook for made in stand_in.created)
    assert (first.url, first.secret, first.timeout) == ("https://b.example/hook", "mine", 30)
    assert (second.url, second.secret, second.field) == (first.url, None, "webhook_url")
    assert third is None


# anything


def answered(response: requests.Response) -> None:
    """A new prediction, or an error of the client's in Eachlabs' shape."""
    if response.status_code == 200:
        created(response)
    else:
        refusal(response, response.status_code)
        assert 400 <= response.status_code < 500


@FUZZ
@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_input_is_answered(stand_in: StandIn, inputs: dict[str, Any]) -> None:
    answered(create(stand_in, **inputs))


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(["model", "input", "webhook_url", "webhook_secret"]), json_values
    )
)
def test_any_field_of_the_body_is_answered(stand_in: StandIn, others: dict[str, Any]) -> None:
    answered(create(stand_in, others))


@FUZZ
@given(st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_answered(stand_in: StandIn, body: bytes) -> None:
    answered(call(stand_in, "POST", "prediction", data=body))


@FUZZ
@given(st.text(min_size=1, max_size=40))
def test_any_id_is_answered(stand_in: StandIn, text: str) -> None:
    response = call(stand_in, "GET", f"prediction/{quote(text, safe='', errors='replace')}")
    refusal(response, response.status_code)
    assert response.status_code in (404, 405)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"model": NaN}', b"\xff", b""])
def test_bodies_that_are_no_json(stand_in: StandIn, body: bytes) -> None:
    refusal(call(stand_in, "POST", "prediction/", data=body), 400)
