"""Which process this is, and whether another one still lives.

A pid alone names no process: it is used again. The pid with the time of the start does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process: its pid, and when it was started in seconds since the epoch."""

    pid: int
    born_s: float


def this_process() -> Owner:
    """The process that runs this.

    >>> lives(this_process())
    True
    """
    pid = os.getpid()
    return Owner(pid=pid, born_s=psutil.Process(pid).create_time())


def lives(owner: Owner) -> bool:
    """Whether that process still runs.

    >>> lives(Owner(pid=1, born_s=0.0))
    False
    """
    try:
        process = psutil.Process(owner.pid)
        # A killed process keeps its pid until its parent asks how it ended.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(abs(process.create_time() - owner.born_s) < 0.05)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
