from __future__ import annotations

import pytest

from graphroute.ir.graph import Edge, Graph, Node, SchemaFact, ToolFact
from graphroute.ir.hints import RouteHints
from graphroute.ir.profile import StepScore
from graphroute.scorers.structural import build


def score(node: Node, *edges: Edge) -> StepScore:
    return build().step(node, Graph(name="g", nodes=(node,), edges=edges))


def llm(name: str, prompt: str = "", **facts: object) -> Node:
    return Node(name=name, kind="llm", prompts=(prompt,) if prompt else (), **facts)  # type: ignore[arg-type]


def test_kinds_of_work_are_ordered() -> None:
    prompts = (
        "Classify the ticket as billing or bug: {ticket}",
        "Summarize this document: {document}",
        "Write a friendly reply to {customer}",
        "Write code that passes the unit tests: {tests}",
        "Prove the theorem: {theorem}",
    )
    values = [score(llm("step", prompt)).difficulty for prompt in prompts]
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.3


def test_tools_and_fields_make_a_step_harder_and_are_told() -> None:
    plain = score(llm("extract", "Extract the order"))
    tools = tuple(ToolFact(name=f"t{i}", fields=1) for i in range(3))
    rich = score(
        llm(
            "extract", "Extract", tools=tools, output_schema=SchemaFact(name="O", fields=9, depth=2)
        )
    )
    assert rich.difficulty > plain.difficulty + 0.1
    assert rich.reason.startswith("extraction, 3 tools, output schema of 9 fields in 2 levels")


def test_one_field_is_easier_than_free_text_and_than_many_fields() -> None:
    one, many = (
        score(llm("classify", "Classify", output_schema=SchemaFact(name="L", fields=n)))
        for n in (1, 8)
    )
    assert one.difficulty < score(llm("classify", "Classify")).difficulty < many.difficulty


def test_the_authors_complexity_wins_with_a_narrow_interval() -> None:
    hinted = score(llm("prove", "Prove it", hints=RouteHints(complexity=0.1)))
    assert hinted.difficulty == 0.1
    assert hinted.high - hinted.low <= 0.1
    assert "author" in hinted.reason


def test_what_could_not_be_seen_widens_the_interval_and_is_told() -> None:
    seen = score(llm("draft", "Write a reply"))
    hidden = score(Node(name="draft", kind="unknown", sight="opaque", sight_reason="no bytecode"))
    assert hidden.high - hidden.low > seen.high - seen.low
    assert "no bytecode" in hidden.reason


def test_place_in_the_graph_is_told() -> None:
    loop = (Edge(source="draft", target="draft", kind="conditional"),)
    assert "loop" in score(llm("draft", "Write"), *loop).reason
    joins = tuple(Edge(source=s, target="merge", kind="join") for s in ("a", "b"))
    assert "joins branches" in score(llm("merge", "Write"), *joins).reason
    send = (Edge(source="split", target="work", kind="send"),)
    assert "parallel" in score(llm("work", "Summarize"), *send).reason


@pytest.mark.parametrize("prompt", ["", "{" * 5000, "x" * 300_000, "\x00\ud800"])
def test_any_prompt_gives_a_bounded_deterministic_score(prompt: str) -> None:
    first, second = (score(llm("n", prompt)) for _ in range(2))
    assert first == second
    assert 0 <= first.low <= first.difficulty <= first.high <= 1


def test_what_is_judgement_and_not_measured_is_told() -> None:
    assert score(llm("draft", "Write a reply")).reason.endswith("by judgement")
    assert "judgement" not in score(llm("qa", "Answer the question")).reason
    assert "judgement" not in score(llm("step", hints=RouteHints(complexity=0.4))).reason


def test_the_interval_has_the_measured_width() -> None:
    known = score(llm("qa", "Answer the question"))
    unknown = score(llm("step_2"))
    assert (known.high - known.low) / 2 == pytest.approx(0.23, abs=1e-3)
    assert (unknown.high - unknown.low) / 2 == pytest.approx(0.30, abs=1e-3)
