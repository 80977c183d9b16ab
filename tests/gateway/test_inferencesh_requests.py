"""inference.sh's requests, alone: every field, its default, its range and what else may come."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from .fuzz import FUZZ, json_values
from .inferencesh import HEADERS, check_problem, run
from .stand_in import StandIn, jobs, serve

JobSpec, Output = jobs.JobSpec, jobs.Output
VIDEO = "https://example.com/clip.mp4"


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serve("inferencesh", stream_seconds=0.2) as running:
        yield running


@pytest.fixture
def base(stand_in: StandIn) -> str:
    stand_in.created.clear()
    stand_in.tickets.clear()
    stand_in.jobs.clear()
    stand_in.refuse = None
    return f"{stand_in.url}/inferencesh"


def created(stand_in: StandIn) -> Any:
    """The spec of the only job."""
    (one,) = stand_in.created
    return one.spec


# requests


def test_defaults_are_the_pages(base: str, stand_in: StandIn) -> None:
    answer = run(base, {"prompt": "rain"})
    assert answer.status_code == 200
    assert created(stand_in) == JobSpec(
        service="inferencesh",
        model="infsh/mmaudio",
        prompt="rain",
        negative_prompt="",
        duration=8.0,
        steps=25,
        cfg=4.5,
        seed=42,
        mask_away_clip=False,
        outputs=(Output.FLAC,),
        has_video=False,
        input={"prompt": "rain"},
    )


def test_every_field_arrives(base: str, stand_in: StandIn) -> None:
    asked = {
        "prompt": "rain",
        "negative_prompt": "music",
        "video_input": VIDEO,
        "duration": 2.5,
        "cfg_strength": 3,
        "num_steps": 7,
        "seed": 2**64 - 1,
        "mask_away_clip": True,
    }
    hook = "https://example.com/hook"
    assert run(base, asked | {"unknown": [1]}, webhook=hook).status_code == 200
    assert stand_in.created[0].video == VIDEO
    assert created(stand_in) == JobSpec(
        service="inferencesh",
        model="infsh/mmaudio",
        prompt="rain",
        negative_prompt="music",
        duration=2.5,
        steps=7,
        cfg=3,
        seed=2**64 - 1,
        mask_away_clip=True,
        outputs=(Output.FLAC, Output.VIDEO),
        has_video=True,
        input=asked,
        webhook=jobs.WebhookTarget(url=hook),
    )


@pytest.mark.parametrize(
    ("field", "value", "name", "expected"),
    [
        ("duration", 1, "duration", 1.0),
        ("duration", 30, "duration", 30.0),
        ("duration", "8", "duration", 8.0),
        ("cfg_strength", 0, "cfg", 0.0),
        ("cfg_strength", 20, "cfg", 20.0),
        ("num_steps", 4, "steps", 4),
        ("num_steps", 50, "steps", 50),
        ("num_steps", 25.0, "steps", 25),
        ("num_steps", "25", "steps", 25),
        ("seed", 0, "seed", 0),
        ("seed", 2**64 - 1, "seed", 2**64 - 1),
        ("prompt", "", "prompt", ""),
        ("prompt", "é" * 4000, "prompt", "é" * 4000),
        ("negative_prompt", "é" * 4000, "negative_prompt", "é" * 4000),
    ],
)
def test_boundaries_are_taken(
    base: str, stand_in: StandIn, field: str, value: Any, name: str, expected: Any
) -> None:
    answer = run(base, {"prompt": "rain", field: value})
    assert answer.status_code == 200, answer.text
    assert getattr(created(stand_in), name) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", 5),
        ("prompt", "a" * 4001),
        ("prompt", "\ud800"),
        ("negative_prompt", None),
        ("negative_prompt", ["music"]),
        ("negative_prompt", "a" * 4001),
        ("video_input", ""),
        ("video_input", 5),
        ("video_input", [VIDEO]),
        ("video_input", {}),
        ("video_input", {"path": VIDEO}),
        ("video_input", {"uri": 5}),
        ("video_input", {"uri": {"uri": VIDEO}}),
        ("duration", 0.99),
        ("duration", 30.01),
        ("duration", True),
        ("duration", None),
        ("duration", "long"),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("cfg_strength", -0.01),
        ("cfg_strength", 20.01),
        ("cfg_strength", False),
        ("num_steps", 3),
        ("num_steps", 51),
        ("num_steps", 8.5),
        ("num_steps", True),
        ("seed", -1),
        ("seed", 2**64),
        ("seed", 0.5),
        ("seed", True),
        ("mask_away_clip", "perhaps"),
        ("mask_away_clip", None),
    ],
)
def test_wrong_fields_are_named(base: str, stand_in: StandIn, field: str, value: Any) -> None:
    answer = run(base, {"prompt": "rain", field: value})
    known = value in (float("inf"),) or value != value  # JSON has no such numbers at all
    check_problem(answer, 400, "JSON" if known else f"input.{field}")
    assert not stand_in.created


def test_the_prompt_is_required(base: str) -> None:
    check_problem(run(base, {}), 400, "input.prompt", "required")


@pytest.mark.parametrize(
    "app",
    [
        "infsh/mmaudio",
        "infsh/mmaudio@1a2b3c",
        "infsh/mmaudio:run",
        "infsh/mmaudio@v1.2-rc_3:run",
    ],
)
def test_the_app_may_name_a_version_and_a_function(base: str, app: str) -> None:
    assert run(base, {"prompt": "rain"}, app).status_code == 200


@pytest.mark.parametrize("app", ["infsh/mmaudio2", "mmaudio", "infsh/mmaudio@", "infsh/flux@a", ""])
def test_other_apps_are_not_here(base: str, app: str) -> None:
    check_problem(run(base, {"prompt": "rain"}, app), 404, "infsh/mmaudio")


@pytest.mark.parametrize(
    "body", [{}, {"app": "infsh/mmaudio"}, {"app": 5, "input": {}}, {"input": {"prompt": "rain"}}]
)
def test_app_and_input_are_required(base: str, body: Any) -> None:
    answer = requests.post(f"{base}/apps/run", json=body, headers=HEADERS, timeout=10)
    check_problem(answer, 400, "input" if body.get("app") == "infsh/mmaudio" else "app")


@pytest.mark.parametrize("webhook", [5, [], {}, "a" * 2001, "\ud800"])
def test_wrong_webhooks(base: str, webhook: Any) -> None:
    check_problem(run(base, {"prompt": "rain"}, webhook=webhook), 400, "webhook")


@pytest.mark.parametrize("webhook", [None, ""])
def test_no_webhook(base: str, stand_in: StandIn, webhook: Any) -> None:
    assert run(base, {"prompt": "rain"}, webhook=webhook).status_code == 200
    assert created(stand_in).webhook is None


@pytest.mark.parametrize(
    "video", [VIDEO, {"uri": VIDEO}, {"url": VIDEO}, {"uri": None, "url": VIDEO, "path": "/x"}]
)
def test_forms_of_a_video(base: str, stand_in: StandIn, video: Any) -> None:
    assert run(base, {"prompt": "rain", "video_input": video}).status_code == 200
    assert stand_in.created[0].video == VIDEO
    assert stand_in.created[0].rules.data_uri
    assert stand_in.created[0].rules.http


@pytest.mark.parametrize("asked", [{"prompt": "rain"}, {"prompt": "rain", "video_input": None}])
def test_from_text_alone(base: str, stand_in: StandIn, asked: Any) -> None:
    assert run(base, asked).status_code == 200
    assert created(stand_in).has_video is False
    assert created(stand_in).outputs == (Output.FLAC,)


def test_long_inputs_are_cut_where_they_are_repeated(base: str) -> None:
    video = "data:video/mp4;base64," + "A" * 5000
    task = run(base, {"prompt": "rain", "video_input": video}).json()["data"]
    assert task["input"]["video_input"].startswith("data:video/mp4;base64,AAA")
    assert len(task["input"]["video_input"]) < 300


# prompts that clients upload


def upload(stand_in: StandIn, folder: Path, content: bytes) -> str:
    stand_in.uploads["t/file"] = folder / "upload"
    stand_in.uploads["t/file"].write_bytes(content)
    return f"{stand_in.url}/files/t/file"


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
@pytest.mark.parametrize("text", ["thunderstormrain", "dogsbarking+loud==", "a" * 4000])
def test_a_prompt_that_was_uploaded_is_read_as_text(
    base: str, stand_in: StandIn, tmp_path: Path, field: str, text: str
) -> None:
    text = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    url = upload(stand_in, tmp_path, base64.b64decode(text))
    assert run(base, {"prompt": "rain", field: url}).status_code == 200
    assert getattr(created(stand_in), field) == text


def test_a_prompt_that_is_a_large_upload(base: str, stand_in: StandIn, tmp_path: Path) -> None:
    url = upload(stand_in, tmp_path, bytes(3001))
    check_problem(run(base, {"prompt": url}), 400, "input.prompt", "3000")


def test_a_prompt_that_is_no_upload_any_more(base: str, stand_in: StandIn) -> None:
    url = f"{stand_in.url}/files/none/file"
    check_problem(run(base, {"prompt": url}), 400, "input.prompt")


def test_prompts_that_speak_of_addresses_are_texts(base: str, stand_in: StandIn) -> None:
    url = f"{stand_in.url}/files/none/file"
    for prompt in (VIDEO, f"the sound of {url}"):
        stand_in.created.clear()
        assert run(base, {"prompt": prompt}).status_code == 200
        assert created(stand_in).prompt == prompt


# anything

FIELDS = (
    *("prompt", "negative_prompt", "video_input", "duration"),
    *("cfg_strength", "num_steps", "seed", "mask_away_clip"),
)


def check_any(answer: requests.Response) -> None:
    if answer.status_code == 200:
        assert set(answer.json()) == {"data"}
    else:
        check_problem(answer, answer.status_code)
        assert 400 <= answer.status_code < 500


@FUZZ
@given(asked=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, json_values)))
def test_any_input(base: str, asked: Any) -> None:
    check_any(run(base, asked))


@FUZZ
@given(field=st.sampled_from(FIELDS), value=json_values)
def test_any_value_of_a_field(base: str, field: str, value: Any) -> None:
    check_any(run(base, {"prompt": "rain", field: value}))


@FUZZ
@given(
    body=st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"files": json_values, "app": json_values, "input": json_values, "webhook": json_values}
    ).map(lambda value: json.dumps(value).encode()),
    path=st.sampled_from(["/apps/run", "/files"]),
)
def test_any_body(base: str, body: bytes, path: str) -> None:
    check_any(requests.post(base + path, data=body, headers=HEADERS, timeout=10))


@FUZZ
@given(task=st.text(min_size=1, max_size=60), tail=st.sampled_from(["", "/status", "/stream"]))
def test_any_task(base: str, task: str, tail: str) -> None:
    name = requests.utils.quote(task, safe="")  # type: ignore[attr-defined]
    check_any(requests.get(f"{base}/tasks/{name}{tail}", headers=HEADERS, timeout=10))
