"""Cascades on the two real small models: the free one first, the strong one where a check refuses.

What models of this size answer is not held to anything here. One check goes by which server has
answered, so that what is asked is known beforehand; the other is the example's own, and what must
follow from its verdicts is worked out from the records.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from graphroute import RouteHints, optimize
from graphroute.demo.tickets import folder
from graphroute.ir.record import CallRecord
from graphroute.providers import llamacpp

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(600)]

WEAK, STRONG = "llamacpp:smollm2-135m", "llamacpp:gemma-3-270m"
STAGES = (WEAK, WEAK, STRONG)
ENOUGH_USD, SCARCE_USD = 0.002, 0.0008


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    """`examples/checked.py`."""
    place = str(folder())
    sys.path.insert(0, place)
    try:
        yield importlib.import_module("checked")
    finally:
        sys.path.remove(place)
    llamacpp.close()


def _customers(example: ModuleType) -> list[dict[str, str]]:
    found: list[dict[str, str]] = example.customers(folder() / "data" / "tickets.jsonl")
    return found


def _is_of_the_strong_model(messages: Sequence[Any], reply: AIMessage) -> bool:
    return bool(reply.response_metadata["model_name"] == "gemma-3-270m")


def _optimized(example: ModuleType, tmp_path: Path, budget: float, verify: Any = None) -> Any:
    hints = RouteHints(min_quality=0.7, max_output_tokens=24, verify=verify)
    return optimize(
        example.graph,
        models=example.POOL,
        objective="cost",
        budget=budget,
        nodes={"draft": hints},
        store=tmp_path,
    )


def _check_asked_in_turn(fast: Any, records: Sequence[CallRecord]) -> None:
    planned = fast.plan.assignment("draft")
    assert (planned.model, *planned.then) == STAGES
    assert [record.model for record in records] == list(STAGES)
    assert [record.quality for record in records] == [0.0, 0.0, 1.0]
    assert [record.cost_nano > 0 for record in records] == [False, False, True]
    assert sum(record.cost_nano for record in records) <= ENOUGH_USD * 1e9
    assert not any(record.error or record.fault or record.is_estimated for record in records)


def test_the_strong_model_is_asked_and_paid_where_the_check_refuses(
    example: ModuleType, tmp_path: Path
) -> None:
    fast = _optimized(example, tmp_path, ENOUGH_USD, _is_of_the_strong_model)
    customer = _customers(example)[0]
    told = list(fast.stream(customer, stream_mode=["messages", "values"]))
    _check_asked_in_turn(fast, fast.records)
    own = example.strong.invoke(
        f"Repeat this line: Dear {customer['name']}, we are sorry about order {customer['order']}.",
        max_tokens=24,
    )
    shown = [said[0].text for mode, said in told if mode == "messages"]
    assert "".join(shown) == own.text, "the answer that stands, and no token of a refused one"
    assert told[-1][1]["reply"] == own.text.strip()
    assert dict(fast.report().totals.calls_by) == {WEAK: 2, STRONG: 1}


async def test_an_async_run_asks_in_the_same_turn(example: ModuleType, tmp_path: Path) -> None:
    async def check(messages: Sequence[Any], reply: AIMessage) -> bool:
        return _is_of_the_strong_model(messages, reply)

    fast = _optimized(example, tmp_path, ENOUGH_USD, check)
    end = await fast.ainvoke(_customers(example)[1])
    _check_asked_in_turn(fast, fast.records)
    assert end["reply"]


def test_the_answer_that_is_there_stands_where_no_money_is_left(
    example: ModuleType, tmp_path: Path
) -> None:
    fast = _optimized(example, tmp_path, SCARCE_USD, _is_of_the_strong_model)
    # Longer than the plan expects: the strong model's prompt alone would cost more than there is.
    end = fast.invoke({"name": "Ann " * 500, "order": "4471"})
    assert end["reply"]
    assert {record.model for record in fast.records} == {WEAK}
    assert all((record.quality, record.cost_nano) == (0.0, 0) for record in fast.records)


def test_the_check_of_the_example_decides_who_is_asked(example: ModuleType, tmp_path: Path) -> None:
    fast = _optimized(example, tmp_path, ENOUGH_USD)
    asked_again = 0
    for customer in _customers(example)[:5]:
        before = len(fast.records)
        reply = fast.invoke(customer)["reply"]
        records = fast.records[before:]
        assert tuple(record.model for record in records) == STAGES[: len(records)]
        assert all(record.quality == 0.0 for record in records[:-1])
        is_good = customer["name"] in reply and customer["order"] in reply
        assert records[-1].quality == float(is_good)
        assert is_good or len(records) == len(STAGES)
        asked_again += len(records) > 1
    # SmolLM2 lacks one of the facts in 8 of the 20 lines: not in all of five, nor in none.
    assert 0 < asked_again < 5


async def test_readers_see_the_answer_that_stands_and_no_token_of_the_others(
    example: ModuleType, tmp_path: Path
) -> None:
    fast = _optimized(example, tmp_path, ENOUGH_USD, verify=_is_of_the_strong_model)
    asked = _customers(example)[0]
    parts = [part async for part in fast.astream(asked, stream_mode="messages")]
    ((message, meta),) = parts
    assert meta["langgraph_node"] == "draft"
    assert message.response_metadata["model_name"] == "gemma-3-270m"
    events = [event async for event in fast.astream_events(asked, version="v2")]
    told = [event["event"] for event in events if "chat_model" in event["event"]]
    assert told.count("on_chat_model_stream") == 1
    assert told.count("on_chat_model_end") == len(STAGES)
