"""A user's own `cache_policy` under a plan: its key names the models, the user's graph stays."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.cache.memory import InMemoryCache
from langgraph.graph import START, StateGraph
from langgraph.types import CachePolicy

from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime.own_cache import PlannedKey
from graphroute.runtime.routed_graph import unwrap
from tests.unit.runtime.situations import assignment_for, plan_for, policy_for, routed


class State(TypedDict, total=False):
    text: str
    out: str


def _build(cache: Any, policy: CachePolicy[Any], *, nested: bool = False) -> Any:
    own = ScriptedChat(name="own", replies=["own"])
    builder = StateGraph(State)
    builder.add_node(
        "ask", lambda state: {"out": own.invoke(state["text"]).text}, cache_policy=policy
    )
    builder.add_edge(START, "ask")
    if not nested:
        return builder.compile(cache=cache)
    outer = StateGraph(State)
    outer.add_node("inner", builder.compile(cache=cache))
    outer.add_edge(START, "inner")
    return outer.compile()


def _on(graph: Any, node: str, model: str) -> Any:
    chats = {name: ScriptedChat(name=name, replies=[name]) for name in ("a", "b")}
    return routed(graph, policy_for(assignment_for(node, model), chats=chats))


def test_two_plans_that_share_a_cache_keep_their_own_answers() -> None:
    for nested, node in ((False, "ask"), (True, "inner/ask")):
        graph = _build(InMemoryCache(), CachePolicy(), nested=nested)
        found = [
            graph.invoke({"text": "t"})["out"],
            *(_on(graph, node, model).invoke({"text": "t"})["out"] for model in ("a", "b", "a")),
            graph.invoke({"text": "t"})["out"],
        ]
        assert found == ["own", "a", "b", "a", "own"]


def test_the_users_key_still_decides() -> None:
    graph = _build(InMemoryCache(), CachePolicy(key_func=lambda state: state.get("text", "")[:1]))
    fast = _on(graph, "ask", "a")
    chat = fast._graphroute.policy.open("a")
    for text in ("tea", "tree", "sea"):
        fast.invoke({"text": text})
    assert len(chat.calls) == 2


def test_the_users_graph_is_not_touched() -> None:
    graph = _build(None, CachePolicy(ttl=7))
    before = graph.nodes["ask"]
    fast = _on(graph, "ask", "a")
    assert graph.nodes["ask"] is before
    assert fast.nodes["ask"].bound is before.bound
    assert fast.nodes["ask"].cache_policy.ttl == 7
    assert not isinstance(before.cache_policy.key_func, PlannedKey)
    assert fast.get_graph().to_json() == graph.get_graph().to_json()


def test_it_is_put_back_and_never_stacked() -> None:
    graph: Any = _build(None, CachePolicy())
    key = graph.nodes["ask"].cache_policy.key_func
    fast = _on(_on(graph, "ask", "a"), "ask", "b")
    planned = fast.nodes["ask"].cache_policy.key_func
    assert isinstance(planned, PlannedKey)
    assert planned.original is key
    plain: Any = unwrap(fast)
    assert plain.nodes["ask"].cache_policy.key_func is key


def test_a_new_plan_is_a_new_key() -> None:
    graph = _build(InMemoryCache(), CachePolicy())
    fast = _on(graph, "ask", "a")
    assert fast.invoke({"text": "t"})["out"] == "a"
    fast._graphroute.policy.plan = plan_for(assignment_for("ask", "b"))
    assert fast.invoke({"text": "t"})["out"] == "b"


def test_nothing_changes_where_every_call_keeps_its_model() -> None:
    graph = _build(InMemoryCache(), CachePolicy())
    fast = routed(graph, policy_for(chats={}, keeps_own=True))
    assert fast.nodes is graph.nodes


def test_keys_of_bytes_stay_bytes() -> None:
    policy = policy_for(assignment_for("ask", "a"), chats={})
    for original in (lambda state: b"k", lambda state: "k"):
        key = PlannedKey(original, policy, "ask")({})
        assert type(key) is type(original({}))
        assert key != original({})
    assert PlannedKey(lambda state: 7, policy, "ask")({}) == 7
    assert PlannedKey(lambda state: "k", policy, "other")({}) == "k"
