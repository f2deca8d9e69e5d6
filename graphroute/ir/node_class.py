"""Which nodes are of a kind, so that what a model showed at one says something of another."""

from __future__ import annotations

from graphroute.ir.graph import Node


def class_of(node: Node) -> str:
    """`tools`, `structured` or `text`: what an answer of the node has to be.

    >>> class_of(Node(name="draft", kind="llm"))
    'text'
    """
    if node.tools:
        return "tools"
    return "structured" if node.output_schema is not None else "text"
