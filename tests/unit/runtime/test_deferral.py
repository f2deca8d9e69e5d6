from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from graphroute.batching import deferred
from graphroute.protocols import BatchService
from graphroute.providers._openai_batch import OpenAIBatch, service_for
from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import deferral
from graphroute.runtime.admission import Admission, Answered, Arrival, Go, Place, Wait, Work
from graphroute.runtime.deferral import Deferrable, Deferral, Job
from graphroute.runtime.gates import Gates, Lane, Outcome
from tests.unit.runtime.batch_server import BatchServer, serving


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with serving() as state:
        yield state


def _service(server: BatchServer, **settings: Any) -> OpenAIBatch:
    chat = ChatOpenAI(
        model="gpt-test",
        api_key=SecretStr("k"),
        base_url=server.url,
        max_retries=0,
        temperature=0,
        **settings,
    )
    service = service_for(chat)
    assert isinstance(service, OpenAIBatch)
    assert isinstance(service, BatchService)
    return service


def _call(service: OpenAIBatch, text: str) -> Deferrable:
    body = service.body([HumanMessage(text)], stop=None, kwargs={"max_tokens": 9})
    return Deferrable(service=service, body=body)


def _job(
    server: BatchServer, clock: Clock, *texts: str, folder: Path | None = None, **facts: Any
) -> Job:
    service = _service(server)
    made: Deferral = facts.pop("deferral", None) or Deferral(folder, clock=clock, wall=clock)
    return made.job([_call(service, text) for text in texts])


def _run(job: Job, clock: Clock, *, most: int = 100) -> list[str | None]:
    for _ in range(most):
        if job.is_over:
            break
        clock.now_s = max(clock.now_s, job.next_s)
        job.step()
    assert job.is_over
    found = [job.results[index] for index in range(len(job.results))]
    return [None if message is None else str(message.text) for message in found]


def test_answers_come_back_to_their_calls(server: BatchServer, clock: Clock) -> None:
    texts = [f"call {number}" for number in range(30)]
    job = _job(server, clock, *texts)
    assert _run(job, clock) == [text.upper() for text in texts]
    assert len(server.batches) == 1
    assert job.price_share == 0.5
    usage = job.results[0].usage_metadata if job.results[0] else None
    assert usage is not None
    assert usage["input_tokens"] == 10


def test_a_call_goes_as_the_chat_model_would_post_it(server: BatchServer, clock: Clock) -> None:
    _run(_job(server, clock, "hi"), clock)
    (line,) = server.files["file-0"].splitlines()
    row = json.loads(line)
    assert (row["method"], row["url"]) == ("POST", "/v1/chat/completions")
    body = row["body"]
    assert body["model"] == "gpt-test"
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert body["temperature"] == 0
    assert 9 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert "stream" not in body


def test_it_looks_less_and_less_often(server: BatchServer, clock: Clock) -> None:
    server.is_done = False
    job = _job(server, clock, "a")
    began_s = clock.now_s
    for _ in range(40):
        clock.now_s = job.next_s
        job.step()
    assert not job.is_over
    assert clock.now_s - began_s > 30 * deferral.LONGEST_LOOK_S
    server.is_done = True
    assert _run(job, clock) == ["A"]


def test_equal_calls_are_calls_of_their_own(server: BatchServer, clock: Clock) -> None:
    assert _run(_job(server, clock, "a", "a", "b", "a"), clock) == ["A", "A", "B", "A"]
    assert len(server.files["file-0"].splitlines()) == 4


def test_what_fails_or_is_missing_is_asked_alone(server: BatchServer, clock: Clock) -> None:
    said: dict[str, Any] = {"bad": 400, "gone": None}
    server.answer = lambda body: said.get(
        body["messages"][-1]["content"], body["messages"][-1]["content"]
    )
    assert _run(_job(server, clock, "good", "bad", "gone", "fine"), clock) == [
        "good",
        None,
        None,
        "fine",
    ]


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_a_batch_that_was_not_finished_gives_what_it_has(
    status: str, server: BatchServer, clock: Clock
) -> None:
    server.status = status
    server.answer = lambda body: "x" if body["messages"][-1]["content"] == "a" else None
    assert _run(_job(server, clock, "a", "b"), clock) == ["x", None]


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_where_it_cannot_be_handed_in_all_are_asked_alone(
    status: int, server: BatchServer, clock: Clock, tmp_path: Path
) -> None:
    server.fails = [status] * 9
    job = _job(server, clock, "a", "b", folder=tmp_path)
    job.step()
    assert job.results == {0: None, 1: None}
    assert list(tmp_path.iterdir()) == []


