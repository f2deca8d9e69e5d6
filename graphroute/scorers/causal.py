"""A local generative model says how hard a prompt is, from 1 to 5, by its token probabilities.

RouteLLM's causal LLM router reads the probabilities of label tokens instead of a sampled answer
(I. Ong et al., RouteLLM, 2024, §4.2); here the model is any that a local Ollama or llama.cpp server
has, without a fine-tuning of its own, so `fit` learns only how far to trust it (Platt scaling per
model; a judge that knows nothing ends at the mean). Only servers on this machine are asked.
"""

from __future__ import annotations

import ipaddress
import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from graphroute.errors import InvalidValue, PrivacyViolation, ProviderUnavailable
from graphroute.ir.problem import Floats
from graphroute.protocols import Outcomes
from graphroute.scorers import _store
from graphroute.scorers._hashing import clipped
from graphroute.scorers._trained import Progress, TrainedScorer

REQUIRES: Final[tuple[str, ...]] = ()
EXAMPLES: Final[tuple[dict[str, object], ...]] = ()
_MODEL: Final = "llama3.2"
_URL: Final = "http://127.0.0.1:11434/v1"
_LABELS = ("1", "2", "3", "4", "5")
_ASK = (
    "How hard is it to answer the request below well? 1: anyone can. 2: easy. 3: needs some "
    "knowledge or two steps. 4: needs an expert or many steps. 5: very hard. Reply with one digit."
    "\n\nRequest:\n{prompt}\n\nDigit:"
)

Ask = Callable[[str], Mapping[str, float]]
"""Log-probabilities of the likeliest first tokens of the answer."""


class CausalScorer(TrainedScorer):
    """Difficulty `Σ (k − 1)/4 · P(k)` over the five labels, then calibrated per model.

    model: name at the server (`llama3.2`); base_url: an OpenAI-compatible endpoint on the loopback
        (Ollama's own); weights bring along those they were calibrated with
    ask: instead of a server, any function from a text to log-probabilities of first tokens
    """

    name = "causal"

    def __init__(
        self,
        *,
        model: str | None = None,
        base_url: str | None = None,
        ask: Ask | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        super().__init__()
        # What is stated here wins over what the weights were calibrated with.
        self._stated_model, self._stated_url = model, base_url
        self._model, self._base_url = model or _MODEL, base_url or _URL
        self._timeout_s = timeout_s
        self._given = ask
        if ask is None:
            _check_local(self._base_url)

    def _settings(self) -> Mapping[str, object]:
        return {"model": self._model, "base_url": self._base_url, "timeout_s": self._timeout_s}

    def _blank(self) -> CausalScorer:
        return CausalScorer(
            model=self._model,
            base_url=self._base_url,
            ask=self._given,
            timeout_s=self._timeout_s,
        )

    def judged(self, prompts: Sequence[str]) -> Floats:
        """The model's own opinion in [0, 1], before calibration."""
        ask = self._given or self._asked
        return np.array([opinion(ask(_ASK.format(prompt=clipped(p)))) for p in prompts])

    def _fit_raw(self, data: Outcomes, *, seed: int, progress: Progress) -> None:
        del data, seed
        progress("nothing to fit but the calibration", 1.0)

    def _raw(self, prompts: Sequence[str]) -> Floats:
        return np.repeat(-self.judged(prompts)[:, None], max(len(self.models), 1), axis=1)

    def difficulty(self, prompts: Sequence[str]) -> list[float]:
        """Calibrated difficulty once fitted, the model's own opinion before."""
        if self._calibration is None:
            return [float(value) for value in self.judged(prompts)]
        return super().difficulty(prompts)

    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
        del arrays
        settings = _store.read_card(folder).get("settings")
        known = settings if isinstance(settings, dict) else {}
        self._model = self._stated_model or str(known.get("model", self._model))
        base_url = self._stated_url or str(known.get("base_url", self._base_url))
        _check_local(base_url)
        self._base_url = base_url

    def _asked(self, text: str) -> Mapping[str, float]:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 20,
        }
        request = urllib.request.Request(
            f"{self._base_url}/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:
                answer = json.load(reply)
            first = answer["choices"][0]["logprobs"]["content"][0]
            return {str(t["token"]): float(t["logprob"]) for t in first["top_logprobs"]}
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise ProviderUnavailable(
                f"scorer 'causal': {self._base_url} does not answer for {self._model!r} ({error})",
                model=self._model,
                next_step="start the server and load the model",
            ) from error
        except (KeyError, IndexError, TypeError) as error:
            raise ProviderUnavailable(
                f"scorer 'causal': {self._base_url} gives no token probabilities",
                model=self._model,
                next_step="use llama.cpp, or an Ollama that supports logprobs",
            ) from error


def opinion(logprobs: Mapping[str, float]) -> float:
    """Expected label on [0, 1]; 0.5 where no label is among the likeliest tokens.

    >>> round(opinion({"5": math.log(0.5), "1": math.log(0.5), "x": 0.0}), 6)
    0.5
    """
    mass = dict.fromkeys(_LABELS, 0.0)
    for token, logprob in logprobs.items():
        if (label := token.strip()) in mass:
            mass[label] += math.exp(min(logprob, 0.0))
    total = sum(mass.values())
    if total <= 0:
        return 0.5
    return sum((int(label) - 1) / 4 * share / total for label, share in mass.items())


def _check_local(base_url: str) -> None:
    host = urlsplit(base_url).hostname or ""
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise PrivacyViolation(
            f"scorer 'causal' would send prompts to {host!r}",
            value=base_url,
            next_step="use a server on the loopback: prompts are scored on this machine only",
        )


def untrained(**options: Any) -> CausalScorer:
    """A scorer to be calibrated."""
    if unknown := set(options) - {"model", "base_url", "ask", "timeout_s"}:
        raise InvalidValue(f"options {sorted(unknown)}", next_step="use model, base_url, ask")
    return CausalScorer(**options)


def build(weights: str | Path | None = None, **options: Any) -> CausalScorer:
    """The scorer, uncalibrated unless the folder `weights` holds a calibration."""
    scorer = untrained(**options)
    return scorer.load(Path(weights)) if weights is not None else scorer
