"""What local models may hold in memory together: a stated limit, or what this machine has free.

What is free changes from moment to moment, and a plan should not. So the machine's figure counts
only where all local models of known size would not fit at once, and in steps of `GRAIN_BYTES`;
wherever memory is plentiful, the same input gives the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, cast

from graphroute import registry
from graphroute.errors import InvalidValue
from graphroute.ir.catalog import Catalog
from graphroute.protocols import Signal

MemoryLimit: TypeAlias = "int | Literal['auto'] | None"
GRAIN_BYTES: Final = 2**26


def check(limit: object) -> None:
    """`InvalidValue` unless `limit` is `"auto"`, None or a number of bytes ≥ 0."""
    if limit is None or limit == "auto":
        return
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise InvalidValue(
            f"memory_limit_bytes={limit!r}",
            value=limit,
            next_step="use a whole number of bytes ≥ 0, 'auto' for what is free, or None",
        )


def limit_bytes(
    stated: MemoryLimit,
    catalog: Catalog,
    *,
    read: Callable[[], Mapping[str, float]] | None = None,
) -> int | None:
    """The limit a plan over `catalog` keeps, in bytes; None where there is none, or none binds.

    Models that are loaded already count as free: they are part of what the plan may use.
    read: the machine's figures instead of its own

    >>> from graphroute.ir.catalog import ModelSpec, Price
    >>> free = Price(in_usd=0.0, out_usd=0.0, source="local")
    >>> held = {"provider": "ollama", "local": True, "price": free, "memory_bytes": 3 * 2**30}
    >>> loaded, other = ModelSpec(name="a", loaded=True, **held), ModelSpec(name="b", **held)
    >>> pool = Catalog(models=(loaded, other))
    >>> [limit_bytes("auto", pool, read=lambda gb=gb: {"available_bytes": gb * 2**30})
    ...  for gb in (1, 3)]
    [4294967296, None]
    """
    if stated != "auto":
        return stated
    local = [spec for spec in catalog if spec.local and spec.memory_bytes]
    if not local:
        return None
    found = (read or _signal().read)()
    if "available_bytes" not in found:
        return None
    loaded = sum(spec.memory_bytes or 0 for spec in local if spec.loaded)
    room = int(found["available_bytes"]) + loaded
    if sum(spec.memory_bytes or 0 for spec in local) <= room:
        return None
    return room // GRAIN_BYTES * GRAIN_BYTES


def _signal() -> Signal:
    return cast(Signal, registry.build("signals", "memory"))
