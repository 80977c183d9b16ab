"""Values that come from ComfyUI, and errors that go back to it."""

from __future__ import annotations

import pytest

from .conftest import Inside


def test_every_problem_gets_its_cure_once(inside: Inside) -> None:
    assert inside("boundary")("cures") == {
        "missing": [],
        "cured": True,
        "nested": 1,
        "clone": 1,
        "no problem": "got 1, expected 2.",
    }


def test_a_trim_is_exact(inside: Inside) -> None:
    clips = inside("boundary")("trim")
    assert clips.pop("whole") == ["0", "None"]
    assert "trimmed" in clips
    assert all(clip == ["1/10", "13/10"] for clip in clips.values()), clips


def test_frame_edits_are_not_lost(inside: Inside) -> None:
    assert inside("boundary")("frame_edits") == [False, False, True]
    assert inside("boundary")("frame_edits_are_seen") == [4, 5]


def test_the_duration_of_a_latent(inside: Inside) -> None:
    durations = inside("boundary")("latent_duration")
    assert (durations["exact"], durations["cut"]) == ("2", "32/25")
    assert "(1, 8, 40, 20), expected (takes, 1, length, width)" in durations["shape"]


def test_metadata_can_be_disabled(inside: Inside) -> None:
    written, disabled = inside("boundary")("metadata")
    assert written == {"workflow": '{"id": 7}', "prompt": '{"1": {}}'}
    assert disabled == {}


def test_weights_are_listed_in_a_thread_before_nodes_are_asked(inside: Inside) -> None:
    """Otherwise ten thousand new files would hold up every other request."""
    got = inside("boundary")("scan_ahead")
    assert got.pop("installed")
    ahead = ["scanned in a thread", "handled"]
    assert {path for path, events in got.items() if events == ahead} == {
        "/object_info",
        "/api/object_info/KSampler",
        "/prompt",
        "/api/prompt",
    }
    assert got["/queue"] == got["/"] == ["handled"]


def test_nor_is_the_graph_of_the_source_kept_then(inside: Inside) -> None:
    assert inside("boundary")("workflow_of_the_source") == [True, False]


def test_files_of_sound_hold_the_graph_unless_disabled(inside: Inside) -> None:
    assert inside("boundary")("graph_in_sound") == {"flac": [True, False], "m4a": [True, False]}


def test_a_latent_with_another_number_of_takes_is_refused(inside: Inside) -> None:
    message = inside("boundary")("takes")
    assert "got a latent of 2 takes for num_samples 3" in message


def test_a_conditioning_that_does_not_fit_its_schedule_is_refused(inside: Inside) -> None:
    message = inside("boundary")("averaged_schedule")
    assert "got a conditioning of 2 prompts for a schedule of 1" in message


def test_memory_for_takes_windows_and_short_sound(inside: Inside) -> None:
    memory = inside("boundary")("memory")
    assert memory["three takes"] == pytest.approx(3)
    assert memory["long"] == pytest.approx(8)  # a batch of windows
    assert memory["half"] == pytest.approx((256 * 1.25 + 77) / (512 * 1.25 + 77))


def test_takes_are_checked_before_any_is_written(inside: Inside) -> None:
    broken = inside("boundary")("broken_take")
    assert len(broken["messages"]) == 2 and all("NaN" in text for text in broken["messages"])
    assert broken["files"] == []
