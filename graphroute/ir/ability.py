"""How able is a model: one number on the scale on which `ir.quality` measures difficulty.

Best source first: what the user says; recorded outcomes of the very model; a published figure of
its family (`ir.figures`); its parameter count; the last version of its family with a figure; a word
of size in its name; else 0.5. Two laws were fitted to abilities from recorded outcomes (a Rasch
model over 11,527 questions of five kinds of work), two to published figures:

- MMLU-Pro p: `θ = −0.554 + 1.834 · logit p`; 36 models, r = 0.95, residual sd 0.37 logits
- GPQA g and MMLU g, of which one in four is luck, by way of MMLU-Pro, with u = logit((g − ¼) / ¾):
  `logit p = 1.165 + 0.552 u` (60 models with both figures, r = 0.94, residual sd 0.23 logits) and
  `logit p = −0.333 + 0.869 u` (40 models, r = 0.90, residual sd 0.25)
- parameters N: `θ = −2.268 + 0.538 · ln(N / 10⁹)`; 35 open models of 2023 to 2024, r = 0.74,
  residual sd 0.71 logits: it orders sizes and knows nothing of training

with `ability = 0.45 + θ / 8.2`, which puts those 66 models between 0.11 and 0.91 and leaves room
at both ends for smaller and later ones.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

from graphroute.errors import InvalidValue
from graphroute.ir.figures import MEASURED, PUBLISHED, SUCCESSORS, Figure
from graphroute.ir.quality import ability_for

CENTRE: Final = 0.45
LOGITS_PER_UNIT: Final = 8.2
"""Question-level logits per unit of ability; see `ir.quality.SLOPE` for steps."""

_ROWS = tuple((re.compile(rf"{row.pattern}(?![a-z0-9.])"), row) for row in PUBLISHED)
_LATER = tuple((re.compile(rf"{pattern}(?![a-z0-9.])"), known) for pattern, known in SUCCESSORS)
_AT_OLLAMA: Final = {"deepseek-r1": "deepseek-r1-8b", "phi3": "phi-3-mini-4k", "qwen3": "qwen3-8b"}
"""What Ollama serves under a bare name that means a larger model, or none, elsewhere."""

_DATED = re.compile(r"-(20\d{2}-?\d{2}-?\d{2}|\d{4})$")
_WORDS: Final = (
    (0.35, frozenset({"nano", "tiny", "micro"})),
    (0.45, frozenset({"mini", "small", "lite", "haiku", "flash", "fast"})),
    (0.60, frozenset({"large", "pro", "max", "ultra", "opus", "premier"})),
)
"""Ability by a word of the name: judgement, so that a pool of unknown models is not all alike."""

_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_TRAILER = re.compile(
    r"(\.gguf|-gguf|-q\d[a-z0-9]*|-(latest|instruct|chat|it|preview|fp16|bf16))+$"
)


def ability(
    name: str, parameters: int | None = None, quality: float | None = None
) -> tuple[float, str]:
    """Ability in [0, 1] of the model called `name`, and where the figure is from.

    name: a pool name such as `"ollama:llama3.2:3b"` or the path of a GGUF file
    parameters: number of weights, if known
    quality: the user's prior probability of a good answer on a step of middle difficulty, (0, 1)

    >>> ability("openai:gpt-5-mini")[0] > ability("ollama:llama3.2:3b")[0] > ability("x:135m")[0]
    True
    >>> ability("ollama:llama3.2")[1]
    'MMLU 0.634 (Llama 3.2 model card, Meta, 2024-09)'
    >>> ability("openai:gpt-5.4-mini")[1]
    'no figure; as able as gpt-5-mini: GPQA 0.823 (as listed by LLM-Stats, 2025-08)'
    >>> ability("corp:assistant")
    (0.5, 'default')
    """
    if quality is not None:
        if not (math.isfinite(quality) and 0 < quality < 1):
            raise InvalidValue(
                f"model {name!r}: quality={quality!r}",
                model=name,
                value=quality,
                next_step="use a probability strictly between 0 and 1",
            )
        return ability_for(quality), "user"
    if parameters is not None and parameters < 1:
        raise InvalidValue(
            f"model {name!r}: parameters={parameters!r}",
            model=name,
            value=parameters,
            next_step="use the number of weights, ≥ 1, or None",
        )
    return _looked_up(name, parameters)


@lru_cache(maxsize=1024)
def _looked_up(name: str, parameters: int | None) -> tuple[float, str]:
    plain = normalised(name)
    if name.startswith("ollama:"):
        plain = _AT_OLLAMA.get(plain, plain)
    if plain in _RECORDED:
        return MEASURED[_RECORDED[plain]], "recorded outcomes, 2024"
    if (dated := _DATES.get(plain)) is not None:
        return MEASURED[dated], f"recorded outcomes of {dated}, 2024"
    if (figure := _figure(plain)) is not None:
        return _from_figure(figure), _told(figure)
    if parameters is not None:
        return round(from_parameters(parameters), 3), f"parameter count {parameters:,}"
    if named := parameters_in(plain):
        return round(from_parameters(named), 3), f"parameter count {named:,} in the name"
    for pattern, known in _LATER:
        if pattern.match(plain) and (figure := _figure(known)) is not None:
            return _from_figure(figure), f"no figure; as able as {known}: {_told(figure)}"
    words = set(re.split(r"[^a-z]+", plain))
    for able, sizes in _WORDS:
        if found := sorted(words & sizes):
            return able, f"no figure; by the word {found[0]!r} in the name"
    return 0.5, "default"


def _figure(plain: str) -> Figure | None:
    return next(
        (row for pattern, row in _ROWS if pattern.match(plain) and _size_agrees(plain, pattern)),
        None,
    )


def _from_figure(figure: Figure) -> float:
    laws = {"GPQA": from_gpqa, "MMLU": from_mmlu, "MMLU-Pro": from_mmlu_pro}
    return round(laws[figure.benchmark](figure.accuracy), 3)


def _told(figure: Figure) -> str:
    return f"{figure.benchmark} {figure.accuracy:.3f} ({figure.source}, {figure.month})"


def _size_agrees(plain: str, pattern: re.Pattern[str]) -> bool:
    # A bare family row (`gemma-3`) must not speak for a size not in it (`gemma-3-270m`).
    matched = pattern.match(plain)
    rest = plain[matched.end() :] if matched else ""
    return (
        _SIZE.search(rest) is None or _SIZE.search(matched.group() if matched else "") is not None
    )


def normalised(name: str) -> str:
    """The model's plain name: no provider, owner, folder, file suffix, quantization or tag.

    >>> normalised("llamacpp:/models/Llama-3.2-3B-Instruct-Q4_K_M.gguf")
    'llama-3.2-3b'
    >>> normalised("ollama:qwen2.5:7b-instruct-q8_0"), normalised("openai:gpt-4o@localhost:80")
    ('qwen2.5-7b', 'gpt-4o')
    """
    text = name.strip().lower().replace("\\", "/")
    text = text.partition(":")[2] or text
    text = text.rpartition("/")[2].partition("@")[0]
    text = re.sub(r"[:_ ]+", "-", text)
    text = re.sub(r"^(meta|google|mistralai|qwen|microsoft|open)-(?=[a-z]{4})", "", text)
    text = re.sub(r"-q\d-[a-z0-9]+(-[a-z])?(?=$|\.|-gguf)", "", text)
    return _TRAILER.sub("", text)


def parameters_in(name: str) -> int | None:
    """The parameter count that a name states, None if it states none.

    >>> parameters_in("smollm2-135m"), parameters_in("mixtral-8x7b"), parameters_in("gpt-4o")
    (135000000, 56000000000, None)
    """
    found = _SIZE.search(name)
    if found is None:
        return None
    experts, count, unit = found.groups()
    return int(float(count) * int(experts or 1) * (1e9 if unit == "b" else 1e6)) or None


def from_mmlu_pro(accuracy: float) -> float:
    """Ability from an MMLU-Pro accuracy in (0, 1); clipped to [0, 1].

    >>> round(from_mmlu_pro(0.5), 3)
    0.382
    """
    # One in ten is luck: figures below a fifth say little more than that the model is weak.
    p = min(max(accuracy, 0.2), 0.99)
    return from_logits(-0.554 + 1.834 * math.log(p / (1 - p)))


def from_gpqa(accuracy: float) -> float:
    """Ability from a GPQA accuracy in (0, 1), by way of MMLU-Pro; clipped to [0, 1].

    >>> round(from_gpqa(0.5), 3)
    0.557
    """
    return _by_way_of_mmlu_pro(accuracy, 1.165, 0.552)


def from_mmlu(accuracy: float) -> float:
    """Ability from an MMLU accuracy in (0, 1), by way of MMLU-Pro; clipped to [0, 1].

    >>> round(from_mmlu(0.7), 3)
    0.387
    """
    return _by_way_of_mmlu_pro(accuracy, -0.333, 0.869)


def _by_way_of_mmlu_pro(accuracy: float, offset: float, slope: float) -> float:
    # Below 0.3 it is luck for the most part, and says little more than that the model is weak.
    known = (min(max(accuracy, 0.3), 0.99) - 0.25) / 0.75
    odds = offset + slope * math.log(known / (1 - known))
    return from_mmlu_pro(1 / (1 + math.exp(-odds)))


def from_parameters(parameters: int) -> float:
    """Ability from the number of weights, ≥ 1; clipped to [0, 1].

    >>> round(from_parameters(7_000_000_000), 3)
    0.301
    """
    return from_logits(-2.268 + 0.538 * math.log(max(parameters, 1) / 1e9))


def from_logits(theta: float) -> float:
    """Ability from question-level log-odds (0: right on half of the middle questions)."""
    return min(max(CENTRE + theta / LOGITS_PER_UNIT, 0.0), 1.0)


_RECORDED: Final = {normalised(name): name for name in MEASURED}
_DATES: Final = {_DATED.sub("", name): name for name in sorted(MEASURED) if _DATED.search(name)}
"""A name without a date means the latest version that was recorded."""
