"""How reads of the state can be followed; one function for each way to use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from graphroute.frontend.tracing import tracing_of
from graphroute.ir.node_cache import Tracing

prompt = ChatPromptTemplate.from_template("{a}")
kept: dict[str, Any] = {}


class Parsed(BaseModel):
    a: int


def item(values: Any) -> Any:
    return values["a"]


def attribute(values: Any) -> Any:
    return values.a


def validated(values: Any) -> Any:
    return Parsed.model_validate(values)


def by_key(state: Any) -> Any:
    return {"x": state["a"], "y": state.get("b", 1), "z": "c" in state}


def by_loop(state: Any) -> Any:
    return {"x": [key for key in state if key], "y": list(state.items()), "n": len(state)}


def by_spread(state: Any) -> Any:
    return {**state, "x": Parsed(**state)}


def by_helper(state: Any) -> Any:
    return {"x": [item(state) for _ in range(3)]}


async def by_async_helper(state: Any) -> Any:
    return {"x": item(state)}


def by_prompt(state: Any) -> Any:
    return {"x": prompt.invoke(state)}


def by_dumps(state: Any) -> Any:
    return {"x": json.dumps(state)}


def by_alias(state: Any) -> Any:
    other = state
    return {"x": other["a"]}


def beside_a_store(state: Any) -> Any:
    out: dict[str, Any] = {}
    out["a"] = state["a"].upper()
    return out


def returned(state: Any) -> Any:
    return state


def by_attribute(state: Any) -> Any:
    return {"x": attribute(state), "y": state.b.c}


def by_what_a_helper_gives(state: Any) -> Any:
    return {"x": Parsed.model_validate(item(state))}


def itself(values: Any) -> Any:
    return values if values["a"] else None


def past_a_helper_that_gives_it_back(state: Any) -> Any:
    return {"x": Parsed.model_validate(itself(state))}


def past_its_methods(state: Any) -> Any:
    return {"x": Parsed.model_validate(state)}


def past_them_in_a_helper(state: Any) -> Any:
    return {"x": validated(state)}


def inside_another(state: Any) -> Any:
    return {"x": Parsed.model_validate({"a": 1, "s": state})}


def by_type(state: Any) -> Any:
    return {"x": type(state) is dict}


def set_anew(state: Any) -> Any:
    state["x"] = 1
    return state


def kept_elsewhere(state: Any) -> Any:
    kept["state"] = state
    return {}


def only_in_the_handler(state: Any) -> Any:
    try:
        return {"x": state["a"]}
    except KeyError:
        return {"x": validated(state)}


def shown(state: Any) -> Any:
    return {"x": isinstance(state.a, int), "y": repr(state)}


class Node:
    def run(self, state: Any) -> Any:
        return {"a": self.pick(state)}

    def pick(self, values: Any) -> Any:
        return values.get("q")


CASES: dict[Callable[..., Any], Tracing] = {
    by_key: "items",
    by_loop: "items",
    by_spread: "items",
    by_helper: "items",
    by_what_a_helper_gives: "items",
    past_a_helper_that_gives_it_back: "all",
    by_async_helper: "items",
    by_prompt: "items",
    by_dumps: "items",
    by_alias: "items",
    beside_a_store: "items",
    returned: "items",
    Node().run: "items",
    by_attribute: "attributes",
    past_its_methods: "all",
    past_them_in_a_helper: "all",
    inside_another: "all",
    by_type: "all",
    set_anew: "all",
    kept_elsewhere: "all",
    only_in_the_handler: "all",
    shown: "all",
}


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_tracing(function: Callable[..., Any]) -> None:
    assert tracing_of(function) == CASES[function]


def test_what_has_no_code_is_read_as_a_whole() -> None:
    assert tracing_of(dict) == "all"
    assert tracing_of(len) == "all"
