"""One model with two reasoning efforts is two members of a pool."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import httpx
import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from pydantic import SecretStr

from graphroute import Model, RouteHints, optimize


class State(TypedDict):
    """What is asked, and then what was answered."""

    text: str


def test_each_step_gets_the_effort_that_it_is_planned_for() -> None:
    sent: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        sent.append(body)
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "ok"},
        }
        usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
        facts = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
        return httpx.Response(200, json={**facts, "choices": [choice], "usage": usage})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        key = SecretStr("k")

        def chat(effort: str) -> ChatOpenAI:
            return ChatOpenAI(
                model="gpt-5-mini",
                reasoning_effort=effort,
                api_key=key,
                http_client=client,
            )

        low, high = chat("low"), chat("high")

        def ask(state: State) -> State:
            return {"text": str(high.invoke(state["text"]).text)}

        builder = StateGraph(State)
        builder.add_node("easy", ask)
        builder.add_node("hard", ask)
        builder.add_edge(START, "easy")
        builder.add_edge("easy", "hard")
        fast = optimize(
            builder.compile(),
            models=[
                Model("gpt-5-mini at low effort", low, quality=0.6, latency_s=1.0),
                Model("gpt-5-mini at high effort", high, quality=0.9, latency_s=8.0),
            ],
            deadline_s=35.0,
            nodes={"easy": RouteHints(complexity=0.1), "hard": RouteHints(complexity=0.9)},
        )
        assert {a.node: a.model for a in fast.plan.assignments} == {
            "easy": "gpt-5-mini at low effort",
            "hard": "gpt-5-mini at high effort",
        }
        fast.invoke({"text": "hello"})
    assert [body["reasoning_effort"] for body in sent] == ["low", "high"]
    assert {body["model"] for body in sent} == {"gpt-5-mini"}
    models = {m.name: m for m in fast.plan.models}
    for record in fast.records:
        price = models[record.model]
        usd = (1000 * price.price_in_usd + 500 * price.price_out_usd) / 1e6
        assert record.cost_nano == pytest.approx(usd * 1e9)
        assert price.price_out_usd > 0
