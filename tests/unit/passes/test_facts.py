"""Branch probabilities, tokens, bounds, critical path and taint."""

from __future__ import annotations

from itertools import pairwise

import pytest

from graphroute.ir.facts import Facts, Observed
from graphroute.ir.graph import (
    END,
    START,
    Edge,
    Graph,
    ModelUse,
    Node,
    SchemaFact,
    ToolFact,
)
from graphroute.ir.hints import RouteHints
from graphroute.passes.bounds import most_visits
from graphroute.passes.probabilities import probabilities
from graphroute.planner import study
from tests.unit.passes.graphs import Arrow, graph, node


def test_stated_probabilities_are_kept_and_the_rest_is_shared() -> None:
    edges = tuple(
        Edge(source="a", target=t, kind="conditional", probability=p)
        for t, p in (("b", 0.7), ("c", None), (END, None))
    )
    found = probabilities(Facts(graph=Graph(name="g", nodes=(), edges=edges)))
    assert found.probabilities == pytest.approx((0.7, 0.15, 0.15))


@pytest.mark.parametrize("stated", [(0.9, 0.9), (2.0, 2.0), (0.0, 0.0)])
def test_stated_probabilities_that_do_not_add_up_are_proportions(
    stated: tuple[float, float],
) -> None:
    edges = tuple(
        Edge(source="a", target=t, kind="conditional", probability=p)
        for t, p in zip("bc", stated, strict=True)
    )
    found = probabilities(Facts(graph=Graph(name="g", nodes=(), edges=edges)))
    assert found.probabilities == pytest.approx((0.5, 0.5))


def test_two_edges_to_one_target_share_its_probability() -> None:
    arrows: list[Arrow] = [("a", t, "conditional") for t in ("b", "b", "c")]
    assert probabilities(Facts(graph=graph("abc", arrows))).probabilities == pytest.approx(
        (0.25, 0.25, 0.5)
    )


def test_most_visits_follow_loops_forks_and_the_recursion_limit() -> None:
    arrows: list[Arrow] = [
        (START, "a"),
        ("a", "b"),
        ("a", "c"),
        ("c", "b"),
        ("b", "loop"),
        ("loop", "back"),
        ("back", "loop", "conditional"),
        ("back", END, "conditional"),
    ]
    found = most_visits(
        Facts(graph=graph(["a", "b", "c", "loop", "back"], arrows), recursion_limit=25)
    )
    assert found == {"a": 1, "b": 2, "c": 1, "loop": 13, "back": 13}


def test_tokens_count_prompts_state_tools_and_schema() -> None:
    plain = node("plain", prompts=("x" * 400,))
    rich = node(
        "rich",
        prompts=("x" * 392 + "{a} {b}!",),
        tools=(ToolFact(name="t", fields=2),),
        output_schema=SchemaFact(name="s", fields=9),
    )
    found = {t.node: t for t in study(graph([plain, rich], [])).tokens}
    assert found["plain"].in_tokens == 100
    assert found["rich"].in_tokens == 100 + 2 * 150 + 60 + 2 * 20 + 9 * 20
    assert found["rich"].out_tokens == 20 + 9 * 15
    assert found["plain"].max_out_tokens is None


def test_a_cap_lowers_the_expected_answer_and_records_replace_priors() -> None:
    capped = node("capped", hints=RouteHints(max_output_tokens=100))
    used = node("used", models=(ModelUse(name="m", via="x", max_output_tokens=50),))
    code = node("code", "code")
    seen = Observed(out_tokens={"used": 7.0}, in_tokens={"used": 9.0}, calls={"used": 1.5})
    facts = study(graph([capped, used, code], []), observed=seen)
    found = {t.node: t for t in facts.tokens}
    assert "code" not in found
    assert (found["capped"].out_tokens, found["capped"].max_out_tokens) == (60.0, 100)
    assert (found["used"].out_tokens, found["used"].in_tokens, found["used"].calls) == (7, 9, 1.5)


def test_the_critical_path_takes_the_longer_branch() -> None:
    short = node("short", hints=RouteHints(max_output_tokens=10))
    arrows: list[Arrow] = [
        (START, "a"),
        ("a", "short"),
        ("a", "long"),
        ("short", "end"),
        ("long", "end"),
    ]
    assert study(graph(["a", short, "long", "end"], arrows)).critical_path == ("a", "long", "end")


def test_taint_follows_state_keys_until_a_redactor() -> None:
    local, clean = RouteHints(privacy="local"), RouteHints(privacy="any")
    nodes = [
        node("intake", writes=("ticket",), hints=local),
        node("classify", reads=("ticket",), writes=("label",)),
        node("redact", "code", reads=("ticket",), writes=("clean",), hints=clean),
        node("draft", reads=("clean",)),
        node("file", reads=("label",)),
        node("other", reads=("question",)),
    ]
    names = [n.name for n in nodes]
    arrows: list[Arrow] = [(START, "intake"), *pairwise(names)]
    found = {t.node: t.path for t in study(graph(nodes, arrows)).taints}
    assert found == {
        "intake": ("intake",),
        "classify": ("intake", "ticket", "classify"),
        "file": ("intake", "ticket", "classify", "label", "file"),
    }


