"""Jobs in ComfyUI's queue, with a stand-in for ComfyUI that a test moves by hand."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.exc import OperationalError

from tests.gateway.fake_comfy import FakeComfy
from tests.gateway.servers import on_loop
from tests.pack import load_pack_module

errors = load_pack_module("gateway.errors")
job_module = load_pack_module("gateway.job")
jobs_module = load_pack_module("gateway.jobs")
queue_module = load_pack_module("gateway.queue")
gateway_module = load_pack_module("gateway.gateway")
JobSpec, JobError, State, Fault = (
    job_module.JobSpec,
    job_module.JobError,
    job_module.State,
    job_module.Fault,
)
OWNER = "a" * 64
BASE = "http://127.0.0.1:8188/mmaudio"
TEXT = JobSpec(service="test", model="test", has_video=False)


@asynccontextmanager
async def place(
    folder: Path, *, retention: float = 3600.0, limits: tuple[int, int] = (100, 10)
) -> AsyncIterator[SimpleNamespace]:
    """Jobs over a stand-in ComfyUI; ``hooks`` are the webhooks owed at their ends."""
    load = load_pack_module
    store = load("gateway.store").Store(folder / "gateway.db")
    files = load("gateway.files").Files(store, folder / "uploads", retention)
    outgoing = load("gateway.outgoing").Outgoing(frozenset())
    comfy = FakeComfy(folder / "output")
    queue = queue_module.ComfyQueue(comfy)
    webhooks = load("gateway.webhooks").Webhooks(store, outgoing)
    ended: list[Any] = []

    async def make_webhook(job: Any) -> None:
        ended.append((job.id, job.state))

    jobs = jobs_module.Jobs(
        store=store,
        files=files,
        outgoing=outgoing,
        queue=queue,
        webhooks=webhooks,
        limits=load("gateway.limits").Limits(*limits),
        folders=jobs_module.Folders(folder / "input", folder / "output"),
        model="small_16k",
        retention=retention,
        make_webhook=make_webhook,
    )
    queue.start()
    await jobs.start()
    here = SimpleNamespace(
        jobs=jobs, comfy=comfy, queue=comfy.prompt_queue, store=store, ended=ended, files=files
    )
    try:
        yield here
    finally:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await outgoing.close()
        store.close()


async def create(here: Any, spec: Any = TEXT) -> Any:
    """A job that waits in the queue."""
    job = await here.jobs.create(OWNER, BASE, spec, None, None)
    await until(lambda: job.state is State.QUEUED)
    return job


async def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "_WATCH_SECONDS", 0.05)


@on_loop
async def test_a_job_runs_under_its_id(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        assert here.queue.numbers == [job.id]
        await here.comfy.begin(job.id)
        assert job.state is State.RUNNING
        await here.comfy.succeed(job.id)
        assert await job.end(5)
        (result,) = job.files
        assert result.url.startswith(f"{BASE}/files/") and result.url.endswith("/mmaudio.mp4")
        assert result.size == result.path.stat().st_size
        assert (await here.store.job(job.id)).state is State.DONE
        assert here.ended == [(job.id, State.DONE)]


@on_loop
async def test_progress_never_goes_back(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        await here.comfy.begin(job.id)
        seen = []
        for nodes in (
            {"model": (1, 1)},
            {"features": (5, 10)},
            {"features": (2, 10)},  # a bar that starts anew
            {"sound": (12, 25)},
            {"sound": (0, 25)},
            {"sound": (25, 25)},
            {"unknown": (1, 0)},
        ):
            await here.comfy.progress(job.id, **nodes)
            seen.append(job.progress)
        assert seen == sorted(seen)
        assert 0 < seen[0] < seen[1] < seen[3] < seen[5] < 1
        await here.comfy.succeed(job.id)
        await job.end(5)
        assert job.progress == 1


@on_loop
async def test_positions_are_known(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        first, second, third = [await create(here) for _ in range(3)]
        assert [first.position, second.position, third.position] == [0, 1, 2]
        await here.comfy.begin(first.id)
        assert [second.position, third.position] == [1, 2]
        await here.comfy.succeed(first.id)
        await here.comfy.begin(second.id)
        assert third.position == 1


@on_loop
async def test_an_end_whose_events_are_lost_is_found_in_the_history(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        await here.comfy.begin(job.id)
        await here.comfy.succeed(job.id, tell=False)
        assert await job.end(5)
        assert job.state is State.DONE
        assert len(job.files) == 1


@on_loop
async def test_what_the_owner_clears_is_cancelled(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        waiting, running = await create(here), await create(here)
        await here.comfy.begin(running.id)
        here.queue.queue.clear()
        here.comfy.end(running.id, None)  # its history went with it
        assert await waiting.end(5) and await running.end(5)
        assert waiting.state is running.state is State.CANCELLED


@on_loop
async def test_cancelled_jobs_leave_the_queue_or_are_interrupted(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        waiting, running = await create(here), await create(here)
        await here.comfy.begin(running.id)
        assert await here.jobs.cancel(waiting)
        assert await waiting.end(5)
        assert here.queue.queue == []
        assert await here.jobs.cancel(running)
        assert here.queue.interrupts == [running.id]
        assert not running.ended  # ComfyUI has not stopped yet
        await here.comfy.tell("execution_interrupted", prompt_id=running.id)
        assert await running.end(5)
        assert waiting.state is running.state is State.CANCELLED
        assert not await here.jobs.cancel(running)


@on_loop
async def test_a_job_that_does_not_start_in_time_fails(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        started = await create(here, TEXT.model_copy(update={"start_within": 0.3}))
        await here.comfy.begin(started.id)
        late = await create(here, TEXT.model_copy(update={"start_within": 0.3}))
        assert await late.end(5)
        assert (late.state, late.error.fault) == (State.FAILED, Fault.TIMEOUT)
        assert not started.ended


@on_loop
async def test_errors_of_nodes_are_told_where_they_are_the_clients(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        ours, theirs = await create(here), await create(here)
        await here.comfy.begin(ours.id)
        await here.comfy.fail(ours.id, "model", "MMAudioNodeError", "/home/owner/models is empty")
        await here.comfy.begin(theirs.id)
        await here.comfy.fail(theirs.id, "features", "MMAudioNodeError", "got 3, expected 2")
        assert await ours.end(5) and await theirs.end(5)
        assert ours.error.fault is Fault.INTERNAL and "/home" not in ours.error.message
        assert theirs.error.fault is Fault.INPUT and theirs.error.message == "got 3, expected 2"


@on_loop
async def test_a_prompt_that_comfyui_refuses_fails_its_job(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        here.comfy.refuse = {"error": {"message": "/home/owner is secret"}, "node_errors": {}}
        job = await here.jobs.create(OWNER, BASE, TEXT, None, None)
        assert await job.end(5)
        assert job.error.fault is Fault.INTERNAL and "/home" not in job.error.message


@on_loop
async def test_events_that_cannot_be_read_do_not_reach_comfyui(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        for nodes in (None, 3, {"sound": None}, {"sound": {"max": "x"}}):
            await here.comfy.tell("progress_state", prompt_id=job.id, nodes=nodes)
        await here.comfy.begin(job.id)
        await here.comfy.succeed(job.id)
        assert await job.end(5)


@on_loop
async def test_unfinished_jobs_are_limited_and_let_go(tmp_path: Path) -> None:
    async with place(tmp_path, limits=(100, 2)) as here:
        first, _ = await create(here), await create(here)
        with pytest.raises(errors.TooManyError) as refused:
            await create(here)
        assert int(refused.value.headers["Retry-After"]) >= 1
        await here.comfy.begin(first.id)
        await here.comfy.succeed(first.id)
        await first.end(5)
        await create(here)


@on_loop
async def test_what_has_expired_is_deleted(tmp_path: Path) -> None:
    async with place(tmp_path, retention=0.5) as here:
        done, waiting = await create(here), await create(here)
        await here.comfy.begin(done.id)
        await here.comfy.succeed(done.id)
        await done.end(5)
        folder = done.files[0].path.parent
        await here.jobs.forget_expired()
        assert folder.exists() and await here.jobs.find(done.id) is done
        await asyncio.sleep(0.6)
        await here.jobs.forget_expired()
        assert not folder.exists()
        assert await here.jobs.find(done.id) is None
        assert await here.jobs.find(waiting.id) is waiting


@on_loop
async def test_a_full_disk_at_the_end_leaves_no_client_waiting(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        await here.comfy.begin(job.id)

        async def full(*_args: Any) -> None:
            raise OSError(28, "No space left on device")

        here.store.save = full
        await here.comfy.succeed(job.id)
        assert await job.end(5)
        assert job.state is State.DONE


@on_loop
async def test_what_a_job_holds_comes_back_from_the_disk(tmp_path: Path) -> None:
    spec = TEXT.model_copy(
        update={"prompt": "rain 🌧 'quotes'", "seed": 2**64 - 1, "duration": None}
    )
    async with place(tmp_path) as here:
        job = await create(here, spec)
        back = await here.store.job(job.id)
        assert back.spec == job.spec
        assert (back.id, back.owner, back.base_url) == (job.id, OWNER, BASE)
        assert back.state is State.QUEUED
        assert json.loads(back.spec.model_dump_json())["seed"] == 2**64 - 1


def test_no_id_makes_a_client_submit_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """WaveSpeed's JavaScript client looks for 429 in an error that holds the id."""
    ids = iter(["a4290000", "b0000429", "c0000000"])
    monkeypatch.setattr(jobs_module.uuid, "uuid4", lambda: next(ids))
    assert jobs_module._new_id() == "c0000000"


