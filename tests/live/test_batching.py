"""A fan-out on a real llama.cpp: gates, prompt cache, and a pack that the server really answers."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from graphroute import RouteHints, optimize
from graphroute.providers import llamacpp
from graphroute.providers._llama_chat import LlamaCppChat
from graphroute.runtime import dialect, gates, packing
from graphroute.runtime.entrance import IN_PACK
from graphroute.runtime.gates import SPARE
from graphroute.runtime.replayed import ReplayedChat
from graphroute.runtime.request import Request
from graphroute.runtime.template import template_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(300)]

ANIMALS = ("cat", "dog", "cow", "horse", "sheep", "goat", "duck", "mouse")
TASK = (
    "Here is the name of an animal. Say in one word and in English what sound this animal makes, "
    "as one would write it in a book for small children. Animal: {} One word only."
)


class State(TypedDict, total=False):
    animal: str
    sounds: Annotated[list[str], operator.add]


class Watched(LlamaCppChat):
    """Counts the calls that are with the server at once."""

    inside: int = 0
    most: int = 0

    async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            return await super()._agenerate(*args, **kwargs)
        finally:
            self.inside -= 1


def _graph(chat: LlamaCppChat) -> Any:
    async def listen(state: State) -> State:
        return {"sounds": [(await chat.ainvoke(TASK.format(state["animal"]))).text]}

    builder = StateGraph(State)
    builder.add_node("listen", listen)
    builder.add_conditional_edges(
        START, lambda _: [Send("listen", {"animal": each}) for each in ANIMALS], ["listen"]
    )
    return builder.compile()


def _watched(gguf: llamacpp.Gguf) -> Watched:
    plain = llamacpp.chat(gguf, temperature=0, max_tokens=6)
    fields = {name: getattr(plain, name) for name in plain.model_fields_set}
    return Watched(**{**fields, "base_url": fields["openai_api_base"]})


@pytest.mark.parametrize("policy", ["immediate", "window", "prefix"])
async def test_the_server_gets_what_its_slots_take(policy: str, smollm2: llamacpp.Gguf) -> None:
    chat = _watched(smollm2)
    fast = optimize(_graph(chat), batch=policy, cache=False)
    end = await fast.ainvoke({})
    assert len(end["sounds"]) == len(fast.records) == len(ANIMALS)
    assert all(record.error is None and record.fault is None for record in fast.records)
    assert 1 <= chat.most <= smollm2.slots + SPARE
    assert gates.shared().limits()[fast.records[0].model] == smollm2.slots + SPARE


async def test_the_prompt_cache_is_reported(smollm2: llamacpp.Gguf) -> None:
    fast = optimize(_graph(llamacpp.chat(smollm2, temperature=0)), batch="prefix", cache=False)
    await fast.ainvoke({})
    cached = [record.cached_tokens for record in fast.records]
    assert sum(each > 0 for each in cached) >= len(ANIMALS) - smollm2.slots
    assert all(r.cached_tokens <= r.in_tokens for r in fast.records)


def test_a_server_is_held_to_the_keys_of_a_pack(smollm2: llamacpp.Gguf) -> None:
    """What it says is another matter: a model of this size cannot do eight things at once."""
    chat = llamacpp.chat(smollm2, temperature=0)
    prompts = [[HumanMessage(TASK.format(animal))] for animal in ANIMALS]
    template = template_of(prompts)
    assert template is not None
    items = [item for each in prompts if (item := template.item(each)) is not None]
    assert items == list(ANIMALS)
    packed = packing.pack(template, items, seed=0, answer_chars=12, max_tokens=200)
    written = dialect.write(
        packed.request(Request()), own=ReplayedChat(model_name="pack"), target=chat
    )
    answer = chat.invoke(list(packed.messages), stop=written.stop, **written.kwargs)
    parts = packing.unpack(packed, answer)
    assert sum(part is not None for part in parts) >= len(ANIMALS) // 2
    assert all(len(part.text) <= 12 for part in parts if part is not None)
    used = [p.usage_metadata["input_tokens"] for p in parts if p and p.usage_metadata]
    assert answer.usage_metadata is not None
    assert sum(used) <= answer.usage_metadata["input_tokens"]


async def test_packing_that_loses_is_found_out_and_costs_no_answer(smollm2: llamacpp.Gguf) -> None:
    chat = llamacpp.chat(smollm2, temperature=0, max_tokens=6)
    plain = await _graph(chat).ainvoke({})
    hints = {"listen": RouteHints(batch="pack")}
    fast = optimize(_graph(chat), batch="pack", nodes=hints, cache=False)
    for _ in range(3):
        assert (await fast.ainvoke({}))["sounds"] == plain["sounds"]
    in_packs = [record for record in fast.records if record.why == IN_PACK]
    assert len(in_packs) <= 3 * len(ANIMALS)


def test_a_cancelled_run_leaves_its_slots(smollm2: llamacpp.Gguf) -> None:
    fast = optimize(_graph(llamacpp.chat(smollm2, temperature=0)), batch="window", cache=False)

    async def interrupted() -> None:
        task = asyncio.create_task(fast.ainvoke({}))
        await asyncio.sleep(0.2)  # until some are with the server and the others in line
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len((await fast.ainvoke({}))["sounds"]) == len(ANIMALS)

    asyncio.run(interrupted())