def test_taint_does_not_flow_to_what_ran_before() -> None:
    nodes = [
        node("first", reads=("k",)),
        node("secret", writes=("k",), hints=RouteHints(privacy="local")),
    ]
    found = study(graph(nodes, [(START, "first"), ("first", "secret")])).taints
    assert [t.node for t in found] == ["secret"]


def test_taint_enters_subgraphs() -> None:
    nodes = [
        node("secret", writes=("k",), hints=RouteHints(privacy="local")),
        node("sub", "subgraph"),
        node("sub/x", reads=("k",)),
    ]
    arrows: list[Arrow] = [(START, "secret"), ("secret", "sub"), ("sub/__start__", "sub/x")]
    assert [t.node for t in study(graph(nodes, arrows)).taints] == ["secret", "sub/x"]


def ring(*middle: str, entry: str = "draft") -> list[Arrow]:
    names = ["draft", *middle, "check"]
    return [
        (START, entry),
        *pairwise(names),
        ("check", "draft", "conditional"),
        ("check", END, "conditional"),
    ]


def test_a_step_that_can_be_sent_back_is_checked() -> None:
    code = node("check", "code")
    (role,) = study(graph(["draft", code], ring())).roles
    assert (role.node, role.kind, role.by, role.is_alone) == ("draft", "checked", "check", True)
    both = study(graph(["draft", "polish", code], ring("polish"))).roles
    assert [(r.node, r.is_alone) for r in both] == [("draft", False), ("polish", False)]
    judged = study(graph(["draft", "check"], ring())).roles
    assert [(r.node, r.is_alone) for r in judged] == [("draft", False)]


def test_supervisors_agents_and_loops_entered_elsewhere_check_nothing() -> None:
    code = node("check", "code")
    assert study(graph(["draft", code], ring(entry="check"))).roles == ()
    agent: list[Arrow] = [(START, "agent"), ("tools", "agent")]
    agent += [("agent", "tools", "conditional"), ("agent", END, "conditional")]
    assert study(graph(["agent", node("tools", "tool")], agent)).roles == ()
    alone: list[Arrow] = [(START, "a"), ("a", "a", "conditional"), ("a", END, "conditional")]
    assert study(graph(["a"], alone)).roles == ()
    side: list[Arrow] = [*ring(), ("draft", "log")]
    assert study(graph(["draft", code, node("log", "code")], side)).roles == ()


def test_equal_questions_for_one_join_are_votes() -> None:
    def ask(name: str, prompt: str = "Is it so?") -> Node:
        return node(name, prompts=(prompt,), reads=("q",), writes=("answers",))

    arrows: list[Arrow] = []
    for name in "abc":
        arrows += [(START, name), (name, "count", "join")]
    count = node("count", "code")
    found = study(graph([ask("a"), ask("b"), ask("c"), count], arrows)).roles
    assert [(r.node, r.kind, r.by, r.among) for r in found] == [
        (n, "vote", "count", 3) for n in "abc"
    ]
    other = study(graph([ask("a"), ask("b"), ask("c", "Why?"), count], arrows)).roles
    assert [r.node for r in other] == ["a", "b"]
    unseen = [node(n, writes=("answers",)) for n in "abc"]
    assert study(graph([*unseen, count], arrows)).roles == ()


def test_chances_of_another_round_are_those_of_the_loop_itself() -> None:
    facts = study(graph(["draft", node("check", "code")], ring()))
    assert facts.loops[0].again == pytest.approx((0.5, 0.5), abs=1e-4)
    rare: list[Arrow] = [
        (START, "a"),
        ("a", "draft", "conditional"),
        ("a", END, "conditional"),
        ("draft", "check"),
        ("check", "draft", "conditional"),
        ("check", END, "conditional"),
    ]
    behind = study(graph(["a", "draft", node("check", "code")], rare))
    assert behind.loops[0].again == pytest.approx((0.5, 0.5), abs=1e-4)
    sent: list[Arrow] = [(START, "a"), ("a", "a", "send"), ("a", END, "conditional")]
    assert study(graph(["a"], sent), recursion_limit=5).loops[0].again == (0.0,)


def test_a_recorded_fan_out_is_drawn_to_the_prior_while_it_is_new() -> None:
    arrows: list[Arrow] = [(START, "split"), ("split", "work", "send")]
    for seen, tasks in ((2.0, 7.0), (998.0, 9.988)):
        observed = Observed(fanout={"work": 10.0}, activations={"work": seen})
        found = study(graph(["split", "work"], arrows), observed=observed)
        # Gamma posterior mean: (2 · 4 + seen · 10) / (2 + seen).
        assert found.visits[1].expected == pytest.approx(tasks)
