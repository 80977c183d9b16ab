"""fal's requests, alone: every input of its applications, every path, key and proxied address."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .fal import AUTHORIZATION, BODIES, MMAUDIO, SONILO, Output, ask, finished
from .stand_in import KEY, StandIn, errors, jobs, serve

many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with serve("fal") as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(running: StandIn) -> StandIn:
    running.created.clear()
    running.tickets.clear()
    running.refuse = None
    return running


def submit(stand_in: StandIn, app: str, **inputs: Any) -> requests.Response:
    return ask(stand_in, "POST", f"queue/{app}", json=BODIES[app] | inputs)


def asked_for(stand_in: StandIn, app: str, **inputs: Any) -> Any:
    """The ``JobSpec`` of a request, which is accepted."""
    answer = submit(stand_in, app, **inputs)
    assert answer.status_code == 200, answer.text
    return stand_in.created[-1].spec


# what is asked for


def test_defaults_of_mmaudio(stand_in: StandIn) -> None:
    spec = asked_for(stand_in, MMAUDIO)
    assert spec == jobs.JobSpec(
        service="fal",
        model=MMAUDIO,
        prompt="rain",
        negative_prompt="",
        duration=8.0,
        steps=25,
        cfg=4.5,
        seed=spec.seed,
        mask_away_clip=False,
        outputs=(Output.VIDEO,),
    )
    created = stand_in.created[-1]
    assert created.video == BODIES[MMAUDIO]["video_url"]
    assert (created.rules.field, created.rules.data_uri, created.rules.http) == (
        "video_url",
        True,
        True,
    )
    seeds = {asked_for(stand_in, MMAUDIO).seed for _ in range(8)}
    assert len(seeds) > 1
    assert all(0 <= seed <= 65_535 for seed in seeds)


def test_defaults_of_sonilo(stand_in: StandIn) -> None:
    spec = asked_for(stand_in, SONILO)
    assert spec == jobs.JobSpec(
        service="fal",
        model=SONILO,
        prompt="",
        auto_prompt=True,
        duration=None,
        start_offset=0.0,
        must_fit=True,
        seed=spec.seed,
        takes=1,
        outputs=(Output.M4A,),
    )
    rules = stand_in.created[-1].rules
    assert (rules.field, rules.data_uri, rules.http) == ("video_url", False, True)
    assert len({asked_for(stand_in, SONILO).seed for _ in range(8)}) > 1


@pytest.mark.parametrize(
    ("app", "inputs", "expected"),
    [
        (MMAUDIO, {"prompt": ""}, {"prompt": ""}),
        (MMAUDIO, {"prompt": "x" * 4000}, {"prompt": "x" * 4000}),
        (MMAUDIO, {"negative_prompt": "music"}, {"negative_prompt": "music"}),
        (MMAUDIO, {"seed": 0}, {"seed": 0}),
        (MMAUDIO, {"seed": 65_535}, {"seed": 65_535}),
        (MMAUDIO, {"num_steps": 4}, {"steps": 4}),
        (MMAUDIO, {"num_steps": 50}, {"steps": 50}),
        (MMAUDIO, {"num_steps": "25"}, {"steps": 25}),
        (MMAUDIO, {"num_steps": 25.0}, {"steps": 25}),
        (MMAUDIO, {"duration": 1}, {"duration": 1.0}),
        (MMAUDIO, {"duration": 30}, {"duration": 30.0}),
        (MMAUDIO, {"duration": "7.5"}, {"duration": 7.5}),
        (MMAUDIO, {"cfg_strength": 0}, {"cfg": 0.0}),
        (MMAUDIO, {"cfg_strength": 20}, {"cfg": 20.0}),
        (MMAUDIO, {"mask_away_clip": True}, {"mask_away_clip": True}),
        (MMAUDIO, {"unknown": 1}, {}),
        (SONILO, {"prompt": None}, {"prompt": "", "auto_prompt": True}),
        (SONILO, {"prompt": ""}, {"prompt": "", "auto_prompt": True}),
        (SONILO, {"prompt": "a waltz"}, {"prompt": "a waltz"}),
        (SONILO, {"num_samples": 1}, {"takes": 1}),
        (SONILO, {"num_samples": 3}, {"takes": 3}),
        (SONILO, {"start_offset": 0}, {"start_offset": 0.0}),
        (SONILO, {"start_offset": 600}, {"start_offset": 600.0}),
        (SONILO, {"duration": 1}, {"duration": 1.0}),
        (SONILO, {"duration": 600}, {"duration": 600.0}),
    ],
)
def test_accepted(
    stand_in: StandIn, app: str, inputs: dict[str, Any], expected: dict[str, Any]
) -> None:
    spec = asked_for(stand_in, app, **inputs)
    assert {name: getattr(spec, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("app", "inputs", "kind"),
    [
        (MMAUDIO, {"video_url": None}, "string_type"),
        (MMAUDIO, {"video_url": 5}, "string_type"),
        (MMAUDIO, {"prompt": None}, "string_type"),
        (MMAUDIO, {"prompt": "x" * 4001}, "string_too_long"),
        (MMAUDIO, {"negative_prompt": ["x"]}, "string_type"),
        (MMAUDIO, {"seed": -1}, "greater_than_equal"),
        (MMAUDIO, {"seed": 65_536}, "less_than_equal"),
        (MMAUDIO, {"seed": True}, "number_type"),
        (MMAUDIO, {"num_steps": 3}, "greater_than_equal"),
        (MMAUDIO, {"num_steps": 51}, "less_than_equal"),
        (MMAUDIO, {"num_steps": 4.5}, "int_from_float"),
        (MMAUDIO, {"num_steps": "many"}, "int_parsing"),
        (MMAUDIO, {"num_steps": None}, "int_type"),
        (MMAUDIO, {"duration": 0.99}, "greater_than_equal"),
        (MMAUDIO, {"duration": 30.01}, "less_than_equal"),
        (MMAUDIO, {"duration": "Infinity"}, "finite_number"),
        (MMAUDIO, {"duration": "nan"}, "finite_number"),
        (MMAUDIO, {"cfg_strength": -0.01}, "greater_than_equal"),
        (MMAUDIO, {"cfg_strength": 20.01}, "less_than_equal"),
        (MMAUDIO, {"cfg_strength": {}}, "float_type"),
        (MMAUDIO, {"mask_away_clip": "perhaps"}, "bool_parsing"),
        (SONILO, {"video_url": []}, "string_type"),
        (SONILO, {"prompt": 7}, "string_type"),
        (SONILO, {"num_samples": 0}, "greater_than_equal"),
        (SONILO, {"num_samples": 4}, "less_than_equal"),
        (SONILO, {"num_samples": False}, "number_type"),
        (SONILO, {"start_offset": -0.1}, "greater_than_equal"),
        (SONILO, {"start_offset": 600.1}, "less_than_equal"),
        (SONILO, {"start_offset": "soon"}, "float_parsing"),
        (SONILO, {"duration": 0.9}, "greater_than_equal"),
        (SONILO, {"duration": 600.1}, "less_than_equal"),
    ],
)
def test_refused(stand_in: StandIn, app: str, inputs: dict[str, Any], kind: str) -> None:
    answer = submit(stand_in, app, **inputs)
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (["body", *inputs], kind)
    assert error["msg"]
    assert not stand_in.created


def test_error_is_worded_as_fal_words_it(stand_in: StandIn) -> None:
    assert submit(stand_in, MMAUDIO, num_steps=51).json() == {
        "detail": [
            {
                "loc": ["body", "num_steps"],
                "msg": "Input should be less than or equal to 50",
                "type": "less_than_equal",
                "ctx": {"le": 50},
                "input": 51,
            }
        ]
    }


@pytest.mark.parametrize(("app", "required"), [(MMAUDIO, 2), (SONILO, 1)])
def test_every_missing_field_is_named(stand_in: StandIn, app: str, required: int) -> None:
    answer = ask(stand_in, "POST", f"queue/{app}", json={})
    found = [(error["loc"], error["type"]) for error in answer.json()["detail"]]
    expected = [(["body", name], "missing") for name in ("video_url", "prompt")[:required]]
    assert (answer.status_code, found) == (422, expected)


def test_long_input_is_not_sent_back(stand_in: StandIn) -> None:
    answer = submit(stand_in, MMAUDIO, num_steps="9" * 100_000)
    assert answer.status_code == 422
    assert len(answer.content) < 2000


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"duration": NaN}', b"[" * 100_000]
)
def test_body_that_is_no_object(stand_in: StandIn, body: bytes) -> None:
    for path in (f"queue/{MMAUDIO}", f"run/{SONILO}"):
        answer = ask(stand_in, "POST", path, data=body)
        (error,) = answer.json()["detail"]
        assert (answer.status_code, error["loc"]) == (422, ["body"])
        assert error["type"] in ("json_invalid", "dict_type")


NUMBERS = {
    MMAUDIO: {
        "seed": (0, 65_535, True),
        "num_steps": (4, 50, True),
        "duration": (1, 30, False),
        "cfg_strength": (0, 20, False),
    },
    SONILO: {
        "num_samples": (1, 3, True),
        "start_offset": (0, 600, False),
        "duration": (1, 600, False),
    },
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, str, Any]:
    """An application, a field of it, and a number near its bounds or anywhere."""
    app = draw(st.sampled_from(sorted(NUMBERS)))
    name = draw(st.sampled_from(sorted(NUMBERS[app])))
    least, most, _ = NUMBERS[app][name]
    near = st.integers(least - 2, least + 2) | st.integers(most - 2, most + 2)
    close = near.map(lambda value: math.nextafter(value, math.inf))
    below = near.map(lambda value: math.nextafter(value, -math.inf))
    number = near | close | below | st.integers() | st.floats(allow_nan=False)
    return app, name, draw(number)


@many
@given(numbers())
def test_numbers_are_taken_within_their_bounds(
    running: StandIn, case: tuple[str, str, int | float]
) -> None:
    app, name, value = case
    least, most, whole = NUMBERS[app][name]
    if isinstance(value, float) and not math.isfinite(value):
        expected = 422  # no JSON
    else:
        expected = 200 if least <= value <= most and (not whole or value == int(value)) else 422
    assert submit_raw(running, app, BODIES[app] | {name: value}) == expected


@many
@given(
    st.sampled_from(sorted(BODIES)),
    st.dictionaries(
        st.sampled_from(
            sorted({*NUMBERS[MMAUDIO], *NUMBERS[SONILO], "prompt", "negative_prompt", "video_url"})
        )
        | st.text(max_size=10),
        anything,
        max_size=6,
    ),
)
def test_any_fields(running: StandIn, app: str, fields: dict[str, Any]) -> None:
    assert submit_raw(running, app, BODIES[app] | fields) in (200, 422)


@many
@given(st.sampled_from(sorted(BODIES)), st.binary(max_size=200) | anything.map(json.dumps))
def test_any_body(running: StandIn, app: str, body: bytes | str) -> None:
    initiate = {"X-Fal-Target-Url": "https://rest.fal.ai/storage/upload/initiate"}
    for path, headers in [(f"queue/{app}", {}), (f"run/{app}", {}), ("proxy", initiate)]:
        answer = ask(running, "POST", path, data=body, headers=headers)
        assert answer.status_code == 422
        assert all(error["loc"][0] == "body" for error in answer.json()["detail"])


def submit_raw(stand_in: StandIn, app: str, body: Any) -> int:
    """Status of the answer to any body, whose shape is looked at."""
    answer = ask(stand_in, "POST", f"queue/{app}", data=json.dumps(body))
    if answer.status_code == 422:
        assert all(
            error["loc"][0] == "body" and error["msg"] and error["type"]
            for error in answer.json()["detail"]
        )
    return answer.status_code


# where it is asked


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("app", sorted(BODIES))
def test_submission(stand_in: StandIn, app: str, proxied: bool) -> None:
    answer = ask(stand_in, "POST", f"queue/{app}", proxied, json=BODIES[app])
    (job_id, job) = list(stand_in.jobs.items())[-1]
    base = f"{stand_in.url}/fal/queue/{'/'.join(app.split('/')[:2])}/requests/{job_id}"
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "IN_QUEUE",
        "request_id": job_id,
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
        "queue_position": 0,
    }
    assert answer.headers["x-fal-request-id"] == job_id
    assert (job.spec.webhook, job.spec.start_within) == (None, None)
    url = answer.json()["status_url"]
    assert requests.get(url, headers=AUTHORIZATION, timeout=30).json()["status"] == "IN_QUEUE"


@pytest.mark.parametrize("proxied", [False, True])
def test_webhook_and_time_to_start(stand_in: StandIn, proxied: bool) -> None:
    hook = "https://hooks.example/a?b=c&d=ü"
    answer = ask(
        stand_in,
        "POST",
        f"queue/{MMAUDIO}?fal_webhook={quote(hook, safe='')}",
        proxied,
        json=BODIES[MMAUDIO],
        headers={"X-Fal-Request-Timeout": "12.5", "X-Fal-Queue-Priority": "low"},
    )
    assert answer.status_code == 200
    spec = stand_in.created[-1].spec
    assert spec.webhook == jobs.WebhookTarget(url=hook, field="fal_webhook", timeout=15.0)
    assert spec.start_within == 12.5


def test_webhook_that_is_refused(stand_in: StandIn) -> None:
    stand_in.refuse = errors.InvalidInputError.at(
        "fal_webhook", "got a private host.", "http://10.1"
    )
    (error,) = submit(stand_in, MMAUDIO).json()["detail"]
    assert (error["loc"], error["msg"]) == (["query", "fal_webhook"], "got a private host.")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", ""])
def test_time_to_start_that_is_none(stand_in: StandIn, text: str) -> None:
    headers = {"X-Fal-Request-Timeout": text}
    answer = ask(stand_in, "POST", f"run/{MMAUDIO}", json=BODIES[MMAUDIO], headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


def test_request_is_found_by_both_names_of_its_application_only(stand_in: StandIn) -> None:
    job = finished(stand_in, SONILO)
    for name, expected in [(SONILO, 200), ("sonilo/v1.1", 200), ("sonilo", 404), (MMAUDIO, 404)]:
        for action in ("", "/status", "/status/stream"):
            answer = ask(stand_in, "GET", f"queue/{name}/requests/{job.id}{action}")
            assert answer.status_code == expected, (name, action)
        expected_of_cancel = 400 if expected == 200 else 404
        answer = ask(stand_in, "PUT", f"queue/{name}/requests/{job.id}/cancel")
        assert answer.status_code == expected_of_cancel


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", f"queue/{MMAUDIO}", 405, "POST"),
        ("PUT", f"run/{SONILO}", 405, "POST"),
        ("POST", f"queue/{MMAUDIO}/requests/job-0", 405, "GET"),
        ("POST", f"queue/{MMAUDIO}/requests/job-0/status", 405, "GET"),
        ("DELETE", f"queue/{MMAUDIO}/requests/job-0/status/stream", 405, "GET"),
        ("GET", f"queue/{MMAUDIO}/requests/job-0/cancel", 405, "PUT"),
        ("GET", f"queue/{MMAUDIO}/requests/job-0/other", 404, None),
        ("GET", f"queue/{MMAUDIO}/requests/unknown", 404, None),
        ("GET", f"queue/{MMAUDIO}/requests/unknown/status?logs=1", 404, None),
        ("GET", f"queue/{MMAUDIO}/requests/unknown/status/stream", 404, None),
        ("POST", "queue/fal-ai/other", 404, None),
        ("POST", f"run/{MMAUDIO}/stream", 404, None),
        ("POST", "queue/", 404, None),
    ],
)
def test_wrong_paths_and_methods(
    stand_in: StandIn, method: str, path: str, status: int, allowed: str | None, proxied: bool
) -> None:
    answer = ask(stand_in, method, path, proxied)
    assert (answer.status_code, answer.headers.get("Allow")) == (status, allowed)
    assert list(answer.json()) == ["detail"]


@many
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    st.lists(
        st.sampled_from(
            ["queue", "run", "proxy", "requests", "status", "stream", "cancel", "", "..", "%2F"]
        )
        | st.sampled_from(["job-0", "fal-ai", "mmaudio-v2"])
        | st.text(max_size=5).map(lambda text: quote(text, safe="", errors="replace")),
        max_size=8,
    ),
    st.binary(max_size=20),
)
def test_any_path(running: StandIn, method: str, parts: list[str], body: bytes) -> None:
    host, prefix = urlsplit(running.url).netloc, urlsplit(running.url).path
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request(method, f"{prefix}/fal/{'/'.join(parts)}", body, AUTHORIZATION)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert 400 <= answer.status < 500
    assert set(json.loads(content)) <= {"detail", "status"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Key wrong"},
        {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"X-API-Key": KEY},
    ],
)
def test_key(stand_in: StandIn, headers: dict[str, str]) -> None:
    job = finished(stand_in)
    for method, path in [
        ("POST", f"queue/{MMAUDIO}"),
        ("POST", f"run/{MMAUDIO}"),
        ("GET", f"queue/{MMAUDIO}/requests/{job.id}"),
        ("GET", f"queue/{MMAUDIO}/requests/{job.id}/status/stream"),
        ("PUT", f"queue/{MMAUDIO}/requests/{job.id}/cancel"),
        ("POST", "proxy"),
        ("GET", "nowhere"),
    ]:
        url = f"{stand_in.url}/fal/{path}"
        answer = requests.request(method, url, headers=headers, json={}, timeout=30)
        assert (answer.status_code, list(answer.json())) == (401, ["detail"]), path


def test_scheme_of_the_key_in_small_letters(stand_in: StandIn) -> None:
    url = f"{stand_in.url}/fal/queue/{MMAUDIO}/requests/{finished(stand_in).id}"
    answer = requests.get(url, headers={"Authorization": f"key {KEY}"}, timeout=30)
    assert answer.status_code == 200


# the proxy


@pytest.mark.parametrize("path", ["initiate", "initiate-multipart"])
def test_uploads(stand_in: StandIn, path: str) -> None:
    target = f"https://rest.fal.ai/storage/upload/{path}?storage_type=fal-cdn-v3"
    answer = requests.post(
        f"{stand_in.url}/fal/proxy",
        json={"content_type": "video/mp4", "file_name": "my clip.mp4"},
        headers=AUTHORIZATION | {"X-Fal-Target-Url": target},
        timeout=30,
    )
    assert answer.json() == {
        "upload_url": f"{stand_in.url}/uploads/t",
        "file_url": f"{stand_in.url}/files/f/a.mp4",
    }
    assert stand_in.tickets == [("my clip.mp4", "video/mp4", None)]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", None, {}, 400),
        ("POST", "", {}, 404),
        ("POST", f"http://queue.fal.run/{MMAUDIO}", {}, 404),
        ("POST", f"https://queue.fal.run:444/{MMAUDIO}", {}, 404),
        ("POST", f"https://queue.fal.run:99999/{MMAUDIO}", {}, 404),
        ("POST", f"https://queue.fal.run@evil.example/{MMAUDIO}", {}, 404),
        ("POST", f"https://evil.example/queue.fal.run/{MMAUDIO}", {}, 404),
        ("POST", "https://evil.example/storage/upload/initiate", {"file_name": "a.mp4"}, 404),
        ("POST", f"https://queue.fal.run.evil.example/{MMAUDIO}", {}, 404),
        ("GET", "https://127.0.0.1/", {}, 404),
        ("GET", "file:///etc/passwd", {}, 404),
        ("POST", "//queue.fal.run/", {}, 404),
        ("POST", "https://[::1", {}, 404),
        ("POST", "https://[::1]@", {}, 404),
        ("POST", "https://rest.fal.ai/tokens/", {}, 404),
        ("GET", "https://rest.fal.ai/storage/upload/initiate", {}, 405),
        ("POST", "https://rest.fal.ai/storage/upload/initiate", {}, 422),
        ("POST", "https://rest.fal.ai/storage/upload/initiate", {"file_name": 5}, 422),
        ("POST", "https://rest.fal.ai/storage/upload/initiate", [], 422),
    ],
)
def test_proxy_knows_no_other_address(
    stand_in: StandIn, method: str, target: str | None, body: Any, status: int
) -> None:
    headers = AUTHORIZATION | ({} if target is None else {"X-Fal-Target-Url": target})
    url = f"{stand_in.url}/fal/proxy"
    answer = requests.request(method, url, json=body, headers=headers, timeout=30)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert not stand_in.tickets


targets = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))


@many
@given(
    st.sampled_from(["", "https://", "https://queue.fal.run", "https://rest.fal.ai/storage/upload"])
    | st.just("https://fal.run:"),
    targets,
    st.binary(max_size=20),
)
def test_any_target(running: StandIn, start: str, rest: str, body: bytes) -> None:
    answer = requests.post(
        f"{running.url}/fal/proxy",
        data=body,
        headers=AUTHORIZATION | {"X-Fal-Target-Url": (start + rest).strip().encode("latin-1")},
        timeout=30,
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert set(answer.json()) <= {"detail", "status"}
