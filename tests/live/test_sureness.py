"""Agreement and confidence on two real small models: what is asked, told, recorded and shown.

What models of this size answer is not held to anything; what must follow from it is worked out from
the records.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from platformdirs import user_cache_path
from typing_extensions import TypedDict

from graphroute import Model, RouteHints, optimize, verify
from graphroute.checks.confidence import token_logs
from graphroute.providers import llamacpp
from graphroute.providers._packaged import gemma_path, smollm2_path

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(600)]

CHEAP, DEAR = "llamacpp:smollm2-135m-framed", "llamacpp:gemma-3-270m-framed"
SHOWN = (
    ("Which department: billing or repair? The bill is wrong.", "billing"),
    ("Which department: billing or repair? The lamp is broken.", "repair"),
)
ASKED = (
    "Which department: billing or repair? I was charged twice.",
    "Which department: billing or repair? It does not switch on.",
    "Which department: billing or repair? Please refund me.",
)


class State(TypedDict, total=False):
    prompt: str
    reply: AIMessage


@pytest.fixture(scope="module")
def pool() -> Iterator[list[Model]]:
    """The two models in one frame of examples, at made-up prices."""
    frame = llamacpp.few_shot(SHOWN)
    paths = {
        CHEAP: (smollm2_path(), 1.0, 0.7),
        DEAR: (gemma_path(Path(user_cache_path("graphroute")) / "models"), 50.0, 0.95),
    }
    found = []
    for name, (path, price, quality) in paths.items():
        gguf = llamacpp.Gguf(
            path=path,
            alias=name.partition(":")[2],
            template=frame,
            stop=llamacpp.FEW_SHOT_STOP,
            context_tokens=1024,
            slots=1,
        )
        chat = llamacpp.chat(gguf, temperature=0, max_tokens=6)
        found.append(
            Model(name, chat, local=False, price_in_usd=price, price_out_usd=price, quality=quality)
        )
    yield found
    llamacpp.close()


def _optimized(pool: list[Model], check: Any, floor: float, tmp_path: Path) -> Any:
    own: Any = pool[1].chat

    def ask(state: State) -> State:
        reply = own.invoke(state["prompt"])
        assert isinstance(reply, AIMessage)
        return {"reply": reply}

    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    hints = RouteHints(verify=check, complexity=0.5, min_quality=floor)
    return optimize(
        builder.compile(),
        models=pool,
        objective="cost",
        nodes={"ask": hints},
        cache=False,
        store=tmp_path,
    )


def test_a_model_is_asked_again_until_its_answers_agree_or_cannot(
    pool: list[Model], tmp_path: Path
) -> None:
    fast = _optimized(pool, verify.agreement(3), 0.74, tmp_path)
    planned = fast.plan.assignment("ask")
    assert (planned.model, *planned.then) == (CHEAP, CHEAP, CHEAP, DEAR)
    for prompt in ASKED:
        end = fast.invoke({"prompt": prompt})
        records = [r for r in fast.records if r.run_id == fast.last_run_id]
        cheap = [r for r in records if r.model == CHEAP]
        last = cheap[-1].verdicts[0]
        assert 2 <= len(cheap) <= 3
        assert [r.model for r in records] == [CHEAP] * len(cheap) + [DEAR] * (not last.passed)
        assert [r.verdicts[0].passed for r in cheap[:-1]] == [None] * (len(cheap) - 1)
        assert last.score == pytest.approx(2 / len(cheap) if last.passed else 1 / 3)
        assert all(r.cost_nano > 0 and not r.is_estimated and not r.error for r in records)
        served = end["reply"].response_metadata["model_name"]
        assert served == records[-1].model.partition(":")[2]


def test_real_probabilities_are_read_and_not_shown(pool: list[Model], tmp_path: Path) -> None:
    fast = _optimized(pool, verify.confidence(), 0.72, tmp_path)
    planned = fast.plan.assignment("ask")
    assert (planned.model, planned.then[-1]) == (CHEAP, DEAR)
    cheap: Any = pool[0].chat
    for prompt in ASKED:
        end = fast.invoke({"prompt": prompt})
        plain = cheap.invoke(prompt, logprobs=True)
        first, *rest = [r for r in fast.records if r.run_id == fast.last_run_id]
        (verdict,) = first.verdicts
        logs = token_logs(plain)
        assert verdict.score == pytest.approx(math.exp(sum(logs) / len(logs)), abs=0.05)
        assert bool(rest) == (not verdict.passed)
        assert end["reply"].response_metadata["logprobs"] is None
        assert first.quality is None
