"""The triage example on the two embedded models: what a profile is worth on tickets it never saw.

Profiled on the tickets of `examples/data`, run on those of `benchmarks/tickets.jsonl`: on the
strong model alone, by plans from priors and by plans from the profile, under limits per run that
are shares of what a ticket costs on the strong model. A limit is what no run may exceed; what runs
spend on average is less and is printed beside it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Runs over all tickets: the quality in [0, 1] of each, and its mean USD."""

    quality: tuple[float, ...]
    usd: float
    plan: str


def checks() -> Mapping[str, Any]:
    """A form that every answer must have; none sees whether what is said in it is right."""
    from graphroute import RouteHints, verify

    text = {"type": "string", "minLength": 1}
    facts = {
        "type": "object",
        "required": ["name", "order"],
        "properties": {"name": text, "order": text},
    }
    return {
        "classify": RouteHints(verify=verify.regex("positive|negative")),
        "extract": RouteHints(verify=verify.schema(facts)),
        "draft": RouteHints(verify=verify.regex(r"Dear \w+ \w+,.*\d{4}")),
    }


def run(shares: Sequence[float]) -> None:
    """Profile, then run every way and print what each is worth."""
    sys.path.insert(0, str(EXAMPLES))
    import small_models
    import triage

    from graphroute.cli._profile_table import text_of
    from graphroute.demo.tickets import read, score
    from graphroute.profiling import profile
    from graphroute.store import background

    seen, unseen = read(EXAMPLES / "data/tickets.jsonl"), read(HERE / "tickets.jsonl")
    known = {each.ticket: each for each in seen}
    nodes = checks()
    for chat in (small_models.strong, small_models.weak):
        chat.invoke("hello", max_tokens=1)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = Path(folder) / "profiled"
        began = time.monotonic()
        found = profile(
            triage.graph,
            [{"input": {"ticket": each.ticket}} for each in seen],
            models=small_models.POOL,
            nodes=nodes,
            store=str(store),
            score=lambda state, example: score(state, known[example.input["ticket"]]).quality,
        )
        background.flush_all()
        print(text_of(found))
        print(f"{len(seen)} tickets profiled in {time.monotonic() - began:.0f} s\n")

        def arm(**options: Any) -> Arm:
            return _arm(triage.graph, unseen, **options)

        strong = arm(models=[small_models.STRONG], store=False)
        weak = arm(models=[small_models.WEAK], store=False)
        print(f"{len(unseen)} other tickets; difference: to the strong model, ticket by ticket")
        _tell("all strong", strong, strong)
        _tell("all weak", weak, strong)
        for share in shares:
            limit = share * strong.usd
            options: dict[str, Any] = {
                "models": small_models.POOL,
                "nodes": nodes,
                "budget": limit,
            }
            # Each way gets the profile alone: what runs of another way taught is not in it.
            own = Path(folder) / f"store {share}"
            shutil.copytree(store, own)
            priors, profiled = arm(store=False, **options), arm(store=str(own), **options)
            _tell(f"priors, at most {share:.0%}", priors, strong)
            _tell(f"profile, at most {share:.0%}", profiled, strong)
            gain = interval(np.subtract(profiled.quality, priors.quality))
            print(f"    profile against priors: {gain}", flush=True)


def _arm(graph: Any, tickets: Sequence[Any], **options: Any) -> Arm:
    from graphroute import optimize
    from graphroute.demo.tickets import score
    from graphroute.store import background

    fast = optimize(graph, **options)
    got = [score(fast.invoke({"ticket": each.ticket}), each).quality for each in tickets]
    background.flush_all()
    return Arm(
        quality=tuple(got),
        usd=sum(record.cost_nano for record in fast.records) / 1e9 / len(got),
        plan="; ".join(
            f"{a.node}: {', '.join(m.split(':')[1] for m in (a.model, *a.then))}"
            for a in fast.plan.assignments
        ),
    )


def interval(values: Any) -> str:
    """Mean with its 95 % percentile bootstrap interval, seeded."""
    from graphroute.demo.tickets import interval as bootstrap

    low, high = bootstrap([float(v) for v in values])
    return f"{float(np.mean(values)):+.3f} ({low:+.3f} to {high:+.3f})"


def _tell(name: str, arm: Arm, strong: Arm) -> None:
    print(
        f"{name:<22} quality {interval(arm.quality)[1:]}, spent {arm.usd / strong.usd:4.0%} of the "
        f"strong model's ${strong.usd:.6f}, difference "
        f"{interval(np.subtract(arm.quality, strong.quality))}\n    {arm.plan}",
        flush=True,
    )