def test_a_look_that_fails_is_made_again(server: BatchServer, clock: Clock) -> None:
    job = _job(server, clock, "a")
    job.step()
    server.fails = [503, 429, 500]
    assert _run(job, clock) == ["A"]


def test_a_server_that_is_gone_is_given_up_in_the_end(clock: Clock) -> None:
    with serving() as server:
        job = _job(server, clock, "a")
        job.step()
    assert _run(job, clock) == [None]


def test_a_batch_that_arrived_without_an_answer_is_found(server: BatchServer, clock: Clock) -> None:
    server.swallows = True
    assert _run(_job(server, clock, "a"), clock) == ["A"]
    assert len(server.batches) == 1


def test_after_a_restart_the_same_calls_wait_for_the_same_batch(
    server: BatchServer, clock: Clock, tmp_path: Path
) -> None:
    server.is_done = False
    job = _job(server, clock, "a", "b", "b", folder=tmp_path)
    job.step()  # and the process is killed
    server.is_done = True
    again = _job(server, clock, "b", "c", "b", "a", folder=tmp_path)
    assert _run(again, clock) == ["B", "C", "B", "A"]
    assert [
        len(server.files[b["input_file_id"]].splitlines()) for b in server.batches.values()
    ] == [
        3,
        1,
    ]
    assert list(tmp_path.iterdir()) == []


def test_killed_before_the_batch_had_its_number(
    server: BatchServer, clock: Clock, tmp_path: Path
) -> None:
    """The batch was made, but the process died before its id was written down."""
    _job(server, clock, "a", folder=tmp_path).step()
    (path,) = tmp_path.glob("*.json")
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "batch": ""}))
    assert _run(_job(server, clock, "a", folder=tmp_path), clock) == ["A"]
    assert len(server.batches) == 1


def test_killed_before_it_was_handed_in(server: BatchServer, clock: Clock, tmp_path: Path) -> None:
    _job(server, clock, "a", folder=tmp_path).step()
    (path,) = tmp_path.glob("*.json")
    row = json.loads(path.read_text())
    path.unlink()
    lost = {**row, "batch": "", "job": "0" * 24}
    (tmp_path / f"{lost['job']}.json").write_text(json.dumps(lost))
    assert _run(_job(server, clock, "a", folder=tmp_path), clock) == ["A"]
    assert len(server.batches) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": "../x"}', "\x00"])
