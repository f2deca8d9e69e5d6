"""Expected prompt and answer tokens of each node's model calls, before any call was made.

Prompts: the templates' characters / 4, plus a share of the state for each placeholder or key the
node reads, plus what tools and an output schema add. Answers: by what is asked for. Means of
earlier runs replace both. The priors are round numbers from the public outcomes of four kinds of
work (answers of 20 to 400 tokens); they only have to hold until the first records are there.
"""

from __future__ import annotations

from dataclasses import replace

from graphroute.ir.facts import Facts, TokenFact
from graphroute.ir.graph import Node

CHARS_PER_TOKEN = 4
STATE_VALUE_TOKENS = 150
"""What one placeholder or state key brings in."""
MOST_STATE_VALUES = 8
MESSAGES_TOKENS = 400
"""A list of messages is longer than other values."""
NO_PROMPT_TOKENS = 200
"""A prompt that could not be seen."""
TOOL_TOKENS, FIELD_TOKENS = 60, 20
IMAGE_TOKENS = 800
ANSWER_TOKENS = {"router": 20, "llm": 300, "unknown": 300}
TOOL_CALL_TOKENS = 120
SCHEMA_FIELD_TOKENS = 15
CAP_SHARE = 0.6
"""Answers of a capped step take this part of the cap on average."""


def tokens(facts: Facts) -> Facts:
    """Fill `tokens` for every node that may call a model."""
    seen = facts.observed
    found = []
    for node in facts.graph.nodes:
        if not node.may_call_model:
            continue
        cap = _cap(node)
        found.append(
            TokenFact(
                node=node.name,
                calls=seen.calls.get(node.name, 1.0),
                in_tokens=seen.in_tokens.get(node.name, _prompt(node)),
                out_tokens=seen.out_tokens.get(node.name, _answer(node, cap)),
                max_out_tokens=cap,
            )
        )
    return replace(facts, tokens=tuple(found))


def _prompt(node: Node) -> float:
    text = sum(len(p) for p in node.prompts) / CHARS_PER_TOKEN or NO_PROMPT_TOKENS
    # A placeholder is usually filled from the state, so the two are not counted twice.
    holes = sum(p.count("{") for p in node.prompts)
    plain = min(max(holes, len([k for k in node.reads if k != "messages"])), MOST_STATE_VALUES)
    state = plain * STATE_VALUE_TOKENS + MESSAGES_TOKENS * ("messages" in node.reads)
    tools = sum(TOOL_TOKENS + FIELD_TOKENS * tool.fields for tool in node.tools)
    schema = FIELD_TOKENS * node.output_schema.fields if node.output_schema else 0
    return text + state + tools + schema + IMAGE_TOKENS * node.takes_images


def _answer(node: Node, cap: int | None) -> float:
    if node.output_schema is not None:
        free = 20.0 + SCHEMA_FIELD_TOKENS * node.output_schema.fields
    elif node.tools:
        free = float(TOOL_CALL_TOKENS)
    else:
        free = float(ANSWER_TOKENS.get(node.kind, ANSWER_TOKENS["llm"]))
    return free if cap is None else min(free, CAP_SHARE * cap)


def _cap(node: Node) -> int | None:
    if node.hints.max_output_tokens is not None:
        return node.hints.max_output_tokens
    caps = [use.max_output_tokens for use in node.models]
    # One uncapped model in the node leaves the node uncapped.
    return max(c for c in caps if c) if caps and all(caps) else None