def slow(save: Callable[..., Any]) -> Callable[..., Any]:
    async def saving(*args: Any) -> None:
        await asyncio.sleep(0.1)
        await save(*args)

    return saving


@pytest.mark.parametrize("end", ["succeed", "fail"])
@on_loop
async def test_an_end_that_is_being_written_is_not_cancelled(tmp_path: Path, end: str) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        await here.comfy.begin(job.id)
        here.store.save = slow(here.store.save)
        if end == "succeed":
            await here.comfy.succeed(job.id)
        else:
            await here.comfy.fail(job.id, "sound", "RuntimeError", "no")
        await until(lambda: bool(here.ended))
        assert not job.ended
        assert not await here.jobs.cancel(job)
        assert await job.end(5)
        expected = State.DONE if end == "succeed" else State.FAILED
        assert job.state is expected
        assert (await here.store.job(job.id)).state is expected


@on_loop
async def test_a_failed_fetch_that_is_being_written_is_not_cancelled(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        spec = JobSpec(service="test", model="test")
        job = job_module.Job(id="0" * 36, owner=OWNER, spec=spec, base_url=BASE)
        await here.store.save(job)
        here.jobs._limits.resume(OWNER)
        here.jobs._unfinished[job.id] = job
        here.store.save = slow(here.store.save)
        here.jobs._run_soon(job)  # its upload is not here
        await until(lambda: bool(here.ended))
        assert not await here.jobs.cancel(job)
        assert await job.end(5)
        assert job.state is State.FAILED
        assert here.jobs.counts() == (0, 0)


@on_loop
async def test_a_video_that_cannot_be_deleted_keeps_no_job_from_its_end(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        (tmp_path / "input" / "mmaudio-gateway" / f"{job.id}.mp4").mkdir()
        await here.comfy.begin(job.id)
        await here.comfy.succeed(job.id)
        assert await job.end(5)


@on_loop
async def test_a_job_that_cannot_be_read_keeps_no_other_from_running(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        first, second = [await create(here) for _ in range(2)]
    database = sqlite3.connect(tmp_path / "gateway.db")
    database.execute("update jobs set document = '{}' where id = ?", [first.id])
    database.commit()
    database.close()
    async with place(tmp_path) as here:
        await until(lambda: here.queue.numbers == [second.id])


@on_loop
async def test_a_database_that_cannot_be_read_keeps_the_gateway_alone_from_starting(
    tmp_path: Path,
) -> None:
    """ComfyUI itself would not start: its server waits for this."""
    load = load_pack_module
    database = sqlite3.connect(tmp_path / "gateway.db")
    database.execute("create table jobs (id text)")  # of another version
    database.commit()
    database.close()
    settings = load("gateway.settings").Settings(keys=None, model="small_16k")
    comfy = FakeComfy(tmp_path / "output")
    folders = jobs_module.Folders(tmp_path / "input", tmp_path / "output")
    root = web.Application()
    root.add_subapp("/mmaudio", load("gateway.app").build_app(settings, comfy, folders, tmp_path))
    async with TestClient(TestServer(root)) as client:
        answer = await client.get("/mmaudio/inferencesh/tasks/a")
        assert (answer.status, (await answer.json())["error"]) == (503, "not_started")


@pytest.mark.parametrize(
    "path",
    [
        "'/home/anna/input/mmaudio-gateway/{id}.mp4'",
        "'/home/o'hara/a folder/mmaudio-gateway/{id}.mp4'",
        '"/home/o\'hara/mmaudio-gateway/{id}.mp4"',
        r"'C:\\Users\\anna b\\input\\mmaudio-gateway/{id}.mp4'",
        "/home/anna/mmaudio-gateway/{id}.mp4",
    ],
)
@on_loop
async def test_no_path_of_this_machine_is_told(tmp_path: Path, path: str) -> None:
    async with place(tmp_path) as here:
        job = await create(here)
        await here.comfy.begin(job.id)
        message = f"no frame of {path.format(id=job.id)} could be decoded"
        await here.comfy.fail(job.id, "features", "MMAudioNodeError", message)
        assert await job.end(5)
        assert job.error.message == "no frame of the video could be decoded"


@on_loop
async def test_a_video_that_belongs_to_no_job_goes_when_it_has_expired(tmp_path: Path) -> None:
    """A crash between the writing of a video and of its job leaves one."""
    async with place(tmp_path, retention=3600) as here:
        waiting = await create(here)
        folder = tmp_path / "input" / "mmaudio-gateway"
        names = ("orphan.mp4", f"{waiting.id}.mp4", "new.mp4")
        for name in names:
            (folder / name).write_bytes(b"video")
        for name in names[:2]:
            os.utime(folder / name, (time.time() - 3700, time.time() - 3700))
        await here.jobs.forget_expired()
        assert {path.name for path in folder.iterdir()} == set(names[1:])


@on_loop
async def test_folders_that_the_owner_cleared_away_are_made_anew(tmp_path: Path) -> None:
    async with place(tmp_path) as here:
        video = base64.b64encode((tmp_path / "output" / "clip.mp4").read_bytes()).decode()
        shutil.rmtree(tmp_path / "input")
        spec = JobSpec(service="test", model="test", duration=1.0)
        rules = gateway_module.VideoRules("video")
        uri = f"data:video/mp4;base64,{video}"
        job = await here.jobs.create(OWNER, BASE, spec, uri, rules)
        await until(lambda: job.state is State.QUEUED)
        shutil.rmtree(tmp_path / "input")
        await here.jobs.forget_expired()
        await here.comfy.begin(job.id)
        await here.comfy.succeed(job.id)
        assert await job.end(5)


@on_loop
async def test_on_a_full_disk_jobs_end_and_new_ones_are_refused(small_disk: Path) -> None:
    async with place(small_disk, limits=(100, 2)) as here:
        running, waiting = [await create(here) for _ in range(2)]
        await here.comfy.begin(running.id)
        filler = (small_disk / "filler").open("wb")
        with pytest.raises(OSError), filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()
        await here.comfy.fail(running.id, "sound", "RuntimeError", "no")
        assert await running.end(10)
        assert running.state is State.FAILED
        for _ in range(3):  # none counts as unfinished: the limit is not reached
            spec = TEXT.model_copy(update={"prompt": "long " * 2000})
            with pytest.raises(OperationalError):
                await here.jobs.create(OWNER, BASE, spec, None, None)
        (small_disk / "filler").unlink()
        assert (await create(here)).state is State.QUEUED
        assert waiting.state is State.QUEUED
