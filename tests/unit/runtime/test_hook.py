from __future__ import annotations

import copy
import functools
import inspect
import pickle
import statistics
import threading
import time
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langgraph.pregel import Pregel

from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import hook, lineage
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.run_handle import RunHandle
from tests.unit.runtime.situations import policy_for

NAMES = ("invoke", "ainvoke", "stream", "astream", "generate", "agenerate")


def test_names_signatures_and_kinds_stay_as_they_are() -> None:
    wrapped = {name: getattr(BaseChatModel, name) for name in NAMES}
    assert hook.remove()
    for name in NAMES:
        original = getattr(BaseChatModel, name)
        assert wrapped[name] is not original
        assert inspect.signature(wrapped[name]) == inspect.signature(original)
        assert wrapped[name].__doc__ == original.__doc__
        assert wrapped[name].__qualname__ == original.__qualname__
        for kind in (
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
            inspect.iscoroutinefunction,
        ):
            assert kind(wrapped[name]) == kind(original), name
    hook.install()


def test_installing_twice_wraps_once_and_removing_restores() -> None:
    first = BaseChatModel.invoke
    hook.install()
    assert BaseChatModel.invoke is first
    assert hook.remove()
    assert BaseChatModel.invoke is not first
    assert not hook.is_installed()
    hook.install()


def test_models_pickle_copy_and_answer_as_before() -> None:
    model = FakeListChatModel(responses=["a", "b"])
    again = pickle.loads(pickle.dumps(model))
    assert isinstance(again, FakeListChatModel)
    assert again.invoke("x").text == "a"
    assert copy.deepcopy(model).responses == ["a", "b"]
    assert [piece.text for piece in model.stream("x")][:1] == ["a"]


def test_another_librarys_patch_on_top_survives_and_is_told_apart() -> None:
    ours = BaseChatModel.invoke
    seen: list[str] = []

    @functools.wraps(ours)
    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("theirs")
        return ours(self, *args, **kwargs)

    BaseChatModel.invoke = theirs  # type: ignore[method-assign]
    try:
        assert not hook.remove()
        assert BaseChatModel.invoke is theirs
        hook.install()
        assert BaseChatModel.invoke is theirs
        assert ScriptedChat(name="m", replies=["said"]).invoke("x").text == "said"
        assert seen == ["theirs"]
    finally:
        BaseChatModel.invoke = ours  # type: ignore[method-assign]
    assert hook.remove()
    hook.install()


def test_concurrent_install_and_remove_leave_one_layer() -> None:
    assert hook.remove()
    originals = {name: BaseChatModel.__dict__[name] for name in NAMES}
    start = threading.Barrier(8)

    def toggle() -> None:
        start.wait()
        for _ in range(200):
            hook.install()
            hook.remove()

    threads = [threading.Thread(target=toggle) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hook.remove()
    assert {name: BaseChatModel.__dict__[name] for name in NAMES} == originals
    hook.install()


def test_a_call_without_a_handle_costs_about_a_microsecond() -> None:
    """Bound: the median of 20 rounds, three times the promised microsecond on a busy machine."""

    class Bare(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "bare"

        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("not called")

    def original(
        self: Any, asked: Any, config: Any = None, *, stop: Any = None, **kwargs: Any
    ) -> None:
        return None

    wrapped, model, added = hook._invoke(original), Bare(), []
    for _ in range(20):
        times = []
        for call in (original, wrapped):
            started = time.thread_time()
            for _ in range(2_000):
                call(model, "x")
            times.append((time.thread_time() - started) / 2_000)
        added.append(times[1] - times[0])
    assert statistics.median(added) < 3e-6


def test_a_handle_survives_a_copy_of_the_config_and_says_little() -> None:
    policy = policy_for(chats={})
    handle = RunHandle(policy=policy, ledger=Ledger(limit_nano=None), course=Course(policy.plan))
    config = {"configurable": {lineage.KEY: handle}}
    assert copy.deepcopy(config)["configurable"][lineage.KEY] is handle
    assert len(repr(config)) < 120


def test_a_graph_outside_any_run_gets_its_config_as_given() -> None:
    config = {"configurable": {"thread_id": "1"}}
    graph: Any = object.__new__(Pregel)
    assert lineage.handed_on(graph, config) is config
    assert lineage.handed_on(graph, None) is None


@pytest.mark.parametrize("key", lineage.COORDINATES)
def test_any_coordinate_starts_a_lineage(key: str) -> None:
    assert lineage.is_apart({}, {key: "x"})
    assert not lineage.is_apart({"user": "x"}, {key: ""})
