"""The plan as a value: JSON, schema, hostile input, sentences, drawing, difference, what-if."""

from __future__ import annotations

import json

import jsonschema
import pytest

from graphroute.errors import PlanError, PlanMismatch, UnknownModel
from graphroute.ir.catalog import Catalog
from graphroute.ir.codec import plan_schema
from graphroute.ir.explain import served_by
from graphroute.ir.graph import END, START, Edge, Graph
from graphroute.ir.hints import RouteHints
from graphroute.ir.plan import Plan
from graphroute.planning.options import Packing
from tests.unit.passes.graphs import Arrow, graph, node, triage
from tests.unit.planning.pool import plan, spec

PLANS = [
    plan(triage(), usd=0.03),
    plan(triage(), usd=0.03, deadline_s=30.0, seed=4),
    plan(triage(), objective="cost"),
    plan(triage(draft=RouteHints(pin="openai:big")), usd=0.0),
    plan(graph([node("code", "code")], [])),
]


@pytest.mark.parametrize("made", PLANS)
def test_json_and_back_is_exact_and_validates(made: Plan) -> None:
    text = made.to_json()
    back = Plan.from_json(text)
    assert back.to_json() == text
    assert Plan.from_json(made.to_json(timing=True)) == made
    jsonschema.Draft202012Validator(plan_schema()).validate(json.loads(text))
    assert json.loads(text)["solver"]["ms"] is None


def _broken(change: object) -> str:
    data = json.loads(PLANS[0].to_json())
    assert isinstance(change, dict)
    return json.dumps(data | change)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        PLANS[0].to_json()[:-100],
        PLANS[0].to_json().replace("graphroute.plan/1", "graphroute.plan/2"),
        _broken({"shadow_price": float("nan")}),
        _broken({"shadow_price": float("inf")}),
        _broken({"shadow_price": "much"}),
        _broken({"surplus": 1}),
        _broken({"assignments": [{}]}),
        _broken({"assignments": {"a": 1}}),
        _broken({"graph": None}),
        _broken({"totals": {"cost_expected_usd": 10**400}}),
        "[" * 100_000,
        '{"schema": "graphroute.plan/1", "graph": ' + '{"a":' * 50_000,
        b"\xff\xfe\x00",
        b"x" * (17 * 1024 * 1024),
    ],
)
def test_a_damaged_or_hostile_plan_is_a_plan_mismatch(text: str | bytes) -> None:
    with pytest.raises(PlanMismatch):
        Plan.from_json(text)


def test_explain_tells_the_price_of_quality_and_the_runner_up() -> None:
    text = PLANS[0].explain()
    assert "The budget binds" in text
    assert "runner-up" in text
    assert "draft → " in text
    one = PLANS[0].explain("draft")
    assert one.startswith("draft → ")
    assert "classify →" not in one
    with pytest.raises(KeyError):
        PLANS[0].explain("nowhere")
    assert "No plan" in PLANS[3].explain()
    assert "calls no model" in PLANS[4].explain("code")


def test_explain_shows_the_way_of_private_data() -> None:
    g = graph(
        [
            node("intake", writes=("t",), hints=RouteHints(privacy="local")),
            node("next", reads=("t",)),
        ],
        [(START, "intake"), ("intake", "next")],
    )
    made = plan(g)
    assert {a.local for a in made.assignments} == {True}
    assert "private data comes here by intake → t → next" in made.explain("next")
    assert any("'intake' →(t)→ 'next'" in w for w in made.graph.warnings)


def test_diff_names_nodes_and_totals() -> None:
    poor, rich = plan(triage(), usd=0.002), plan(triage())
    change = poor.diff(rich)
    assert change
    assert change.same_graph
    assert {c.node for c in change.changes} <= {"classify", "draft", "check"}
    assert change.cost_change_usd > 0
    assert change.quality_change > 0
    assert "total:" in str(change)
    assert not poor.diff(poor)
    assert str(poor.diff(poor)) == "the plans are the same"
    assert not poor.diff(PLANS[4]).same_graph


def test_what_if_and_frontier() -> None:
    made = plan(triage(), usd=0.01)
    richer = made.what_if(budget=1.0)
    assert richer.totals.quality > made.totals.quality
    assert richer.what_if(budget=0.01).to_json() == made.to_json()
    without = made.what_if(without_model="openai:mini")
    assert "openai:mini" not in {a.model for a in without.assignments}
    with pytest.raises(UnknownModel, match="the pool has"):
        made.what_if(without_model="none:such")
    points = made.frontier()
    assert len(points) > 2
    costs = [p.cost_usd for p in points]
    assert costs == sorted(costs)
    assert not any(
        a is not b
        and a.cost_usd <= b.cost_usd
        and a.quality >= b.quality
        and a.latency_s <= b.latency_s
        for a in points
        for b in points
    )


