"""Time the hook adds to a chat-model call outside any optimized run; promised: under 1 µs.

Measured on an entry point that does nothing, so that nothing hides the difference; processor time,
plain and hooked calls interleaved, median and extremes of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import time
from typing import Any

from graphroute.providers.scripted import ScriptedChat
from graphroute.runtime import hook


def original(
    self: Any,
    asked: Any,
    config: Any = None,
    *,
    stop: Any = None,
    **kwargs: Any,
) -> None:
    """An entry point that does nothing."""


async def aoriginal(
    self: Any,
    asked: Any,
    config: Any = None,
    *,
    stop: Any = None,
    **kwargs: Any,
) -> None:
    """The same, async."""


def sync_s(call: Any, model: Any, calls: int) -> float:
    """Seconds per call."""
    started = time.thread_time()
    for _ in range(calls):
        call(model, "x")
    return (time.thread_time() - started) / calls


async def async_s(call: Any, model: Any, calls: int) -> float:
    """Seconds per awaited call."""
    started = time.thread_time()
    for _ in range(calls):
        await call(model, "x")
    return (time.thread_time() - started) / calls


def main() -> None:
    """Print microseconds added per call."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=5_000)
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {given.rounds} rounds")
    model = ScriptedChat(name="m")
    wrapped, awrapped = hook._invoke(original), hook._ainvoke(aoriginal)
    added: dict[str, list[float]] = {"invoke": [], "ainvoke": []}
    for _ in range(given.rounds):
        plain = sync_s(original, model, given.calls)
        added["invoke"].append(sync_s(wrapped, model, given.calls) - plain)
        plain = asyncio.run(async_s(aoriginal, model, given.calls))
        added["ainvoke"].append(asyncio.run(async_s(awrapped, model, given.calls)) - plain)
    for name, seconds in added.items():
        micro = sorted(1e6 * s for s in seconds)
        print(
            f"{name}: {statistics.median(micro):.3f} µs added "
            f"(least {micro[0]:.3f}, most {micro[-1]:.3f})"
        )


if __name__ == "__main__":
    main()
