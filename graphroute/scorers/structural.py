"""How hard is a step, seen only as a part of its graph, before there is any prompt?

A weighted sum of what the walk found, on the difficulty scale of `ir.quality`:

```
difficulty = work (what the prompt asks for: classify 0.25 … prove 0.80)
           + output (free text, enumeration, nested fields) + tools + prompt length + place in graph
```

The figures for the kinds of work are anchored at measured ones (sums of grade school 0.26, exam
questions 0.40 and 0.56, tool calls 0.41, output of short programs 0.55, competition mathematics
0.77); those between are ordered by judgement, and the reason says so. The interval is measured: 82
kinds of exam questions and tool calls lie within ±0.23 of the mean of their like in 90 % of the
cases, all 85 kinds of work within ±0.30 of the mean of all (`benchmarks/blending.py`; each kind
left out of the mean it is compared with). Where a node was seen only in part the width is by
judgement. The node author's `complexity` hint replaces all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graphroute.ir.graph import Graph, Node
from graphroute.ir.profile import StepScore
from graphroute.scorers._work import Work, work_of

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ({},)

_HINT_WIDTH = 0.05
_WIDTH = {"full": 0.23, "partial": 0.27, "opaque": 0.33}
_GUESS_WIDTH = 0.07
_MEASURED_WORK: Final = frozenset({"answering", "tool use"})
"""Kinds of work whose difficulty is a measured one, not one between measured ones."""

_MOST_TOOLS = 12


@dataclass(frozen=True, slots=True)
class _Term:
    """One addend of the score; `text` is empty where it is too small to be told."""

    value: float
    text: str = ""


class StructuralScorer:
    """Difficulty of a node from its kind, prompts, tools, output schema and place."""

    name = "structural"

    def step(self, node: Node, graph: Graph) -> StepScore:
        """Score one node; deterministic, calls nothing of the user's.

        >>> from graphroute.ir.graph import ToolFact
        >>> node = Node(name="fix", kind="llm", prompts=("Write code that mends {bug}",),
        ...     tools=(ToolFact(name="run"), ToolFact(name="read"), ToolFact(name="edit")))
        >>> build().step(node, Graph(name="g", nodes=(node,), edges=())).reason
        'free-form code generation, 3 tools, by judgement'
        """
        hint = node.hints.complexity
        if hint is not None:
            return _score(float(hint), _HINT_WIDTH, "stated by the node's author")
        work = work_of(node)
        terms = (_tools(node), _output(node, work), _prompt(node), *_place(node, graph))
        difficulty = work.difficulty + sum(term.value for term in terms)
        words = [_named(node, work), *(term.text for term in terms if term.text)]
        if node.sight != "full":
            words.append(f"code seen in part: {node.sight_reason}" if node.sight_reason else "")
        if work.label not in _MEASURED_WORK:
            words.append("by judgement")
        width = _WIDTH[node.sight] + (_GUESS_WIDTH if work.is_guess else 0.0)
        return _score(difficulty, width, ", ".join(word for word in words if word))


def build() -> StructuralScorer:
    """The scorer; it has no options and no state."""
    return StructuralScorer()


def _score(difficulty: float, width: float, words: str) -> StepScore:
    # 0.02 and 0.98: no step is certain to succeed or fail on sight alone.
    value = min(max(difficulty, 0.02), 0.98)
    return StepScore(
        difficulty=round(value, 4),
        low=round(max(value - width, 0.0), 4),
        high=round(min(value + width, 1.0), 4),
        reason=words,
    )


def _named(node: Node, work: Work) -> str:
    is_free = node.output_schema is None and work.is_generation
    return f"free-form {work.label}" if is_free else work.label


def _output(node: Node, work: Work) -> _Term:
    schema = node.output_schema
    if schema is None:
        return _Term(0.05 if work.is_generation else 0.0)
    # One field is a choice, the easiest output of all; every further field can go wrong by itself.
    value = -0.05 if schema.fields <= 1 else min(0.012 * schema.fields, 0.15)
    value += 0.03 * max(schema.depth - 1, 0)
    fields = f"{schema.fields} field{'s' if schema.fields != 1 else ''}"
    nested = f" in {schema.depth} levels" if schema.depth > 1 else ""
    return _Term(min(value, 0.24), f"output schema of {fields}{nested}")


def _tools(node: Node) -> _Term:
    if not node.tools:
        return _Term(0.0)
    arguments = sum(tool.fields for tool in node.tools)
    value = 0.05 + 0.01 * min(len(node.tools), _MOST_TOOLS) + 0.004 * min(arguments, 20)
    more = f" with {arguments} arguments" if arguments > len(node.tools) else ""
    return _Term(value, f"{len(node.tools)} tool{'s' if len(node.tools) > 1 else ''}{more}")


def _prompt(node: Node) -> _Term:
    length = sum(len(prompt) for prompt in node.prompts)
    slots = sum(prompt.count("{") for prompt in node.prompts)
    value = 0.04 * min(length / 2000, 1.5) + 0.008 * min(slots, 6)
    value += 0.05 if node.takes_images else 0.0
    words = [f"prompt of {length:,} characters" if length >= 1500 else ""]
    words.append("reads images" if node.takes_images else "")
    return _Term(value, ", ".join(word for word in words if word))


def _place(node: Node, graph: Graph) -> tuple[_Term, ...]:
    incoming = [e for e in graph.edges if e.target == node.name]
    outgoing = [e for e in graph.edges if e.source == node.name]
    terms: list[_Term] = []
    sources = {e.source for e in incoming if e.kind == "join"}
    if node.deferred or len(sources) > 1:
        terms.append(_Term(0.04, "joins branches"))
    if node.kind == "router" or sum(e.kind in ("conditional", "command") for e in outgoing) > 1:
        # What follows depends on it, but choosing one of a few names is a small output.
        terms.append(_Term(-0.03, "decides where to go next"))
    if _is_in_loop(node.name, graph):
        terms.append(_Term(-0.02, "can be tried again in a loop"))
    if any(e.kind == "send" for e in incoming):
        terms.append(_Term(-0.04, "one of many parallel sub-tasks"))
    return tuple(terms)


def _is_in_loop(name: str, graph: Graph) -> bool:
    following: dict[str, list[str]] = {}
    for edge in graph.edges:
        following.setdefault(edge.source, []).append(edge.target)
    seen: set[str] = set()
    pending = list(following.get(name, ()))
    while pending:
        here = pending.pop()
        if here == name:
            return True
        if here not in seen:
            seen.add(here)
            pending.extend(following.get(here, ()))
    return False
