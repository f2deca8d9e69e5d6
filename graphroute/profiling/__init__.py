"""Profiling by counterfactual node replay: which model is how good, dear and quick at which node.

The graph runs once per input. Each node's calls are then made again on the other models of the
pool, with the very messages they were made with, and judged by a reference, the node's `verify=` or
a judge. For k nodes and m models that takes k · m calls an input where all combinations take
k · mᵏ. What replaying cannot see, how a node's answer changes what its successors are asked, is
measured by interventions on some inputs.

What is found goes into the store, from which `optimize()` plans.

>>> from langgraph.graph import START, StateGraph
>>> from graphroute import Model, verify
>>> from graphroute.ir.hints import RouteHints
>>> from graphroute.providers.scripted import ScriptedChat
>>> big = ScriptedChat(name="big", replies=["4"])
>>> small = ScriptedChat(name="small", replies=["four?"])
>>> builder = StateGraph(dict)
>>> _ = builder.add_node("sum", lambda state: {"n": big.invoke(state["q"]).text})
>>> _ = builder.add_edge(START, "sum")
>>> found = profile(
...     builder.compile(),
...     [{"q": "1+3"}, {"q": "2+2"}],
...     models=[Model("b", big, price_in_usd=1, price_out_usd=1), Model("s", small, local=True)],
...     nodes={"sum": RouteHints(verify=verify.number(4))},
...     store=False,
... )
>>> [(cell.model, cell.quality.mean) for cell in found.cells]
[('b', 1.0), ('s', 0.0)]
"""

from __future__ import annotations

from graphroute.profiling.examples import Example
from graphroute.profiling.profile import profile
from graphroute.profiling.result import NodeProfileReport
from graphroute.profiling.session import Progress

__all__ = ["Example", "NodeProfileReport", "Progress", "profile"]
