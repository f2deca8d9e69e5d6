"""What every benchmark prints first: the machine, the versions and the seed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil


def describe(*, seed: int | None = None) -> str:
    """One line that names machine, Python and the packages a figure depends on."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("langgraph", "langchain-core"))
    seeded = "" if seed is None else f"; seed {seed}"
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}{seeded}"
    )
