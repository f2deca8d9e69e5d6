"""Any `Router` object of RouteLLM as a prompt scorer.

```python
from routellm.routers.routers import ROUTER_CLS
scorer = graphroute.scorers.routellm.build(router=ROUTER_CLS["bert"](checkpoint_path=...))
```

All that is asked of the object is `calculate_strong_win_rate(prompt) -> float`. Some of RouteLLM's
routers send every prompt to a network service for an embedding; that is then theirs to answer for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from graphroute.errors import InvalidValue
from graphroute.ir.problem import Floats

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ()


class Router(Protocol):
    """What of RouteLLM's `Router` is used."""

    def calculate_strong_win_rate(self, prompt: str) -> float:
        """Probability in [0, 1] that the strong model's answer is the better one."""
        ...


class RouteLLMScorer:
    """Takes the win rate of the strong model for difficulty and need."""

    name = "routellm"

    def __init__(self, router: Router) -> None:
        self._router = router

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """The router's win rates, in [0, 1].

        >>> class Half:
        ...     def calculate_strong_win_rate(self, prompt):
        ...         return 0.5
        >>> build(router=Half()).difficulty(["a", "b"])
        [0.5, 0.5]
        """
        return [self._rate(prompt) for prompt in prompts]

    def need(
        self, prompts: Sequence[str], strong: str | None = None, weak: str | None = None
    ) -> Floats:
        """The same numbers: RouteLLM's routers know one pair only."""
        del strong, weak
        return np.array(self.difficulty(prompts), dtype=np.float64)

    def _rate(self, prompt: str) -> float:
        rate = float(self._router.calculate_strong_win_rate(prompt))
        if not math.isfinite(rate) or not 0 <= rate <= 1:
            raise InvalidValue(
                f"{type(self._router).__name__} gave a win rate of {rate!r}",
                value=rate,
                next_step="a win rate is a number in [0, 1]",
            )
        return rate


def build(router: Router | None = None) -> RouteLLMScorer:
    """The adapter around `router`."""
    if router is None or not callable(getattr(router, "calculate_strong_win_rate", None)):
        raise InvalidValue(
            f"{type(router).__name__} is no RouteLLM router",
            next_step="pass router=an object with calculate_strong_win_rate(prompt)",
        )
    return RouteLLMScorer(router)
