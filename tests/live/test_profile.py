"""The triage example is profiled on the two embedded models, and runs by what was found.

Models of this size prove that the parts work together; figures: `benchmarks/profiling.py --live`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphroute import RouteHints, optimize, verify
from graphroute.demo.tickets import Expected, folder, read, score
from graphroute.profiling import NodeProfileReport, profile
from graphroute.profiling.intervals import share
from graphroute.providers import llamacpp

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live"), pytest.mark.timeout(900)]

PROFILED = 8
RUN = 6
LIMIT_S = 240.0

_FACTS = {
    "type": "object",
    "required": ["name", "order"],
    "properties": {"name": {"type": "string", "minLength": 1}, "order": {"type": "string"}},
}
NODES = {
    "classify": RouteHints(verify=verify.regex("positive|negative")),
    "extract": RouteHints(verify=verify.schema(_FACTS)),
    "draft": RouteHints(verify=verify.regex(r"Dear \w+ \w+,.*\d{4}")),
}


@pytest.fixture(scope="module")
def example() -> Iterator[tuple[Any, Any]]:
    """The graph of the example and its two models."""
    place = str(folder())
    sys.path.insert(0, place)
    try:
        import small_models
        import triage
    finally:
        sys.path.remove(place)
    for chat in (small_models.strong, small_models.weak):
        chat.invoke("hello", max_tokens=1)
    yield triage.graph, small_models
    llamacpp.close()


def _tickets() -> tuple[Expected, ...]:
    return read(folder() / "data" / "tickets.jsonl")


def _run(fast: Any) -> tuple[list[float], float]:
    """Scores of the tickets that were not profiled, and what one of them cost."""
    got = [score(fast.invoke({"ticket": e.ticket}), e).quality for e in _tickets()[-RUN:]]
    return got, sum(record.cost_nano for record in fast.records) / 1e9 / RUN


def test_profile_then_run_at_half_the_money(example: tuple[Any, Any], tmp_path: Path) -> None:
    graph, models = example
    known = {each.ticket: each for each in _tickets()}
    found = profile(
        graph,
        [{"input": {"ticket": each.ticket}} for each in _tickets()[:PROFILED]],
        models=models.POOL,
        nodes=NODES,
        store=tmp_path,
        score=lambda state, line: score(state, known[line.input["ticket"]]).quality,
        influence_runs=3,
        max_s=LIMIT_S,
    )
    _check(found, models)
    strong, dear = _run(optimize(graph, models=[models.STRONG], store=False))
    given = {"models": models.POOL, "nodes": NODES, "budget": dear / 2}
    fast = optimize(graph, store=tmp_path, **given)
    assert all(planned.judged >= PROFILED for planned in fast.plan.assignments)
    got, cost = _run(fast)
    assert cost <= dear / 2
    of_strong, of_plan = share(strong), share(got)
    assert of_strong is not None
    assert of_plan is not None
    assert of_plan.mean >= of_strong.low


def _check(found: NodeProfileReport, models: Any) -> None:
    assert found.took_s < 300
    assert found.runs == PROFILED
    extract = {
        name: cell.quality
        for name in (models.STRONG.name, models.WEAK.name)
        if (cell := found.cell("extract", name)) is not None
    }
    # What LOCAL models can show: with its frame the strong one writes JSON, the weak one does not.
    strong, weak = extract[models.STRONG.name], extract[models.WEAK.name]
    assert strong is not None
    assert weak is not None
    assert strong.low > weak.high
    assert found.calls <= 2 * (PROFILED * 4)
    assert found.calls < found.whole_calls / 3
    assert found.spent_usd == pytest.approx(
        sum(record.cost_nano for record in found.records) / 1e9, rel=0.5
    )
