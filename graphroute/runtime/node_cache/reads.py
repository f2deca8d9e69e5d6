"""Which parts of its state a node reads: written down while it runs.

A mapping is handed to the node as one that notes which keys are asked of it, an object as one that
notes attributes. Where the bytecode says that reads cannot be followed so (`frontend.tracing`), the
node gets the state itself and counts as having read all of it.

What was read is kept with the result, and looking it up asks whether these parts are as they were:
a constructive trace (A. Mokhov, N. Mitchell, S. Peyton Jones: Build systems à la carte, ICFP 2018).
A missing key that was looked for is read, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, Literal

Kind = Literal["key", "attribute", "names", "all"]
Read = tuple[Kind, str]
"""One part: a key of a mapping, an attribute of an object, which keys there are, or all of it."""

ALL: Final[Read] = ("all", "")
NAMES: Final[Read] = ("names", "")
_ABSENT: Final = object()


class Reads:
    """What was read so far; safe to fill from several threads.

    >>> reads = Reads()
    >>> state = TracedState({"text": "hi", "id": 7}, reads)
    >>> state["text"], state.get("note"), "id" in state
    ('hi', None, True)
    >>> reads.found()
    (('key', 'id'), ('key', 'note'), ('key', 'text'))
    """

    def __init__(self) -> None:
        self._parts: dict[Read, None] = {}

    def add(self, part: Read) -> None:
        """Note one part."""
        self._parts[part] = None

    def key(self, key: object) -> None:
        """Note a key; one that is no text counts as all."""
        self.add(("key", key) if type(key) is str else ALL)

    def found(self) -> tuple[Read, ...]:
        """What was read, in one order; all of the state makes the rest needless."""
        parts = list(self._parts)
        return (ALL,) if ALL in parts else tuple(sorted(parts))


class TracedState(dict[Any, Any]):
    """A copy of a mapping that notes what is asked of it; changes stay in the copy."""

    __slots__ = ("_reads",)

    def __init__(self, values: Mapping[Any, Any], reads: Reads) -> None:
        super().__init__(values)
        self._reads = reads

    def plain(self) -> dict[Any, Any]:
        """The same without tracing; reads all."""
        self._reads.add(ALL)
        return dict(super().items())

    # By key.

    def __getitem__(self, key: Any) -> Any:
        self._reads.key(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        self._reads.key(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self._reads.key(key)
        return super().__contains__(key)

    # Which keys there are.

    def __iter__(self) -> Iterator[Any]:
        self._reads.add(NAMES)
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._reads.add(NAMES)
        return super().__reversed__()

    def __len__(self) -> int:
        self._reads.add(NAMES)
        return super().__len__()

    def keys(self) -> Any:
        """As of a dict."""
        self._reads.add(NAMES)
        return super().keys()

    # All.

    def items(self) -> Any:
        """As of a dict."""
        self._reads.add(ALL)
        return super().items()

    def values(self) -> Any:
        """As of a dict."""
        self._reads.add(ALL)
        return super().values()

    def copy(self) -> dict[Any, Any]:
        """A plain dict."""
        return self.plain()

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        from copy import deepcopy

        return deepcopy(self.plain(), memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (self.plain(),)

    def __eq__(self, other: object) -> bool:
        return self.plain() == other

    def __ne__(self, other: object) -> bool:
        return self.plain() != other

    __hash__ = None  # as of a dict

    def __repr__(self) -> str:
        return repr(self.plain())

    def __or__(self, other: Any) -> Any:
        return self.plain() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.plain()

    def pop(self, key: Any, *default: Any) -> Any:
        """As of a dict."""
        self._reads.key(key)
        return super().pop(key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        self._reads.key(key)
        return super().setdefault(key, default)

    def popitem(self) -> tuple[Any, Any]:
        """As of a dict."""
        self._reads.add(ALL)
        return super().popitem()


class TracedObject:
    """Stands for a state object of which the node only asks attributes."""

    __slots__ = ("_reads", "_state")

    def __init__(self, state: Any, reads: Reads) -> None:
        object.__setattr__(self, "_state", state)
        object.__setattr__(self, "_reads", reads)

    def __getattr__(self, name: str) -> Any:
        state, reads = self._state, self._reads
        # A method or property may read anything.
        reads.add(("attribute", name) if name in field_names(state) else ALL)
        return getattr(state, name)


def field_names(state: Any) -> frozenset[str]:
    """The names of what a pydantic object or dataclass holds; empty for anything else."""
    model = getattr(type(state), "__pydantic_fields__", None)
    if isinstance(model, dict):
        return frozenset(model)
    return frozenset(f.name for f in fields(state)) if is_dataclass(state) else frozenset()


def untraced(value: Any, depth: int = 4) -> Any:
    """`value` with plain dicts in place of traced ones, which must not leave the node."""
    if isinstance(value, TracedState):
        return value.plain()
    if depth and type(value) in (dict, list, tuple):
        items = value.values() if type(value) is dict else value
        parts = [untraced(item, depth - 1) for item in items]
        if any(a is not b for a, b in zip(parts, items, strict=True)):
            return (
                dict(zip(value, parts, strict=True))
                if type(value) is dict
                else (type(value)(parts))
            )
    return value
