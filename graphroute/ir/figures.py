"""Published figures of model families, and abilities measured on recorded outcomes: data only.

Each published row is a pattern over a normalised name (see `ir.ability`), the benchmark, its
figure, where that is stated, and the month. First match wins, so narrow patterns stand before wide
ones; a family's bare name means the size that Ollama serves under it. Three benchmarks: MMLU-Pro
(Y. Wang et al., MMLU-Pro, 2024) where a figure of it is published, else GPQA (D. Rein et al., GPQA,
2023), and MMLU (D. Hendrycks et al., Measuring Massive Multitask Language Understanding, 2021) for
two models that GPQA does not tell from guessing.

Every figure was read in the source named beside it; a model without one that could be read has no
row, and falls back to its family, its size or its name. "listed" is the LLM-Stats data set as of
2025-10, which takes most figures from the makers' own announcements.

Figures of one model differ between sources by up to five points (prompt, sampling, reasoning on
or off): they order a pool on day one and are replaced by the pool's own records.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Benchmark = Literal["MMLU-Pro", "GPQA", "MMLU"]

_LISTED = "as listed by LLM-Stats"
_QWEN25 = "Qwen2.5 release notes, Alibaba"
_QWEN2 = "Qwen2 release notes, Alibaba"
_LLAMA31 = "Llama 3.1 model card, Meta"
_LLAMA32 = "Llama 3.2 model card, Meta"
_LLAMA33 = "Llama 3.3 model card, Meta"
_LLAMA4 = "Llama 4 model card, Meta"
_TIGER = "MMLU-Pro repository, TIGER-AI-Lab"


class Figure(NamedTuple):
    """A published accuracy in [0, 1] of the models whose normalised name matches `pattern`."""

    pattern: str
    benchmark: Benchmark
    accuracy: float
    source: str
    month: str


PUBLISHED: Final[tuple[Figure, ...]] = (
    Figure("gpt-5-nano", "GPQA", 0.712, _LISTED, "2025-08"),
    Figure("gpt-5-mini", "GPQA", 0.823, _LISTED, "2025-08"),
    Figure("gpt-5", "GPQA", 0.857, _LISTED, "2025-08"),
    Figure("gpt-oss-120b", "GPQA", 0.801, _LISTED, "2025-08"),
    Figure("gpt-oss(-20b)?", "GPQA", 0.715, _LISTED, "2025-08"),
    Figure(r"gpt-4\.5", "GPQA", 0.695, _LISTED, "2025-02"),
    Figure(r"gpt-4\.1-nano", "GPQA", 0.503, _LISTED, "2025-04"),
    Figure(r"gpt-4\.1-mini", "GPQA", 0.65, _LISTED, "2025-04"),
    Figure(r"gpt-4\.1", "GPQA", 0.663, _LISTED, "2025-04"),
    Figure("gpt-4o-mini", "MMLU-Pro", 0.631, _QWEN25, "2024-09"),
    Figure("(chat)?gpt-4o", "MMLU-Pro", 0.726, _TIGER, "2024-06"),
    Figure("o4-mini", "GPQA", 0.814, _LISTED, "2025-04"),
    Figure("o3-mini", "GPQA", 0.772, _LISTED, "2025-01"),
    Figure("o3", "GPQA", 0.833, _LISTED, "2025-04"),
    Figure("o1-mini", "GPQA", 0.6, _LISTED, "2024-09"),
    Figure("o1", "GPQA", 0.78, _LISTED, "2024-12"),
    Figure("gpt-4-turbo", "MMLU-Pro", 0.637, _TIGER, "2024-06"),
    Figure("gpt-4", "GPQA", 0.357, _LISTED, "2023-06"),
    Figure(r"gpt-3\.5", "GPQA", 0.308, _LISTED, "2024-01"),
    Figure("claude-(opus-4[-.]1|4[-.]1-opus)", "GPQA", 0.809, _LISTED, "2025-08"),
    Figure(r"claude-(opus-4|4-opus)(?!-\d(-|$))", "GPQA", 0.796, _LISTED, "2025-05"),
    Figure("claude-(sonnet-4[-.]5|4[-.]5-sonnet)", "GPQA", 0.834, _LISTED, "2025-09"),
    Figure(r"claude-(sonnet-4|4-sonnet)(?!-\d(-|$))", "GPQA", 0.754, _LISTED, "2025-05"),
    Figure("claude-(haiku-4[-.]5|4[-.]5-haiku)", "GPQA", 0.73, _LISTED, "2025-10"),
    Figure("claude-3[-.]7-sonnet", "GPQA", 0.848, _LISTED, "2025-02"),
    Figure("claude-3[-.]5-sonnet-20240620", "MMLU-Pro", 0.761, _TIGER, "2024-06"),
    Figure("claude-3[-.]5-sonnet", "MMLU-Pro", 0.776, _LISTED, "2024-10"),
    Figure("claude-3[-.]5-haiku", "MMLU-Pro", 0.65, _LISTED, "2024-10"),
    Figure("claude-3-opus", "MMLU-Pro", 0.685, _TIGER, "2024-06"),
    Figure("claude-3-sonnet", "MMLU-Pro", 0.568, _TIGER, "2024-06"),
    Figure("claude-3-haiku", "GPQA", 0.333, _LISTED, "2024-03"),
    Figure(r"gemini-2\.5-flash-lite", "GPQA", 0.646, _LISTED, "2025-06"),
    Figure(r"gemini-2\.5-flash", "GPQA", 0.828, _LISTED, "2025-05"),
    Figure(r"gemini-2\.5-pro", "GPQA", 0.83, _LISTED, "2025-05"),
    Figure(r"gemini-2\.0-flash-lite", "MMLU-Pro", 0.716, _LISTED, "2025-02"),
    Figure(r"gemini-2\.0-flash-thinking", "GPQA", 0.742, _LISTED, "2025-01"),
    Figure(r"gemini-2\.0-flash", "MMLU-Pro", 0.764, _LISTED, "2024-12"),
    Figure(r"gemini-1\.5-flash-8b", "MMLU-Pro", 0.587, _LISTED, "2024-10"),
    Figure(r"gemini-1\.5-flash", "MMLU-Pro", 0.673, _LISTED, "2024-09"),
    Figure(r"gemini-1\.5-pro", "MMLU-Pro", 0.758, _LISTED, "2024-09"),
    Figure("grok-4-fast", "GPQA", 0.857, _LISTED, "2025-09"),
    Figure("grok-4", "GPQA", 0.875, _LISTED, "2025-07"),
    Figure("grok-3-mini", "GPQA", 0.84, _LISTED, "2025-02"),
    Figure("grok-3", "GPQA", 0.846, _LISTED, "2025-02"),
    Figure("grok-2-mini", "MMLU-Pro", 0.72, _LISTED, "2024-08"),
    Figure("grok-2", "MMLU-Pro", 0.755, _LISTED, "2024-08"),
    Figure("nova-micro", "GPQA", 0.4, _LISTED, "2024-12"),
    Figure("nova-lite", "GPQA", 0.42, _LISTED, "2024-12"),
    Figure("nova-pro", "GPQA", 0.469, _LISTED, "2024-12"),
    Figure(r"deepseek-r1-(distill-)?(qwen-)?1\.5b", "GPQA", 0.338, _LISTED, "2025-01"),
    Figure("deepseek-r1-(distill-)?(qwen-)?7b", "GPQA", 0.491, _LISTED, "2025-01"),
    Figure("deepseek-r1-(distill-)?(llama-)?8b", "GPQA", 0.49, _LISTED, "2025-01"),
    Figure("deepseek-r1-(distill-)?(qwen-)?14b", "GPQA", 0.591, _LISTED, "2025-01"),
    Figure("deepseek-r1-(distill-)?(qwen-)?32b", "GPQA", 0.621, _LISTED, "2025-01"),
    Figure("deepseek-r1-(distill-)?(llama-)?70b", "GPQA", 0.652, _LISTED, "2025-01"),
    Figure("deepseek-r1-0528", "MMLU-Pro", 0.85, _LISTED, "2025-05"),
    Figure("deepseek-(r1(-671b)?|reasoner)", "MMLU-Pro", 0.84, _LISTED, "2025-01"),
    Figure(r"deepseek-v3\.2", "MMLU-Pro", 0.85, _LISTED, "2025-09"),
    Figure(r"deepseek-v3\.1", "MMLU-Pro", 0.837, _LISTED, "2025-08"),
    Figure("deepseek-v3-0324", "MMLU-Pro", 0.812, _LISTED, "2025-03"),
    Figure("deepseek-(v3|chat)", "MMLU-Pro", 0.759, _LISTED, "2024-12"),
    Figure("qwen3-?235b-a22b-thinking", "MMLU-Pro", 0.844, _LISTED, "2025-07"),
    Figure("qwen3-?235b-a22b-instruct-2507", "MMLU-Pro", 0.83, _LISTED, "2025-07"),
    Figure("qwen3-?235b", "MMLU-Pro", 0.682, _LISTED, "2025-05"),
    Figure("qwen3-next-?80b(-a3b)?-thinking", "MMLU-Pro", 0.827, _LISTED, "2025-09"),
    Figure("qwen3-next-?80b", "MMLU-Pro", 0.806, _LISTED, "2025-09"),
    Figure("qwen3-?30b", "GPQA", 0.658, _LISTED, "2025-05"),
    Figure("qwq(-32b)?", "GPQA", 0.652, _LISTED, "2025-03"),
    Figure(r"qwen-?2\.5-?coder-?32b", "MMLU-Pro", 0.504, _LISTED, "2024-11"),
    Figure(r"qwen-?2\.5-?coder(-?7b)?", "MMLU-Pro", 0.401, _LISTED, "2024-11"),
    Figure(r"qwen-?2\.5-?72b", "MMLU-Pro", 0.711, _QWEN25, "2024-09"),
    Figure(r"qwen-?2\.5-?32b", "MMLU-Pro", 0.69, _QWEN25, "2024-09"),
    Figure(r"qwen-?2\.5-?14b", "MMLU-Pro", 0.637, _QWEN25, "2024-09"),
    Figure(r"qwen-?2\.5-?3b", "MMLU-Pro", 0.437, _QWEN25, "2024-09"),
    Figure(r"qwen-?2\.5-?1\.5b", "MMLU-Pro", 0.324, _QWEN25, "2024-09"),
    Figure(r"qwen-?2\.5-?0\.5b", "MMLU-Pro", 0.15, _QWEN25, "2024-09"),
    Figure(r"qwen-?2\.5(-?7b)?", "MMLU-Pro", 0.563, _QWEN25, "2024-09"),
    Figure("qwen-?2-?72b", "MMLU-Pro", 0.644, _QWEN2, "2024-06"),
    Figure(r"qwen-?2-?1\.5b", "MMLU-Pro", 0.229, _QWEN25, "2024-09"),
    Figure(r"qwen-?2-?0\.5b", "MMLU-Pro", 0.144, _QWEN25, "2024-09"),
    Figure("qwen-?2(-?7b)?", "MMLU-Pro", 0.441, _QWEN2, "2024-06"),
    Figure("gemma-?3n-?e2b", "MMLU-Pro", 0.405, _LISTED, "2025-06"),
    Figure("gemma-?3n(-?e4b)?", "MMLU-Pro", 0.506, _LISTED, "2025-06"),
    Figure("gemma-?3-?27b", "MMLU-Pro", 0.675, _LISTED, "2025-03"),
    Figure("gemma-?3-?12b", "MMLU-Pro", 0.606, _LISTED, "2025-03"),
    Figure("gemma-?3(-?4b)?", "MMLU-Pro", 0.436, _LISTED, "2025-03"),
    Figure("gemma-?3-?1b", "MMLU-Pro", 0.147, _LISTED, "2025-03"),
    Figure("gemma-?2-?27b", "MMLU-Pro", 0.555, _QWEN25, "2024-09"),
    Figure("gemma-?2-?2b", "MMLU-Pro", 0.267, _QWEN25, "2024-09"),
    Figure("gemma-?2(-?9b)?", "MMLU-Pro", 0.521, _QWEN25, "2024-09"),
    Figure("llama-?4-maverick", "MMLU-Pro", 0.805, _LLAMA4, "2025-04"),
    Figure("llama-?4-scout", "MMLU-Pro", 0.743, _LLAMA4, "2025-04"),
    Figure(r"llama-?3\.3(-?70b)?", "MMLU-Pro", 0.689, _LLAMA33, "2024-12"),
    Figure(r"llama-?3\.2-?1b", "MMLU", 0.493, _LLAMA32, "2024-09"),
    Figure(r"llama-?3\.2-?90b", "GPQA", 0.467, _LISTED, "2024-09"),
    Figure(r"llama-?3\.2-?11b", "GPQA", 0.328, _LISTED, "2024-09"),
    Figure(r"llama-?3\.2(-?3b)?", "MMLU", 0.634, _LLAMA32, "2024-09"),
    Figure(r"llama-?3\.1-?405b", "MMLU-Pro", 0.733, _LLAMA31, "2024-07"),
    Figure(r"llama-?3\.1-?70b", "MMLU-Pro", 0.664, _LLAMA31, "2024-07"),
    Figure(r"llama-?3\.1(-?8b)?", "MMLU-Pro", 0.483, _LLAMA31, "2024-07"),
    Figure("llama-?3-?70b", "MMLU-Pro", 0.562, _TIGER, "2024-06"),
    Figure("llama-?3(-?8b)?", "MMLU-Pro", 0.41, _QWEN2, "2024-06"),
    Figure("phi-?4-?mini-?reasoning", "GPQA", 0.52, _LISTED, "2025-04"),
    Figure(r"phi-?4-?mini(-?3\.8b)?", "MMLU-Pro", 0.528, _LISTED, "2025-02"),
    Figure("phi-?4-?reasoning-?plus", "MMLU-Pro", 0.76, _LISTED, "2025-04"),
    Figure("phi-?4-?reasoning", "MMLU-Pro", 0.743, _LISTED, "2025-04"),
    Figure("phi-?4(-?14b)?", "MMLU-Pro", 0.704, _LISTED, "2024-12"),
    Figure(r"phi-?3\.5(-mini)?(-?3\.8b)?", "MMLU-Pro", 0.475, _QWEN25, "2024-09"),
    Figure("phi-?3-medium(-128k)?", "MMLU-Pro", 0.519, _TIGER, "2024-06"),
    Figure("mistral-large(-123b)?", "MMLU-Pro", 0.694, _QWEN25, "2024-09"),
    Figure(r"mistral-small-?3\.2", "MMLU-Pro", 0.691, _LISTED, "2025-06"),
    Figure(r"mistral-small-?3\.1", "MMLU-Pro", 0.668, _LISTED, "2025-03"),
    Figure("mistral-small(-24b)?", "MMLU-Pro", 0.663, _LISTED, "2025-01"),
    Figure("magistral-medium", "GPQA", 0.708, _LISTED, "2025-06"),
    Figure("magistral(-small)?", "GPQA", 0.682, _LISTED, "2025-06"),
    Figure("mixtral-?8x22b", "MMLU-Pro", 0.516, _QWEN25, "2024-09"),
    Figure("mixtral(-?8x7b)?", "MMLU-Pro", 0.433, _QWEN2, "2024-06"),
    Figure("(mistral-?7b|mistral(?!-))", "MMLU-Pro", 0.309, _QWEN25, "2024-09"),
    Figure(r"jamba-1\.5-large", "MMLU-Pro", 0.535, _LISTED, "2024-08"),
    Figure(r"jamba-1\.5-mini", "MMLU-Pro", 0.425, _LISTED, "2024-08"),
    Figure(r"glm-4\.6", "GPQA", 0.81, _LISTED, "2025-09"),
    Figure(r"glm-4\.5-air", "MMLU-Pro", 0.814, _LISTED, "2025-07"),
    Figure(r"glm-4\.5", "MMLU-Pro", 0.846, _LISTED, "2025-07"),
    Figure("kimi-k2", "MMLU-Pro", 0.811, _LISTED, "2025-07"),
    Figure("yi-large", "MMLU-Pro", 0.575, _TIGER, "2024-06"),
    Figure(r"yi-1\.5-34b", "MMLU-Pro", 0.523, _TIGER, "2024-06"),
    Figure(r"qwen1\.5-72b", "MMLU-Pro", 0.526, _TIGER, "2024-06"),
    Figure(r"qwen1\.5-7b", "MMLU-Pro", 0.291, _QWEN2, "2024-06"),
)
"""Base models where only those are published: Mistral 7B and Mixtral 8x22B."""

SUCCESSORS: Final[tuple[tuple[str, str], ...]] = (
    (r"gpt-[5-9](\.\d+)?-nano", "gpt-5-nano"),
    (r"gpt-[5-9](\.\d+)?-mini", "gpt-5-mini"),
    (r"gpt-[5-9](\.\d+)?", "gpt-5"),
    (r"o[5-9]-mini", "o4-mini"),
    (r"claude-(opus-[4-9]|[4-9]-opus)([-.]\d+)?", "claude-opus-4-1"),
    (r"claude-(sonnet-[4-9]|[4-9]-sonnet)([-.]\d+)?", "claude-sonnet-4-5"),
    (r"claude-(haiku-[4-9]|[4-9]-haiku)([-.]\d+)?", "claude-haiku-4-5"),
    (r"gemini-([3-9](\.\d+)?|2\.5)-flash-lite", "gemini-2.5-flash-lite"),
    (r"gemini-[3-9](\.\d+)?-flash", "gemini-2.5-flash"),
    (r"gemini-[3-9](\.\d+)?-pro", "gemini-2.5-pro"),
    (r"grok-[4-9](\.\d+)?", "grok-4"),
    (r"deepseek-v[4-9](\.\d+)?", "deepseek-v3.2"),
    (r"glm-[5-9](\.\d+)?", "glm-4.6"),
)
"""(pattern, model with a figure): a later version is taken to be as able as the last one that has
a figure; asked only where neither records nor figures nor a size in the name speak of the model.
"""

MEASURED: Final[dict[str, float]] = {
    "claude-3-5-haiku-20241022": 0.549,
    "claude-3-5-sonnet-20240620": 0.634,
    "claude-3-5-sonnet-20241022": 0.687,
    "claude-3-haiku-20240307": 0.387,
    "claude-3-opus-20240229": 0.567,
    "claude-3-sonnet-20240229": 0.508,
    "command-r-plus": 0.401,
    "command-r-v01": 0.305,
    "deepseek-v2.5-0908": 0.541,
    "gemini-1.5-flash": 0.471,
    "gemini-1.5-flash-002": 0.521,
    "gemini-1.5-pro": 0.512,
    "gemini-1.5-pro-002": 0.571,
    "gemma-2-27b-it": 0.437,
    "gemma-2-2b-it": 0.115,
    "gemma-2-9b-it": 0.365,
    "gpt-3.5-turbo-0125": 0.342,
    "gpt-4-0314": 0.488,
    "gpt-4-1106-preview": 0.578,
    "gpt-4-turbo-2024-04-09": 0.586,
    "gpt-4o-2024-05-13": 0.620,
    "gpt-4o-2024-08-06": 0.641,
    "gpt-4o-mini-2024-07-18": 0.591,
    "jamba-1.5-large": 0.410,
    "llama-3-70b-instruct": 0.472,
    "llama-3-8b-instruct": 0.265,
    "llama-3.1-405b-instruct": 0.601,
    "llama-3.1-70b-instruct": 0.528,
    "llama-3.1-8b-instruct": 0.346,
    "mathstral-7b": 0.349,
    "mistral-7b-instruct-v0.1": 0.186,
    "mistral-7b-instruct-v0.2": 0.242,
    "mistral-large-2407": 0.556,
    "mistral-nemo-2407": 0.383,
    "mixtral-8x7b-instruct-v0.1": 0.324,
    "o1-mini-2024-09-12": 0.820,
    "o1-preview-2024-09-12": 0.914,
    "phi-3-mini-4k-instruct": 0.318,
    "phi-3.5-mini-instruct": 0.320,
    "qwen1.5-72b-chat": 0.400,
    "qwen1.5-7b-chat": 0.211,
    "qwen2-72b-instruct": 0.499,
    "qwen2-7b-instruct": 0.334,
    "qwen2.5-32b-instruct": 0.605,
    "qwen2.5-3b-instruct": 0.326,
    "qwen2.5-72b-instruct": 0.625,
    "qwen2.5-7b-instruct": 0.489,
    "yi-1.5-34b-chat": 0.333,
    "yi-1.5-9b-chat": 0.318,
    "yi-6b-chat": 0.214,
}
"""Abilities of models with recorded answers to 500 to 11,954 questions of at least two kinds of
work or of MMLU-Pro: a Rasch model with a deviation per kind of work, on the scale of `ir.quality`.
"""
