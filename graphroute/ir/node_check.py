"""A node whose update is checked (`@route(verify_output=…)`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphroute.ir.node_cache import Code


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedNode:
    """node: its path; bound: the runnable that LangGraph runs, None where it is no function
    against: why it is not run again, whatever the check says; `""` where it may be
    code: to be proven once more before it is; None where its author has said so
    """

    node: str
    bound: Any
    against: str = ""
    code: Code | None = None

    def __str__(self) -> str:
        what = "is only recorded" if self.bound is not None else "has no effect"
        return f"node {self.node!r}: verify_output= {what}: {self.against}"
