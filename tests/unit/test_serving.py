"""What a graph is served by: a policy gets what it works with, a cache what it shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphroute.batching._one_by_one import OneByOne
from graphroute.ir.batch import Flush, Gathering
from graphroute.ir.catalog import Catalog
from graphroute.ir.graph import END, START, Edge, Graph, Node
from graphroute.ir.hints import RouteHints
from graphroute.serving import admission, batch_policy, packings
from tests.unit.runtime.situations import assignment_for, plan_for, spec_for

HINTS = (RouteHints(),)


class Foreign(OneByOne):
    """Somebody else's policy, which says nothing of its means."""

    name = "foreign"

    def __getattribute__(self, name: str) -> Any:
        if name == "means":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def gather(self, group: Gathering) -> Flush:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("batch", "packs", "batches"),
    [
        ("immediate", False, False),
        ("window", False, False),
        ("prefix", False, False),
        ("pack", True, False),
        ("deferred", False, True),
        (Foreign(), True, True),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_policy_is_given_what_it_works_with(
    batch: Any, packs: bool, batches: bool, tmp_path: Path
) -> None:
    policy = batch_policy(batch, HINTS, keeps_own=True)
    made = admission(policy, store=tmp_path, seed=0)
    assert made is not None
    assert (made.packer is not None, made.deferral is not None) == (packs, batches)


@pytest.mark.parametrize(
    ("asked", "keeps_own", "name"),
    [
        (None, True, None),
        (None, False, "immediate"),
        (False, True, None),
        (True, True, "window"),
        ("pack", True, "pack"),
    ],
)
def test_without_a_word_the_nodes_decide(asked: Any, keeps_own: bool, name: str | None) -> None:
    policy = batch_policy(None, (RouteHints(), RouteHints(batch=asked)), keeps_own=keeps_own)
    assert (None if policy is None else policy.name) == name


@pytest.mark.parametrize(("kind", "node"), [("send", "judge"), ("conditional", "judge")])
def test_only_tasks_that_are_sent_are_planned_to_share_a_prompt(
    kind: Any, node: str, tmp_path: Path
) -> None:
    prompt = "Is it good or bad? Answer with one word and nothing else. " * 20 + "{text}"
    hints = RouteHints(batch="pack", max_output_tokens=8)
    graph = Graph(
        name="g",
        nodes=(Node(name=node, kind="llm", prompts=(prompt,), hints=hints),),
        edges=(Edge(source=START, target=node, kind=kind), Edge(source=node, target=END)),
    )
    made = plan_for(assignment_for(node, "m", expected_visits=30.0))
    catalog = Catalog(models=(spec_for("m"),))
    pack, window = (batch_policy(name, HINTS, keeps_own=False) for name in ("pack", "window"))
    found = packings(pack, graph, catalog, made, store=tmp_path)
    assert (node in found) == (kind == "send")
    for policy in (window, None):
        assert packings(policy, graph, catalog, made, store=tmp_path) == {}