def test_a_damaged_file_is_no_batch(
    text: str, server: BatchServer, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text(text)
    assert _run(_job(server, clock, "a", folder=tmp_path), clock) == ["A"]


def test_a_folder_that_cannot_be_written_costs_only_the_restart(
    server: BatchServer, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert _run(_job(server, clock, "a", folder=blocked), clock) == ["A"]
    assert "not kept for a restart" in caplog.text


def test_two_runs_of_one_process_do_not_take_each_others_answers(
    server: BatchServer, clock: Clock, tmp_path: Path
) -> None:
    shared = Deferral(tmp_path, clock=clock, wall=clock)
    one = _job(server, clock, "a", deferral=shared)
    one.step()
    other = _job(server, clock, "a", deferral=shared)
    other.step()
    assert len(server.batches) == 2
    assert _run(one, clock) == _run(other, clock) == ["A"]


def test_another_account_finds_nothing(server: BatchServer, clock: Clock, tmp_path: Path) -> None:
    _job(server, clock, "a", folder=tmp_path).step()
    name = _service(server).name
    chat = ChatOpenAI(model="gpt-test", api_key=SecretStr("other"), base_url=server.url)
    other = service_for(chat)
    assert other is not None
    assert other.name != name
    assert "other" not in other.name


def test_models_without_a_batch_api_have_no_service() -> None:
    assert service_for(ScriptedChat(name="x")) is None


# -- through admission

LANE = Lane(model="openai:gpt-test", most=2)


def _admission(clock: Clock, folder: Path | None = None) -> Admission:
    made = Deferral(folder, clock=clock, wall=clock)
    return Admission(deferred.build(), Gates(), deferral=made, clock=clock)


def _enter(admission: Admission, service: OpenAIBatch, text: str) -> Place:
    call = _call(service, text)
    return admission.enter(Arrival(lane=LANE, group="g", deferrable=call))


def _drive(places: list[Place], clock: Clock) -> list[Any]:
    """Poll all in turn, doing what is to be done, until each has its end."""
    ends: dict[int, Any] = {}
    for _ in range(1000):
        for number, place in enumerate(places):
            if number in ends:
                continue
            match place.poll():
                case Wait(patience_s=patience_s):
                    clock.now_s += min(patience_s, 0.5)
                case Work(run=run):
                    run()
                case Go():
                    ends[number] = "alone"
                    place.leave(Outcome())
                case Answered(message=message, price_share=share):
                    ends[number] = (str(message.text), share)
                case other:
                    raise AssertionError(other)
        if len(ends) == len(places):
            return [ends[number] for number in range(len(places))]
    raise AssertionError(f"no end for {len(places) - len(ends)}")


def test_deferred_calls_are_answered_at_half_the_price(server: BatchServer, clock: Clock) -> None:
    admission, service = _admission(clock), _service(server)
    server.answer = lambda body: 400 if body["messages"][-1]["content"] == "c2" else "yes"
    places = [_enter(admission, service, f"c{number}") for number in range(5)]
    at_once = admission.enter(Arrival(lane=LANE, group="g"))
    assert at_once.poll() == Go()
    ends = _drive(places, clock)
    assert ends == [("yes", 0.5), ("yes", 0.5), "alone", ("yes", 0.5), ("yes", 0.5)]
    assert len(server.batches) == 1


def test_one_that_goes_leaves_the_batch_to_the_others(server: BatchServer, clock: Clock) -> None:
    admission, service = _admission(clock), _service(server)
    places = [_enter(admission, service, f"c{number}") for number in range(3)]
    clock.now_s += 1
    work = places[0].poll()
    assert isinstance(work, Work)
    assert isinstance(places[1].poll(), Wait)  # one step at a time
    work.run()
    places[0].cancel()
    assert [end[0] for end in _drive(places[1:], clock)] == ["C1", "C2"]


def test_a_step_that_is_interrupted_is_made_by_another(server: BatchServer, clock: Clock) -> None:
    admission, service = _admission(clock), _service(server)
    places = [_enter(admission, service, f"c{number}") for number in range(2)]
    clock.now_s += 1
    work = places[0].poll()
    assert isinstance(work, Work)

    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    server_step, Job.step = Job.step, interrupted  # type: ignore[assignment, method-assign]
    try:
        with pytest.raises(KeyboardInterrupt):
            work.run()
    finally:
        Job.step = server_step  # type: ignore[method-assign]
    places[0].cancel()
    assert _drive(places[1:], clock) == [("C1", 0.5)]


def test_when_all_have_gone_the_batch_is_there_for_the_next_run(
    server: BatchServer, clock: Clock, tmp_path: Path
) -> None:
    admission, service = _admission(clock, tmp_path), _service(server)
    server.is_done = False
    place = _enter(admission, service, "c")
    clock.now_s += 1
    work = place.poll()
    assert isinstance(work, Work)
    work.run()
    place.cancel()
    server.is_done = True
    assert _drive([_enter(admission, service, "c")], clock) == [("C", 0.5)]
    assert len(server.batches) == 1


def test_a_call_that_cannot_wait_is_not_deferred(server: BatchServer, clock: Clock) -> None:
    place = _enter(_admission(clock), _service(server), "c")
    place.insist()
    assert place.poll() == Go()
