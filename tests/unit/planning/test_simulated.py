"""Fan-outs of simulated runs: their spread, what grows with them, what it does to the tail."""

from __future__ import annotations

import numpy as np
import pytest

from graphroute.ir.catalog import Catalog
from graphroute.ir.facts import Observed
from graphroute.ir.graph import END, START, Graph
from graphroute.planner import study
from graphroute.planning.simulated import simulate
from tests.unit.passes.graphs import graph, node
from tests.unit.planning.pool import BIG, plan


def fan(*, inner: bool = False) -> Graph:
    name = "read/ask" if inner else "read"
    nodes = [node("split", "code"), node("read", "subgraph" if inner else "llm"), node("sum")]
    nodes += [node(name)] if inner else []
    arrows = [(START, "split"), ("split", "read", "send"), ("read", "sum"), ("sum", END)]
    inside = [("read/__start__", "read/ask"), ("read/ask", "read/__end__")] if inner else []
    return graph(nodes, [*arrows, *inside])  # type: ignore[list-item]  # two or three names


def test_a_fan_out_of_unknown_size_spreads_as_its_posterior_says() -> None:
    found = simulate(study(fan()), ("read", "sum"), seed=3)
    tasks = found.visits[:, 0] * found.growth[:, 0]
    # Negative binomial: mean 4, variance 4 + 4²/8.
    assert tasks.mean() == pytest.approx(4.0, abs=0.4)
    assert tasks.var() == pytest.approx(6.0, abs=1.5)
    assert (tasks == np.round(tasks)).all()
    assert (found.growth[:, 1] == 1).all()


def test_records_narrow_it_and_a_mean_at_its_word_leaves_chance_alone() -> None:
    seen = Observed(fanout={"read": 9.0}, activations={"read": 2_000.0})
    many = simulate(study(fan(), observed=seen), ("read",), seed=0)
    assert (many.visits * many.growth).var() == pytest.approx(9.0, abs=2.0)
    word = simulate(study(fan(), observed=Observed(fanout={"read": 9.0})), ("read",), seed=0)
    assert (word.visits * word.growth).mean() == pytest.approx(9.0, abs=0.5)


def test_what_is_inside_a_subgraph_that_is_sent_to_grows_with_it() -> None:
    found = simulate(study(fan(inner=True)), ("read", "read/ask"), seed=0)
    assert (found.growth[:, 0] == found.growth[:, 1]).all()
    assert found.growth[:, 0].std() > 0.3


def test_a_fan_out_inside_a_fan_out_grows_with_it() -> None:
    nodes = [node("split", "code"), node("part"), node("line")]
    arrows = [(START, "split"), ("split", "part", "send"), ("part", "line", "send"), ("line", END)]
    found = simulate(study(graph(nodes, arrows)), ("part", "line"), seed=0)  # type: ignore[arg-type]
    part, line = found.growth.T
    assert line[part > 1.3].mean() > 1.7 * line[part < 1].mean()
    assert line.mean() == pytest.approx(1.0, abs=0.12)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    facts = study(fan())
    first, again, other = (simulate(facts, ("read",), seed=s).growth for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_plan_tells_the_tail_of_a_fan_out_and_that_nothing_bounds_it() -> None:
    pool = Catalog(models=(BIG,))
    wide = plan(fan(), pool=pool)
    alone = study(fan())
    cost = wide.totals.cost_expected_usd
    assert wide.totals.cost_worst_usd is None
    assert max(v.most for v in alone.visits) == float("inf")
    known = plan(fan(), pool=pool, observed=Observed(fanout={"read": 4.0}))
    assert known.totals.cost_expected_usd == pytest.approx(cost)
    # The same mean, but nobody has seen it: the tail is longer.
    assert wide.totals.cost_p95_usd > known.totals.cost_p95_usd > 1.3 * cost


def test_a_large_fan_out_makes_a_run_late_as_often_as_it_is_drawn() -> None:
    made = plan(fan(), pool=Catalog(models=(BIG,)))
    loose = made.what_if(deadline_s=3 * made.totals.latency_s).totals.on_time
    tight = made.what_if(deadline_s=1.05 * made.totals.latency_s).totals.on_time
    assert loose is not None
    assert tight is not None
    assert loose > 0.95 > tight
