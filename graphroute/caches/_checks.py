"""What every backend asks of its arguments and of an entry it may forget."""

from __future__ import annotations

from graphroute.errors import InvalidValue
from graphroute.ir.cache import CacheEntry


def positive(name: str, value: int) -> int:
    """`value`, if it is a whole number above 0; else `InvalidValue`."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidValue(f"{name}={value!r}", value=value, next_step="use a whole number > 0")
    return value


def is_chosen(
    entry: CacheEntry,
    *,
    node: str | None = None,
    older_than_s: float | None = None,
    now: float = 0.0,
) -> bool:
    """Whether an entry is of `node`, or of a node in the subgraph of that name, and that old.

    >>> from graphroute.ir.cache import CacheEntry
    >>> entry = CacheEntry(
    ...     key="k", tags={"node": "team/draft"}, size_bytes=1, created_s=5.0, used_s=9.0
    ... )
    >>> is_chosen(entry, node="team"), is_chosen(entry, node="tea")
    (True, False)
    >>> is_chosen(entry, older_than_s=10.0, now=14.0)
    False
    """
    if node is not None and not f"{entry.tags.get('node', '')}/".startswith(f"{node}/"):
        return False
    return older_than_s is None or now - entry.created_s > older_than_s
