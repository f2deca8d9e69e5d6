"""How probable were the words of an answer to the model that gave them?

A model that is unsure spreads its probability over several next tokens. The score is the geometric
mean of the probabilities of the answer's tokens, which does not fall with its length (A. Malinin
and M. Gales, Uncertainty Estimation in Autoregressive Structured Prediction, ICLR 2021). It orders
the answers of one model at one step; how many answers of a score are good differs from model to
model and from step to step (C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017). So
what earlier runs say of a score counts as soon as there is enough of it; until then a curve that
was measured on small models stands in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from graphroute.checks.reading import metadata_of
from graphroute.errors import InvalidValue
from graphroute.ir.sureness import USUAL, usual_rates
from graphroute.ir.verdict import Chance, Verdict, unknown


@dataclass(frozen=True, slots=True)
class Confidence:
    """The answer's tokens were probable enough that it is good with a chance of `at_least`.

    An answer whose server told no probabilities is left open.

    at_least: of the chance of a good answer, in [0, 1]; chance: what earlier runs say of a score

    >>> from langchain_core.messages import AIMessage
    >>> told = {"content": [{"token": "yes", "logprob": math.log(0.25)}]}
    >>> verdict = Confidence()([], AIMessage("yes", response_metadata={"logprobs": told}))
    >>> verdict.score, verdict.passed, Confidence()([], "yes").is_known
    (0.25, False, False)
    """

    at_least: float = 0.5
    chance: Chance | None = None
    is_quick: ClassVar[bool] = True
    wants_probabilities: ClassVar[bool] = True

    def __post_init__(self) -> None:
        is_number = isinstance(self.at_least, (int, float)) and not isinstance(self.at_least, bool)
        if not (is_number and 0 <= self.at_least <= 1):
            raise InvalidValue(
                f"at_least={self.at_least!r}",
                value=self.at_least,
                next_step="use a probability in [0, 1]",
            )

    def __call__(self, _sent: Sequence[Any], reply: Any) -> Verdict:
        """Judge the reply."""
        logs = token_logs(reply)
        if not logs:
            return unknown("no probabilities came with it", source="confidence")
        score = math.exp(sum(logs) / len(logs))
        known = None if self.chance is None else self.chance(score)
        chance = USUAL(score) if known is None else known
        by = "as a rule" if known is None else "by earlier runs"
        return Verdict(
            score=score,
            passed=chance >= self.at_least,
            reason=f"mean probability of a token {score:.3f}; {by} {chance:.0%} of such are good",
            source="confidence",
        )

    @property
    def rates(self) -> tuple[float, float]:
        """How often right and wrong answers pass while nothing else is known, both in [0, 1]."""
        return usual_rates(self.at_least)

    def calibrated(self, chance: Chance) -> Confidence:
        """The same check, told by `chance` how many answers of a score are good."""
        return replace(self, chance=chance)


def token_logs(reply: Any) -> list[float]:
    """Natural logarithms of the probabilities of the answer's tokens, where they came with it.

    In OpenAI's form and in Ollama's; a token that ends the answer has no text and is left out.
    """
    told = metadata_of(reply).get("logprobs")
    tokens = told.get("content") if isinstance(told, Mapping) else told
    found = []
    for each in tokens if isinstance(tokens, (list, tuple)) else ():
        read = getattr(each, "get", None)  # a dict, or a value of the ollama package
        value = read("logprob") if callable(read) and read("token") else None
        if isinstance(value, (int, float)) and not math.isnan(value):
            found.append(min(0.0, float(value)))
    return found
