"""A list of prompts (`generate`) at a node with a check: each is made a call of its own.

A check looks at one answer, so a list would go unchecked, and a plan that counts on the check would
promise what it cannot hold. LangChain asks for the prompts one by one as well, each with callbacks
of its own; a node without a check has its list decided, paid and recorded as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.outputs import LLMResult

from graphroute.runtime.node_path import node_path
from graphroute.runtime.run_handle import RunHandle


def is_checked(handle: RunHandle, metadata: Mapping[str, Any]) -> bool:
    """Whether the node that a call with this metadata comes from has its answers checked."""
    if handle.checking is not None:
        return False
    node = handle.path(node_path(metadata, base_depth=handle.base_depth))
    return handle.policy.hints_for(node).verify is not None


def apart(
    prompts: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each prompt with the arguments of its call; the id of a run is the first one's.

    >>> [(prompt, sorted(own)) for prompt, own in apart("ab", {"run_id": 1, "tags": []})]
    [('a', ['run_id', 'tags']), ('b', ['tags'])]
    """
    for number, prompt in enumerate(prompts):
        yield prompt, {k: v for k, v in kwargs.items() if not number or k != "run_id"}


def together(ended: Sequence[LLMResult | BaseException]) -> LLMResult:
    """The result of the list, from those of its prompts; raises the first error among them."""
    results: list[LLMResult] = []
    output: dict[str, Any] = {}
    for each in ended:
        if isinstance(each, BaseException):
            raise each
        results.append(each)
        output = _added(output, each.llm_output or {})
    return LLMResult(
        generations=[several for each in results for several in each.generations],
        llm_output=output,
        run=[run for each in results for run in each.run or ()],
    )


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Counts summed, at any depth; of what is no count (a model's name) the later one.

    >>> _added({"usage": {"tokens": 2}, "model": "a"}, {"usage": {"tokens": 3}, "model": "b"})
    {'usage': {'tokens': 5}, 'model': 'b'}
    """
    made = dict(one)
    for name, value in other.items():
        match made.get(name), value:
            case Mapping() as known, Mapping():
                made[name] = _added(known, value)
            case int() | float() as known, int() | float() if not isinstance(value, bool):
                made[name] = known + value
            case _, None:
                made.setdefault(name, None)
            case _:
                made[name] = value
    return made
