"""WaveSpeed's API as it translates: every input, every answer, every error; no ComfyUI."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from .fuzz import FUZZ, json_values
from .stand_in import KEY, SECRET, StandIn, done, errors, failed, jobs, serve, services

MODEL = "wavespeed-ai/mmaudio-v2"
VIDEO = "https://a.example/clip.mp4"
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
State = jobs.State


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("wavespeed", sync_seconds=0.4, keep_alive_seconds=0.1) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(stand_in: StandIn) -> None:
    stand_in.created.clear()
    stand_in.refuse = None


def call(
    stand_in: StandIn, method: str, path: str, key: str | None = KEY, **options: Any
) -> requests.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return requests.request(
        method, f"{stand_in.url}/wavespeed/api/v3/{path}", headers=headers, timeout=20, **options
    )


def submit(stand_in: StandIn, query: str = "", **inputs: Any) -> requests.Response:
    body = {"video": VIDEO, "prompt": "waves", **inputs}
    return call(stand_in, "POST", f"{MODEL}{query}", json=body)


def refusal(response: requests.Response, status: int) -> str:
    """The message of an error, whose shape is checked."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"code", "message", "data"}
    assert body["code"] == status and body["data"] is None
    assert isinstance(body["message"], str) and body["message"]
    return body["message"]


def prediction(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"code", "message", "data"}
    assert (body["code"], body["message"]) == (200, "success")
    return body["data"]


# requests


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


# answers


def test_a_new_prediction(stand_in: StandIn) -> None:
    data = prediction(submit(stand_in))
    base = f"{stand_in.url}/wavespeed/api/v3/predictions"
    assert data == {
        "id": data["id"],
        "model": MODEL,
        "outputs": [],
        "urls": {"get": f"{base}/{data['id']}/result"},
        "has_nsfw_contents": [],
        "status": "created",
        "created_at": "2023-11-14T22:13:20.250Z",
        "error": "",
        "timings": {"inference": 0},
    }


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("received", "created"),
        ("fetching", "created"),
        ("queued", "created"),
        ("running", "processing"),
    ],
)
def test_unfinished_states(stand_in: StandIn, state: str, status: str) -> None:
    job = stand_in.add("wavespeed", MODEL, state=State(state))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert (data["status"], data["outputs"], data["error"]) == (status, [], "")


def test_a_finished_prediction_at_both_paths(stand_in: StandIn) -> None:
    job = stand_in.add("wavespeed", MODEL, **done("https://us.example/clip.mp4"))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert data == prediction(call(stand_in, "GET", f"predictions/{job.id}"))
    assert (data["status"], data["error"]) == ("completed", "")
    assert data["outputs"] == ["https://us.example/clip.mp4"]
    assert data["has_nsfw_contents"] == [False]
    assert data["timings"] == {"inference": 1500}


def test_a_cancelled_prediction(stand_in: StandIn) -> None:
    job = stand_in.add("wavespeed", MODEL, state=State.CANCELLED)
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert data["status"] == "cancelled" and "cancelled" in data["error"]
    assert data["outputs"] == data["has_nsfw_contents"] == []


@pytest.mark.parametrize("said", ["HTTP 500", "HTTP 503 Busy", "http 429", "Http 5", "status 429"])
def test_no_error_makes_a_client_submit_again(stand_in: StandIn, said: str) -> None:
    job = stand_in.add("wavespeed", MODEL, **failed(f"the server said {said}.", "video"))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert data["status"] == "failed"
    assert data["error"].startswith("video: the server said status ")
    assert "http 5" not in data["error"].lower()  # for the Python client, and the JavaScript one
    assert "429" not in data["error"]  # for the latter, wherever it is


def test_sync_mode_answers_at_the_end(stand_in: StandIn) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(submit, stand_in, enable_sync_mode=True)
        while not stand_in.created:
            time.sleep(0.01)
        time.sleep(0.15)
        stand_in.end(list(stand_in.jobs.values())[-1], done("https://us.example/clip.mp4"))
        response = answer.result(20)
    assert response.text.startswith(" ")  # proxies and clients see that something is coming
    data = prediction(response)
    assert (data["status"], data["outputs"]) == ("completed", ["https://us.example/clip.mp4"])
    assert "code" not in data


def test_sync_mode_ends_in_time(stand_in: StandIn) -> None:
    start = time.monotonic()
    data = prediction(submit(stand_in, enable_sync_mode=True))
    assert 0.4 <= time.monotonic() - start < 5
    assert (data["status"], data["code"]) == ("processing", 5004)
    assert data["error"] == "Sync mode timed out"
    later = prediction(call(stand_in, "GET", f"predictions/{data['id']}/result"))
    assert later["status"] == "created" and "code" not in later


