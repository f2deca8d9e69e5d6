"""Which models may not serve a node, and why, in words a user can act on."""

from __future__ import annotations

from graphroute.ir.catalog import Capability, ModelSpec
from graphroute.ir.facts import Taint
from graphroute.ir.graph import Node
from graphroute.ir.profile import NodeProfile


def reason_against(node: Node, profile: NodeProfile, model: ModelSpec, taint: Taint | None) -> str:
    """Why `model` may not serve `node`, whatever its quality; empty where it may."""
    hints = node.hints
    if hints.pin is not None and model.name != hints.pin:
        return f"pinned to {hints.pin}"
    if hints.models is not None and model.name not in hints.models:
        return f"not among the allowed models {', '.join(hints.models)}"
    if taint is not None and not model.local:
        return f"private: {path_of(taint)} must stay on this machine"
    lacks = _lacks(node, model)
    if lacks:
        return f"cannot do {' and '.join(lacks)}"
    room = model.context_tokens
    needed = profile.in_tokens + profile.out_tokens + model.overhead_tokens
    if room is not None and needed > room:
        return f"context of {room} tokens, about {needed:.0f} are needed"
    return ""


def too_weak(node: Node, quality: float) -> str:
    """Why a model of this quality may not serve `node` alone; empty where it may."""
    least = node.hints.min_quality
    if least is not None and quality < least:
        return f"quality {quality:.2f} below the node's minimum {least:.2f}"
    return ""


def path_of(taint: Taint) -> str:
    """The way of private data in words: `intake →(ticket)→ classify`."""
    text = repr(taint.path[0])
    for key, node in zip(taint.path[1::2], taint.path[2::2], strict=True):
        text += f" →({key})→ {node!r}"
    return text


def _lacks(node: Node, model: ModelSpec) -> list[str]:
    # A model the node already uses works there, whatever a table says; and an empty set of
    # capabilities means that the provider does not know.
    if not model.capabilities or model.name in {use.name for use in node.models}:
        return []
    needs: list[Capability] = []
    if node.tools:
        needs.append("tools")
    if node.output_schema is not None and "tools" not in model.capabilities:
        needs.append("structured_output")  # a schema can also be asked for as a tool
    if node.takes_images:
        needs.append("vision")
    return [need.replace("_", " ") for need in needs if need not in model.capabilities]
