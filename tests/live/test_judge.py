"""The judge on a real small model: it answers in labels, both orders, with log-probabilities.

How well a model of 135 million parameters judges is not tested here; `benchmarks/judge.py` measures
it.
"""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from graphroute import verify
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