def test_sync_mode_waits_300_seconds() -> None:
    kind = next(kind for kind in services.SERVICES if kind.name == "wavespeed")
    assert kind.sync_seconds == 300
    assert kind.keep_alive_seconds < 60  # nginx's patience


def test_a_client_that_leaves_in_sync_mode(
    stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(requests.RequestException):
        requests.post(
            f"{stand_in.url}/wavespeed/api/v3/{MODEL}",
            json={"video": VIDEO, "prompt": "", "enable_sync_mode": True},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=0.05,
        )
    time.sleep(0.6)
    assert not caplog.records  # it is no fault of the server's
    prediction(submit(stand_in))


def test_the_body_of_a_webhook(stand_in: StandIn) -> None:
    job = stand_in.add("wavespeed", MODEL, input={"prompt": "waves"}, **done("https://us/c.mp4"))
    data = prediction(call(stand_in, "GET", f"predictions/{job.id}/result"))
    assert stand_in.service.webhook_body(job) == data | {"input": {"prompt": "waves"}}


# uploads and the webhooks' secret


def test_an_upload_ticket(stand_in: StandIn) -> None:
    body = {"filename": "my clip.mp4", "size": 7, "content_type": "video/mp4"}
    data = prediction(call(stand_in, "POST", "media/uploads", json=body))
    assert stand_in.tickets[-1] == ("my clip.mp4", "video/mp4", 7)
    assert data == {
        "download_url": f"{stand_in.url}/files/f/a.mp4",
        "upload": {
            "method": "PUT",
            "url": f"{stand_in.url}/uploads/t",
            "headers": {"Content-Type": "video/mp4"},
        },
    }
    prediction(call(stand_in, "POST", "media/uploads", json={"filename": "a", "size": 1}))
    assert stand_in.tickets[-1] == ("a", None, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"size": 7},
        {"filename": "a"},
        {"filename": 5, "size": 7},
        {"filename": "a", "size": 0},
        {"filename": "a", "size": -1},
        {"filename": "a", "size": 1.5},
        {"filename": "a", "size": True},
        {"filename": "a", "size": 1, "content_type": 5},
        [],
    ],
)
def test_wrong_upload_tickets(stand_in: StandIn, body: Any) -> None:
    refusal(call(stand_in, "POST", "media/uploads", json=body), 400)


def test_the_secret_has_its_prefix(stand_in: StandIn) -> None:
    assert prediction(call(stand_in, "GET", "webhook/secret")) == {"secret": f"whsec_{SECRET}"}


# errors


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", MODEL),
        ("GET", "predictions/job-0/result"),
        ("GET", "predictions/job-0"),
        ("GET", "webhook/secret"),
        ("POST", "media/uploads"),
        ("GET", "nowhere"),
    ],
)
def test_every_path_asks_for_the_key(stand_in: StandIn, method: str, path: str) -> None:
    refusal(call(stand_in, method, path, key="wrong", json={}), 401)
    refusal(call(stand_in, method, path, key=None, json={}), 401)
    url = f"{stand_in.url}/wavespeed/api/v3/{path}"
    for other in (f"Key {KEY}", KEY, "Bearer", ""):
        headers = {"Authorization": other}
        refusal(requests.request(method, url, headers=headers, json={}, timeout=20), 401)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "wavespeed-ai/mmaudio-v3", 404),
        ("POST", "nowhere", 404),
        ("GET", "nowhere/at/all", 405),
        ("GET", "predictions/unknown/result", 404),
        ("GET", "predictions/unknown", 404),
        ("GET", MODEL, 405),
        ("PUT", MODEL, 405),
        ("DELETE", "webhook/secret", 405),
    ],
)
def test_unknown_paths(stand_in: StandIn, method: str, path: str, status: int) -> None:
    refusal(call(stand_in, method, path, json={"video": VIDEO, "prompt": ""}), status)


def test_limits_and_faults(stand_in: StandIn) -> None:
    stand_in.refuse = errors.TooManyError("too many.", 7)
    response = submit(stand_in)
    assert refusal(response, 429) == "too many." and response.headers["Retry-After"] == "7"
    refusal(call(stand_in, "POST", "media/uploads", json={"filename": "a", "size": 1}), 429)
    stand_in.refuse = errors.InvalidInputError.at("video", "got a URL that is refused.")
    assert refusal(submit(stand_in), 400) == "video: got a URL that is refused."
    assert refusal(submit(stand_in, enable_sync_mode=True), 400)  # at once, not in a 200
    stand_in.refuse = errors.TooLargeError("too large.")
    refusal(call(stand_in, "POST", "media/uploads", json={"filename": "a", "size": 1}), 413)
    stand_in.refuse = RuntimeError("a secret of the server's")
    assert "secret" not in refusal(submit(stand_in), 500)


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
