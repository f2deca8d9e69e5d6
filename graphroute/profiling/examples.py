"""Inputs of a profile, with what is known of the right answers: one JSON value a line.

| line | meaning |
|---|---|
| `{"question": "why?"}` | an input, and nothing known |
| `{"input": {…}, "expected": {"label": "refund"}}` | what the end state should hold |
| `{"input": {…}, "reference": {"classify": "refund"}}` | what the model should answer at a node |

A node that is visited several times in a run may have a list, one answer for each visit.

>>> [one] = examples([{"input": {"q": "6*7?"}, "reference": {"solve": 42}}])
>>> one.input, one.reference_for("solve", 0), one.reference_for("check", 0)
({'q': '6*7?'}, 42, None)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphroute.errors import InvalidValue

_PARTS: Final = frozenset({"input", "expected", "reference"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One input. `key` is the digest of input and number, by which a later session knows it.

    expected: values of the end state by key; None where nothing is known of it
    reference: right answers by node path
    """

    key: str
    input: Any = field(repr=False)
    expected: Mapping[str, Any] | None = field(default=None, repr=False)
    reference: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def reference_for(self, node: str, visit: int) -> Any:
        """The right answer of a node's call, the first being 0; None where there is none."""
        found = self.reference.get(node)
        if isinstance(found, list):
            return found[visit] if visit < len(found) else None
        return found


def examples(lines: Iterable[Any]) -> tuple[Example, ...]:
    """The examples of a file's lines; `InvalidValue` for a part that is no object."""
    found, seen = [], dict[str, int]()
    for number, line in enumerate(lines, start=1):
        is_parted = isinstance(line, Mapping) and "input" in line and line.keys() <= _PARTS
        parts: Mapping[str, Any] = line if is_parted else {"input": line}
        for name in ("expected", "reference"):
            if not isinstance(parts.get(name) or {}, Mapping):
                raise InvalidValue(
                    f"input {number}: {name!r} is {type(parts[name]).__name__}",
                    value=parts[name],
                    next_step="give an object: state keys for 'expected', nodes for 'reference'",
                )
        digest = _digest(parts["input"])
        seen[digest] = seen.get(digest, 0) + 1
        found.append(
            Example(
                # The same input twice is two examples: a model may answer it in two ways.
                key=digest if seen[digest] == 1 else f"{digest}.{seen[digest]}",
                input=parts["input"],
                expected=parts.get("expected") or None,
                reference=parts.get("reference") or {},
            )
        )
    if not found:
        raise InvalidValue("there are no inputs", next_step="give one JSON value a line")
    return tuple(found)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