@pytest.mark.parametrize(
    ("usd", "objective"),
    [(0.002, "quality"), (0.01, "quality"), (0.03, "quality"), (0.06, "cost"), (0.06, "latency")],
)
def test_the_frontier_holds_the_plan_itself_unless_another_beats_it(
    usd: float, objective: str
) -> None:
    made = plan(triage(), usd=usd, objective=objective)
    assert made.feasible
    t = made.totals
    points = made.frontier()
    is_there = any(p.models == tuple(a.model for a in made.assignments) for p in points)
    beaten = [
        p
        for p in points
        if p.cost_usd <= t.cost_expected_usd
        and p.quality >= t.quality
        and p.latency_s <= t.latency_s
    ]
    assert is_there or beaten
    if objective == "quality":
        # Nothing that costs as little is better: the plan was the best within its budget.
        assert not any(p.cost_usd <= usd and p.quality > t.quality + 1e-9 for p in points)
    assert len({(p.cost_usd, p.quality, p.latency_s) for p in points}) == len(points)


def test_a_plan_from_json_says_to_plan_again() -> None:
    back = Plan.from_json(PLANS[0].to_json())
    with pytest.raises(PlanError, match="plan again"):
        back.frontier()
    with pytest.raises(PlanError, match="plan again"):
        back.what_if(budget=1.0)


def test_mermaid_escapes_names_nests_subgraphs_and_has_a_legend() -> None:
    g = Graph(
        name="g",
        nodes=(
            node('say "hi"]; click a', hints=RouteHints(pin="openai:big")),
            node("sub", "subgraph"),
            node("sub/end"),
        ),
        edges=(
            Edge(source=START, target='say "hi"]; click a'),
            Edge(source='say "hi"]; click a', target="sub", kind="conditional", label='a|b"'),
            Edge(source='say "hi"]; click a', target=END, kind="conditional"),
            Edge(source="sub/__start__", target="sub/end"),
        ),
    )
    text = plan(g).to_mermaid()
    assert text.startswith("flowchart TD\n")
    assert '"hi"' not in text
    assert "#34;hi#34;" in text
    assert 'subgraph n1["sub"]' in text
    assert text.count("subgraph") == text.count("\n  end\n") == 2
    assert "classDef m0" in text
    assert 'legend["models"]' in text
    assert "50%" in text


def sequences() -> Plan:
    """A cascade, a pack and a single model, with a deadline."""
    pool = Catalog(
        models=(
            spec("o:big", 20.0, 0.97),
            spec("o:mini", 1.0, 0.75, latency_s=0.2),
            spec("l:tiny", 0.0, 0.3, local=True),
        )
    )
    nodes = [
        node("answer", hints=RouteHints(verify=print)),
        node("split", "code"),
        node("label", hints=RouteHints(batch="pack", pin="o:mini")),
        node("end"),
    ]
    arrows: list[Arrow] = [(START, "answer"), ("answer", "split"), ("split", "label", "send")]
    arrows += [("label", "end"), ("end", END)]
    pack = Packing(model="o:mini", batch=4, cost_factor=0.3, time_factor=0.4, quality_factor=1.0)
    return plan(
        graph(nodes, arrows), pool=pool, usd=0.02, deadline_s=60.0, packings={"label": [pack]}
    )


def test_every_form_tells_the_models_behind_the_first_packs_and_the_chance_to_be_in_time() -> None:
    made = sequences()
    answer, label = made.assignment("answer"), made.assignment("label")
    assert answer is not None
    assert label is not None
    assert (answer.kind, label.kind) == ("cascade", "packed")
    chain = served_by(answer)
    assert chain.endswith(" by check")
    for text in (made.to_mermaid(), made._repr_html_(), str(made.diff(made.what_if(budget=0.0)))):
        assert chain in text.replace("#215;", "×")
        assert "o:mini with 4 tasks a prompt" in text
    for name in (answer.model, *answer.then):
        assert f'["{name}"]' in made.to_mermaid().partition("legend")[2]
    assert "of runs end by the deadline of 60 s" in made._repr_html_()
    assert "is asked; 1." in made.explain("answer")
    assert "up to 4 tasks go into one prompt, 4 calls into 1 or more" in made.explain("label")


def test_notebook_forms_escape_html() -> None:
    made = plan(graph([node("<script>")], [(START, "<script>")]))
    bundle = made._repr_mimebundle_()
    assert "<script>" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert bundle["text/vnd.mermaid"] == made.to_mermaid()
    assert "No plan" in PLANS[3]._repr_html_()
