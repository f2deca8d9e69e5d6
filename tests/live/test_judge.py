"""The judge on a real small model: it answers in labels, both orders, with log-probabilities.

How well a model of 135 million parameters judges is not tested here; `benchmarks/judge.py` measures
it.
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, StateGraph

from graphroute import Model, RouteHints, optimize, verify
from graphroute.ir.hints import NANO
from graphroute.providers import llamacpp

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(300)]

SENT = [HumanMessage("What is 2 + 2?")]


async def test_a_real_model_gives_a_verdict(smollm2: llamacpp.Gguf) -> None:
    chat = llamacpp.chat(smollm2, temperature=0.0, max_tokens=1)
    check = verify.judge(chat, options={"logprobs": True, "top_logprobs": 20})
    found = check(SENT, AIMessage("4"))
    assert found.is_known, found.reason
    assert found.score is not None
    assert 0.0 < found.score < 1.0, "a share of probability, not a bare label"
    again = await check.averify(SENT, AIMessage("4"))
    assert again.score == pytest.approx(found.score, abs=0.05)


def test_the_first_model_of_ollama_is_the_judge_where_none_is_named(
    ollama_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama_url)
    found = verify.judge()(SENT, AIMessage("4"))
    assert found.source == "judge", "it was asked, whatever it said"


@pytest.mark.parametrize("limit_usd", [0.01, 0.0004])
def test_in_a_run_a_real_judge_is_recorded_and_paid(
    smollm2: llamacpp.Gguf, limit_usd: float
) -> None:
    own = llamacpp.chat(smollm2, temperature=0.0, max_tokens=8)
    judge = llamacpp.chat(smollm2, temperature=0.0, max_tokens=1)
    builder: Any = StateGraph(dict)
    builder.add_node("answer", lambda _: {"text": own.invoke("What is 2 + 2?").text})
    builder.add_edge(START, "answer")
    fast = optimize(
        builder.compile(),
        models=[
            Model("own", own, price_in_usd=1.0, price_out_usd=1.0),
            Model("judge", judge, price_in_usd=2.0, price_out_usd=2.0, quality=0.1),
        ],
        budget=limit_usd,
        nodes={"answer": RouteHints(verify=verify.judge(judge), models=("own",))},
        store=False,
    )
    assert fast.invoke({})["text"]
    *checks, answer = fast.records
    spent = sum(record.cost_nano for record in fast.records)
    assert spent <= limit_usd * NANO
    assert (answer.model, answer.why, answer.error) == ("own", "plan", None)
    if limit_usd < 0.001:
        assert answer.verdicts[0].passed is None, "two prompts of a judge cost more than is left"
        return
    assert [(check.model, check.is_check, check.out_tokens) for check in checks] == [
        ("judge", True, 1)
    ] * 2
    for check in checks:
        assert check.in_tokens > 50
        assert check.cost_nano == 2_000 * (check.in_tokens + 1)
    assert answer.verdicts[0].source == "judge"
