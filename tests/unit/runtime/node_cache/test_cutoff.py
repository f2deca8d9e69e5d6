"""What is computed again after an edit, and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

from graphroute.caches.memory import MemoryCache
from graphroute.frontend.hints import route
from graphroute.providers.scripted import ScriptedChat
from tests.unit.runtime.node_cache.graphs import Count, cached, outcomes, reasons


class Notes(TypedDict, total=False):
    text: str
    mode: str
    spare: str
    first: str
    second: str
    third: str


def _chain(schema: Any, *nodes: Any) -> Any:
    builder = StateGraph(schema)
    last = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(last, node.__name__)
        last = node.__name__
    builder.add_edge(last, END)
    return builder.compile(name="notes")


def _three(count: Count, *, prompt: str = "Sum up: ", helper: Any = str.strip) -> Any:
    """Three nodes that ask a model, a helper and a model."""
    model = ScriptedChat(name="model", replies=lambda messages: f"<{messages[-1].text}>")

    @route(cache=True)
    def first(state: Notes) -> Notes:
        count("first")
        return {"first": model.invoke("Read: " + state["text"]).text}

    @route(cache=True)
    def second(state: Notes) -> Notes:
        count("second")
        return {"second": helper(state["first"])}

    @route(cache=True)
    def third(state: Notes) -> Notes:
        count("third")
        return {"third": model.invoke(prompt + state["second"]).text}

    return _chain(Notes, first, second, third)


def test_a_second_run_computes_nothing_and_ends_alike() -> None:
    count = Count()
    fast = cached(_three(count))
    first = fast.invoke({"text": "hello"})
    assert count.take() == {"first": 1, "second": 1, "third": 1}
    assert fast.invoke({"text": "hello"}) == first == _three(Count()).invoke({"text": "hello"})
    assert count.take() == {}


def test_after_an_edit_of_the_last_nodes_prompt_only_it_runs() -> None:
    cache, count = MemoryCache(), Count()
    cached(_three(count), cache).invoke({"text": "hello"})
    count.take()
    edited = cached(_three(count, prompt="Sum up briefly: "), cache)
    assert edited.invoke({"text": "hello"})["third"] == "<Sum up briefly: <Read: hello>>"
    assert count.take() == {"third": 1}
    assert reasons(edited)[-1] == "closure 'prompt' changed"


def test_an_edited_node_that_gives_the_same_value_stops_the_wave() -> None:
    cache, count = MemoryCache(), Count()
    cached(_three(count), cache).invoke({"text": "hello"})
    count.take()

    def other(text: str) -> str:
        return text.lstrip().rstrip()

    edited = cached(_three(count, helper=other), cache)
    edited.invoke({"text": "hello"})
    assert count.take() == {"second": 1}
    assert outcomes(edited) == {"first": ["hit"], "second": ["computed"], "third": ["hit"]}


def test_a_changed_helper_is_named() -> None:
    cache = MemoryCache()

    def version(number: int) -> Any:
        if number == 1:

            def clean(text: str) -> str:
                return text.strip()
        else:

            def clean(text: str) -> str:
                return text.strip().lower()

        @route(cache=True)
        def first(state: Notes) -> Notes:
            return {"first": clean(state["text"])}

        return cached(_chain(Notes, first), cache)

    version(1).invoke({"text": "A "})
    edited = version(2)
    assert edited.invoke({"text": "A "})["first"] == "a"
    assert "code of 'clean' changed" in reasons(edited)[0]


def test_a_key_that_is_not_read_does_not_count() -> None:
    count = Count()
    fast = cached(_three(count))
    fast.invoke({"text": "hello", "spare": "a"})
    count.take()
    assert fast.invoke({"text": "hello", "spare": "b"})["spare"] == "b"
    assert count.take() == {}


def test_a_changed_value_is_named() -> None:
    fast = cached(_three(Count()))
    fast.invoke({"text": "hello"})
    fast.invoke({"text": "bye"})
    assert reasons(fast)[3] == "state key 'text' changed"


def test_reads_hang_on_the_data() -> None:
    count = Count()

    @route(cache=True)
    def first(state: Notes) -> Notes:
        count("first")
        return {"first": state["text"] if state["mode"] == "text" else state["spare"]}

    fast = cached(_chain(Notes, first))
    fast.invoke({"mode": "text", "text": "t", "spare": "1"})
    fast.invoke({"mode": "text", "text": "t", "spare": "2"})
    assert count.take() == {"first": 1}
    assert fast.invoke({"mode": "spare", "text": "t", "spare": "2"})["first"] == "2"
    assert fast.invoke({"mode": "spare", "text": "u", "spare": "2"})["first"] == "2"
    assert count.take() == {"first": 1}
    assert fast.invoke({"mode": "spare", "text": "u", "spare": "3"})["first"] == "3"
    assert count.take() == {"first": 1}


def test_a_missing_key_that_was_looked_for_counts() -> None:
    @route(cache=True)
    def first(state: Notes) -> Notes:
        return {"first": state.get("spare", "none") + str("mode" in state)}

    fast = cached(_chain(Notes, first))
    assert fast.invoke({"text": "t"})["first"] == "noneFalse"
    assert fast.invoke({"text": "t", "spare": "s"})["first"] == "sFalse"
    assert fast.invoke({"text": "t", "spare": "s", "mode": "m"})["first"] == "sTrue"
    assert fast.invoke({"text": "t"})["first"] == "noneFalse"


def test_a_global_that_is_set_anew_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = cached(_chain(Notes, uses_global))
    assert fast.invoke({"text": "t"})["first"] == "t in English"
    monkeypatch.setitem(SETTINGS, "language", "German")
    assert fast.invoke({"text": "t"})["first"] == "t in German"
    monkeypatch.setitem(SETTINGS, "language", "English")
    assert fast.invoke({"text": "t"})["first"] == "t in English"
    assert [r.outcome for r in fast.node_records] == ["computed", "computed", "hit"]


SETTINGS = {"language": "English"}


@route(cache=True)
def uses_global(state: Notes) -> Notes:
    return {"first": f"{state['text']} in {SETTINGS['language']}"}


def test_attributes_that_a_method_uses_count() -> None:
    class Writer:
        def __init__(self, tone: str, spare: int) -> None:
            self.tone, self.spare, self.runs = tone, spare, 0

        @route(cache=True)
        def first(self, state: Notes) -> Notes:
            self.runs += 1
            return {"first": state["text"] + self.tone}

    cache = MemoryCache()
    writers = [Writer("!", 1), Writer("!", 2), Writer("?", 1)]
    found = []
    for writer in writers:
        builder = StateGraph(Notes)
        builder.add_node("first", writer.first)
        builder.add_edge(START, "first")
        fast = cached(builder.compile(name="notes"), cache)
        found += [fast.invoke({"text": "t"})["first"], fast.invoke({"text": "t"})["first"]]
    assert found == ["t!", "t!", "t!", "t!", "t?", "t?"]
    assert [writer.runs for writer in writers] == [1, 0, 1]


def test_a_pydantic_state_is_followed_by_attribute() -> None:
    class State(BaseModel):
        text: str = ""
        spare: str = ""
        first: str = ""

    count = Count()

    @route(cache=True)
    def first(state: State) -> dict[str, str]:
        count("first")
        return {"first": state.text.upper()}

    fast = cached(_chain(State, first))
    assert fast.invoke({"text": "t", "spare": "1"})["first"] == "T"
    assert fast.invoke({"text": "t", "spare": "2"})["first"] == "T"
    assert count.take() == {"first": 1}
    assert fast.invoke({"text": "u"})["first"] == "U"
    assert count.take() == {"first": 1}


def test_a_dataclass_state_read_as_a_whole_counts_as_a_whole() -> None:
    @dataclass
    class State:
        text: str = ""
        spare: str = ""
        first: list[str] = field(default_factory=list)

    count = Count()

    @route(cache=True)
    def first(state: State) -> dict[str, list[str]]:
        count("first")
        return {"first": [repr(state)]}

    fast = cached(_chain(State, first))
    one = fast.invoke({"text": "t", "spare": "1"})
    two = fast.invoke({"text": "t", "spare": "2"})
    assert one["first"] != two["first"]
    assert fast.invoke({"text": "t", "spare": "2"}) == two
    assert count.take() == {"first": 2}


def test_the_type_of_the_state_stays_what_it_is() -> None:
    @route(cache=True)
    def first(state: Notes) -> Notes:
        return {"first": str(type(state) is dict), "second": state["text"]}

    fast = cached(_chain(Notes, first))
    for _ in range(2):
        assert fast.invoke({"text": "t"})["first"] == "True"


def test_what_is_read_past_a_mappings_methods_counts_as_a_whole() -> None:
    class Parsed(BaseModel):
        text: str
        spare: str

    @route(cache=True)
    def first(state: Notes) -> Notes:
        return {"first": Parsed.model_validate(state).spare}

    fast = cached(_chain(Notes, first))
    assert fast.invoke({"text": "t", "spare": "1"})["first"] == "1"
    assert fast.invoke({"text": "t", "spare": "2"})["first"] == "2"


def test_the_state_itself_can_be_returned() -> None:
    @route(cache=True)
    def first(state: Notes) -> Notes:
        return {**state, "first": "x"}

    @route(cache=True)
    def second(state: Notes) -> Notes:
        return state

    graph = _chain(Notes, first, second)
    fast = cached(graph)
    for given in ({"text": "t"}, {"text": "t"}, {"text": "u", "spare": "s"}):
        assert fast.invoke(given) == graph.invoke(given)
        assert type(fast.invoke(given)) is dict


def test_reads_in_a_helper_are_followed() -> None:
    count = Count()

    def pick(values: Notes) -> str:
        return values["text"]

    @route(cache=True)
    def first(state: Notes) -> Notes:
        count("first")
        return {"first": pick(state)}

    fast = cached(_chain(Notes, first))
    fast.invoke({"text": "t", "spare": "1"})
    fast.invoke({"text": "t", "spare": "2"})
    assert count.take() == {"first": 1}
