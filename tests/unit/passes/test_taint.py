"""Private data on every way it can take: keys, `Send`s, subgraphs, redactors, unseen writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from graphroute.ir.graph import END, START, Node
from graphroute.ir.hints import RouteHints
from graphroute.planner import study
from tests.unit.passes.graphs import Arrow, graph, node

LOCAL, CLEAN = RouteHints(privacy="local"), RouteHints(privacy="any")


def intake(writes: tuple[str, ...] = ("ticket",)) -> Node:
    return node("intake", hints=LOCAL, writes=writes)


def pinned(nodes: Sequence[Node], arrows: Sequence[Arrow]) -> dict[str, tuple[str, ...]]:
    return {t.node: t.path for t in study(graph(nodes, arrows)).taints}


def chain(*nodes: Node) -> dict[str, tuple[str, ...]]:
    stops = [START, *(n.name for n in nodes), END]
    return pinned(nodes, list(pairwise(stops)))


def test_a_second_way_around_the_redactor_still_pins() -> None:
    redact = node("redact", "code", reads=("ticket",), writes=("clean",), hints=CLEAN)
    assert set(chain(intake(), redact, node("draft", reads=("clean",)))) == {"intake"}
    both = chain(intake(), redact, node("draft", reads=("clean", "ticket")))
    assert both["draft"] == ("intake", "ticket", "draft")


def test_a_redactor_that_writes_the_private_key_again_does_not_clean_it() -> None:
    # Whether the next step sees the old value or the new one hangs on the way that was taken.
    redact = node("redact", "code", reads=("ticket",), writes=("ticket",), hints=CLEAN)
    assert "draft" in chain(intake(), redact, node("draft", reads=("ticket",)))


def test_what_is_computed_by_code_from_private_data_is_private() -> None:
    copy = node("copy", "code", reads=("ticket",), writes=("notes",))
    found = chain(intake(), copy, node("draft", reads=("notes",)))
    assert found["draft"] == ("intake", "ticket", "copy", "notes", "draft")


def test_a_send_from_a_private_step_pins_its_target() -> None:
    nodes = [
        intake(),
        node("part", reads=("doc",), writes=("parts",)),
        node("sum", reads=("parts",)),
    ]
    arrows: list[Arrow] = [(START, "intake"), ("intake", "part", "send"), ("part", "sum")]
    found = pinned(nodes, arrows)
    assert found["part"] == ("intake", "Send", "part")
    assert found["sum"] == ("intake", "Send", "part", "parts", "sum")


@pytest.mark.parametrize("clean", ["", "split", "part"])
def test_a_send_later_on_carries_what_may_be_in_the_state(clean: str) -> None:
    hints = {clean: CLEAN}
    nodes = [
        intake(),
        node("split", "code", hints=hints.get("split", RouteHints())),
        node("part", reads=("doc",), hints=hints.get("part", RouteHints())),
    ]
    arrows: list[Arrow] = [(START, "intake"), ("intake", "split"), ("split", "part", "send")]
    assert ("part" in pinned(nodes, arrows)) == (not clean)


def test_a_send_behind_a_redactor_on_every_way_is_free_and_not_on_one_way_only() -> None:
    redact = node("redact", "code", reads=("ticket",), writes=("clean",), hints=CLEAN)
    nodes = [intake(), redact, node("split", "code"), node("part", reads=("doc",))]
    arrows: list[Arrow] = [(START, "intake"), ("intake", "redact"), ("redact", "split")]
    arrows += [("split", "part", "send")]
    assert set(pinned(nodes, arrows)) == {"intake"}
    around: list[Arrow] = [*arrows[:1], ("intake", "redact", "conditional"), *arrows[2:]]
    around += [("intake", "split", "conditional")]
    assert "part" in pinned(nodes, around)


def test_a_send_before_anything_private_is_free() -> None:
    nodes = [node("split", "code"), node("part", reads=("doc",)), intake()]
    arrows: list[Arrow] = [(START, "split"), ("split", "part", "send"), ("part", "intake")]
    assert set(pinned(nodes, arrows)) == {"intake"}


def test_a_send_pins_all_that_is_inside_the_subgraph_it_goes_to() -> None:
    nodes = [intake(), node("sub", "subgraph"), node("sub/deep", "subgraph"), node("sub/deep/ask")]
    arrows: list[Arrow] = [(START, "intake"), ("intake", "sub", "send"), ("sub", END)]
    arrows += [("sub/__start__", "sub/deep"), ("sub/deep/__start__", "sub/deep/ask")]
    assert "sub/deep/ask" in pinned(nodes, arrows)


def test_private_data_leaves_a_subgraph_with_the_key_it_writes() -> None:
    nodes = [
        node("sub", "subgraph"),
        node("sub/secret", hints=LOCAL, writes=("ticket",)),
        node("after", reads=("ticket",)),
        node("other", reads=("label",)),
    ]
    arrows: list[Arrow] = [(START, "sub"), ("sub", "after"), ("after", "other")]
    arrows += [("sub/__start__", "sub/secret"), ("sub/secret", "sub/__end__")]
    assert set(pinned(nodes, arrows)) == {"sub/secret", "after"}


def test_a_loop_carries_private_data_back() -> None:
    nodes = [node("draft", reads=("notes",)), node("check", hints=LOCAL, writes=("notes",))]
    arrows: list[Arrow] = [(START, "draft"), ("draft", "check"), ("check", "draft", "conditional")]
    arrows += [("check", END, "conditional")]
    assert pinned(nodes, arrows)["draft"] == ("check", "notes", "draft")


def test_a_private_step_whose_writes_were_not_seen_may_write_anything() -> None:
    found = chain(intake(writes=()), node("draft", reads=("whatever",)))
    assert found["draft"] == ("intake", "whatever", "draft")
    # A step of code that only reads private data, as a log does, spreads nothing.
    log = node("log", "code", reads=("ticket",))
    assert "draft" not in chain(intake(), log, node("draft", reads=("label",)))


def test_a_key_marked_private_pins_its_readers_whoever_writes_it() -> None:
    nodes = [
        node("write", writes=("ticket",)),
        node("read", reads=("ticket",), writes=("label",)),
        node("use", reads=("label",)),
        node("redact", "code", reads=("ticket",), writes=("clean",), hints=CLEAN),
        node("draft", reads=("clean",), writes=("out",)),
    ]
    stops = [START, *(n.name for n in nodes), END]
    marked = replace(graph(nodes, list(pairwise(stops))), private_keys=("ticket",))
    found = {t.node: t.path for t in study(marked).taints}
    assert set(found) == {"read", "use"}
    assert found["use"] == (START, "ticket", "read", "label", "use")


def test_a_private_key_is_in_the_state_of_every_send_no_redactor_stands_before() -> None:
    nodes = [node("split", "code"), node("part", reads=("doc",))]
    arrows: list[Arrow] = [(START, "split"), ("split", "part", "send")]
    marked = replace(graph(nodes, arrows), private_keys=("ticket",))
    assert "part" in {t.node for t in study(marked).taints}
    nodes[0] = node("split", "code", hints=CLEAN)
    marked = replace(graph(nodes, arrows), private_keys=("ticket",))
    assert study(marked).taints == ()
