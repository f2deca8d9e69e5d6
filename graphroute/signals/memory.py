"""How much memory this machine has to give to local models now.

What the system says is available can be given to a process without swapping. Memory of graphics
cards is not seen: a server that keeps its models there needs less of this, and a plan for it is
better told the limit (`memory_limit_bytes=`).

>>> sorted(build().read())
['available_bytes', 'total_bytes']
"""

from __future__ import annotations

from collections.abc import Mapping

import psutil

REQUIRES = ("psutil",)
EXAMPLES: tuple[Mapping[str, object], ...] = ({},)


def build() -> Memory:
    """The signal."""
    return Memory()


class Memory:
    """Reads `available_bytes` and `total_bytes`."""

    name = "memory"

    def read(self) -> Mapping[str, float]:
        """Bytes, as they are now; empty where the system does not tell."""
        try:
            found = psutil.virtual_memory()
        except (OSError, psutil.Error):
            return {}
        return {"available_bytes": float(found.available), "total_bytes": float(found.total)}
