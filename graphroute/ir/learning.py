"""How a graph learns while it runs: what `optimize(learn=…)` says, and what goes between parts.

```
record ─► sums of answers ─► posterior ─► plan          (learn=None: at the next plan)
   │            ▲ widened                  ▲ now
   └─► drift detectors ─► Alarm ───────────┘            (learn=True: while it runs)
look at a call ─► Learner ─► challenger                 (learn=True: a share of the budget)
```
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from graphroute.errors import InvalidValue

Figure = Literal[
    "quality",
    "cost",
    "latency",
    "out_tokens",
    "version",
    "prompt_length",
    "difficulty",
    "prompt_kind",
]
"""What is watched: the first of answers by node and model, the last three of prompts by node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A figure's mean has moved: `before` and `after`, and how many values ago it began."""

    before: float
    after: float
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Drift that was found.

    model: `""` where it is about the prompts that come to the node
    before, after: quality in [0, 1], USD, seconds, tokens, characters, difficulty in [0, 1], how
        unlike the node's first prompts (1 is as they were among themselves); of those that are no
        shares, the geometric means; of a version, the share of the latest answers that are of it
    was, now: what the provider said of who answered, where that is what has changed
    since: values ago that it began; run_id: the run that gave it away; at_s: when, seconds since
        the epoch
    """

    node: str
    model: str
    figure: Figure
    before: float
    after: float
    since: int
    run_id: str = ""
    at_s: float = 0.0
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        if self.figure == "version":
            return (
                f"answers of {self.model} at {self.node!r} came from {self.was!r} and now come "
                f"from {self.now!r}, since about {self.since} calls ago"
            )
        who = f" of {self.model}" if self.model else " of the prompts"
        return (
            f"{self.figure.replace('_', ' ')}{who} at {self.node!r} went from {self.before:.4g} to "
            f"{self.after:.4g}, about {self.since} calls ago"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """For `optimize(learn=…)`: learning while the graph runs.

    explore_share: of the budget (of what is spent, where there is none) that trying other models
        than the planned ones may cost on top of those, in [0, 0.5]; 0 asks none
    shadow: ask free local models what checked nodes ask as well, beside the runs and one call at a
        time, and learn from what the check says of their answers, which nobody else sees
    max_weight: nodes whose author gave them more weight than this are never experimented with
    learner, detector: names of plugins of the family `learners`
    half_life: judged answers of a node × model after which an answer counts half; half_life_days:
        the same in days, for what earlier processes and other machines have recorded
    replan_after: judged answers after which the graph is planned again, at least; later on when
        they are a tenth of all, or a third of those of some model at a node; a drift plans again
        at once
    retrain_after: judged answers after which the prompt scorer is adapted to the store's, at most
        so often (a quarter of them after a drift), and put in use if that is better on later ones;
        0 never does
    on_drift: called with each `Alarm`; what it raises is logged

    >>> Learn(explore_share=0.05).learner
    'thompson'
    """

    explore_share: float = 0.02
    shadow: bool = False
    max_weight: float = 1.0
    learner: str = "thompson"
    detector: str = "page_hinkley"
    half_life: float = 2_000.0
    half_life_days: float = 60.0
    replan_after: int = 20
    retrain_after: int = 500
    on_drift: Callable[[Alarm], object] | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("explore_share", 0.0, 0.5),
            ("max_weight", 0.0, math.inf),
            ("half_life", 1.0, math.inf),
            ("half_life_days", 1e-3, math.inf),
            ("replan_after", 1, math.inf),
            ("retrain_after", 0, math.inf),
        ):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not low <= value <= high:
                raise InvalidValue(
                    f"Learn {name}={value!r}",
                    value=value,
                    next_step=f"use a number from {low:g} to {high:g}",
                )
        if not isinstance(self.shadow, bool):
            raise InvalidValue(
                f"Learn shadow={self.shadow!r}", value=self.shadow, next_step="use True or False"
            )
        if self.on_drift is not None and not callable(self.on_drift):
            raise InvalidValue(
                f"Learn on_drift={self.on_drift!r}",
                value=self.on_drift,
                next_step="give a function of an Alarm, or leave it out",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A model that may answer a call: Beta(good, bad) of its quality, and USD of the call."""

    model: str
    good: float
    bad: float
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A call about which a learner is asked: the plan's choice is the first of the arms.

    weight: of the call in the plan's quality; shadow_price: log-quality per USD
    floor: quality that must be reached, where the objective is the cost; None for quality
    """

    node: str
    arms: tuple[Arm, ...]
    weight: float
    shadow_price: float
    floor: float | None = None
