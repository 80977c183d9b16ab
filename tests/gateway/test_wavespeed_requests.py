"""What WaveSpeed's API takes: every input, and anything else that is sent; no ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from .fuzz import FUZZ, json_values
from .stand_in import StandIn, jobs, serve
from .wavespeed import MODEL, VIDEO, call, prediction, refusal, submit

LARGEST = {"duration": 30, "num_inference_steps": 50, "guidance_scale": 20}
SMALLEST = {"duration": 1, "num_inference_steps": 4, "guidance_scale": 0}
FIELDS = (
    "video",
    "prompt",
    "negative_prompt",
    "num_inference_steps",
    "duration",
    "guidance_scale",
    "mask_away_clip",
    "enable_sync_mode",
)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("wavespeed", sync_seconds=0.1) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(stand_in: StandIn) -> None:
    stand_in.created.clear()
    stand_in.refuse = None


def test_defaults_are_those_of_the_page(stand_in: StandIn) -> None:
    prediction(submit(stand_in))
    (made,) = stand_in.created
    spec = made.spec
    assert (spec.service, spec.model) == ("wavespeed", MODEL)
    assert (spec.prompt, spec.negative_prompt) == ("waves", "")
    assert (spec.duration, spec.steps, spec.cfg) == (8, 25, 4.5)
    assert (spec.takes, spec.start_offset, spec.mask_away_clip) == (1, 0, False)
    assert spec.outputs == (jobs.Output.VIDEO,)
    assert spec.webhook is None and not spec.auto_prompt and not spec.must_fit and spec.has_video
    assert made.video == VIDEO
    assert (made.rules.field, made.rules.data_uri, made.rules.http) == ("video", True, True)


def test_every_field_arrives(stand_in: StandIn) -> None:
    inputs = {
        "negative_prompt": "music",
        "num_inference_steps": 7,
        "duration": 3,
        "guidance_scale": 1.5,
        "mask_away_clip": True,
        "unknown": {"is": "ignored"},
    }
    prediction(submit(stand_in, **inputs))
    spec = stand_in.created[0].spec
    assert (spec.negative_prompt, spec.steps, spec.duration) == ("music", 7, 3)
    assert (spec.cfg, spec.mask_away_clip) == (1.5, True)
    assert "unknown" not in spec.input and spec.input["prompt"] == "waves"


def test_seeds_are_random(stand_in: StandIn) -> None:
    for _ in range(4):
        prediction(submit(stand_in, seed=5))  # WaveSpeed has no such input
    assert len({made.spec.seed for made in stand_in.created}) > 1


@pytest.mark.parametrize("inputs", [SMALLEST, LARGEST], ids=["smallest", "largest"])
def test_boundaries_are_accepted(stand_in: StandIn, inputs: dict[str, Any]) -> None:
    prediction(submit(stand_in, **inputs, prompt="p" * 4000, negative_prompt="n" * 4000))
    spec = stand_in.created[0].spec
    got = (spec.duration, spec.steps, spec.cfg)
    assert got == (inputs["duration"], inputs["num_inference_steps"], inputs["guidance_scale"])


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("duration", "25", 25),
        ("duration", 25.0, 25),
        ("num_inference_steps", "25", 25),
        ("num_inference_steps", 25.0, 25),
        ("guidance_scale", "4.5", 4.5),
        ("mask_away_clip", "true", True),
        ("prompt", "", ""),
    ],
)
def test_lax_spellings_are_read(stand_in: StandIn, field: str, value: Any, read: Any) -> None:
    prediction(submit(stand_in, **{field: value}))
    names = {"num_inference_steps": "steps", "guidance_scale": "cfg"}
    assert getattr(stand_in.created[0].spec, names.get(field, field)) == read


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("video", 5),
        ("video", None),
        ("video", ["a"]),
        ("prompt", 5),
        ("prompt", None),
        ("prompt", "p" * 4001),
        ("prompt", "\ud800"),
        ("negative_prompt", {}),
        ("negative_prompt", "n" * 4001),
        ("num_inference_steps", 3),
        ("num_inference_steps", 51),
        ("num_inference_steps", 25.5),
        ("num_inference_steps", True),
        ("num_inference_steps", "many"),
        ("num_inference_steps", None),
        ("duration", 0),
        ("duration", 31),
        ("duration", 8.5),
        ("duration", "8.5"),
        ("duration", True),
        ("guidance_scale", -0.1),
        ("guidance_scale", 20.1),
        ("guidance_scale", False),
        ("guidance_scale", "NaN"),
        ("guidance_scale", [4.5]),
        ("mask_away_clip", 2),
        ("mask_away_clip", "perhaps"),
        ("enable_sync_mode", "perhaps"),
    ],
)
def test_wrong_values_are_refused_by_name(stand_in: StandIn, field: str, value: Any) -> None:
    body = {"video": VIDEO, "prompt": "waves", field: value}
    assert refusal(call(stand_in, "POST", MODEL, data=json.dumps(body)), 400).startswith(field)
    assert not stand_in.created


@pytest.mark.parametrize("missing", ["video", "prompt"])
def test_required_inputs_are_required(stand_in: StandIn, missing: str) -> None:
    body = {"video": VIDEO, "prompt": "waves"}
    del body[missing]
    assert missing in refusal(call(stand_in, "POST", MODEL, json=body), 400)


def test_the_input_is_kept_as_it_was_sent(stand_in: StandIn) -> None:
    url = f"https://a.example/{'long' * 200}.mp4"
    prediction(submit(stand_in, video=url, prompt="p" * 3000, duration="5"))
    assert stand_in.created[0].spec.input == {"video": url, "prompt": "p" * 3000, "duration": "5"}
    prediction(submit(stand_in, video="data:video/mp4;base64," + "A" * 100_000))
    assert len(stand_in.created[1].spec.input["video"]) < 300
    assert len(stand_in.created[1].video or "") > 100_000


def test_a_webhook_is_in_the_query(stand_in: StandIn) -> None:
    prediction(submit(stand_in, "?webhook=https%3A%2F%2Fb.example%2Fhook%3Fa%3D1"))
    hook = stand_in.created[0].spec.webhook
    assert (hook.url, hook.secret, hook.timeout) == ("https://b.example/hook?a=1", None, 15)
    prediction(submit(stand_in, "?webhook="))
    assert stand_in.created[1].spec.webhook is None


# anything


def answered(response: requests.Response) -> None:
    """A prediction, or an error of the client's in WaveSpeed's shape."""
    if response.status_code == 200:
        prediction(response)
    else:
        refusal(response, response.status_code)
        assert 400 <= response.status_code < 500


@FUZZ
@given(st.dictionaries(st.sampled_from(FIELDS[:-1]), json_values))
def test_any_input_is_answered(stand_in: StandIn, inputs: dict[str, Any]) -> None:
    body = {"video": VIDEO, "prompt": "waves"} | inputs
    answered(call(stand_in, "POST", MODEL, data=json.dumps(body)))


@FUZZ
@given(st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_answered(stand_in: StandIn, body: bytes) -> None:
    for path in (MODEL, "media/uploads"):
        answered(call(stand_in, "POST", path, data=body))


@FUZZ
@given(st.text(max_size=40))
def test_any_id_is_answered(stand_in: StandIn, text: str) -> None:
    path = quote(text, safe="", errors="replace")
    answered(call(stand_in, "GET", f"predictions/{path}/result"))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"video": NaN}', b"\xff", b"", b"null", b"[]"])
def test_bodies_that_are_no_object(stand_in: StandIn, body: bytes) -> None:
    refusal(call(stand_in, "POST", MODEL, data=body), 400)
