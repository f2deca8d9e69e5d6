"""Published figures of model families, and abilities measured on recorded outcomes: data only.

Each published row is a pattern over a normalised name (see `ir.ability`), its MMLU-Pro accuracy,
where the figure is from, and its month. First match wins, so narrow patterns stand before wide
ones; a family's bare name means the size that Ollama serves under it. MMLU-Pro: Y. Wang et al.,
MMLU-Pro: A More Robust and Challenging Multi-Task Language Understanding Benchmark, 2024.

Figures of one model differ between sources by up to five points (prompt, sampling, reasoning on
or off): they order a pool on day one and are replaced by the pool's own records.
"""

from __future__ import annotations

from typing import Final

_OPENAI = "OpenAI models as listed by Artificial Analysis"
_ANTHROPIC = "Anthropic models as listed by Artificial Analysis"
_GOOGLE = "Google models as listed by Artificial Analysis"
_QWEN3 = "Qwen3 without thinking as listed by Artificial Analysis"
_QWEN25 = "Qwen2.5 release notes, Alibaba"
_GEMMA = "Gemma 3 technical report, Google"
_LLAMA = "Llama 3 model cards, Meta"
_PHI = "Phi-4 technical reports, Microsoft"
_TIGER = "MMLU-Pro leaderboard, TIGER-Lab"
_OTHER = "open models as listed by Artificial Analysis"

PUBLISHED: Final[tuple[tuple[str, float, str, str], ...]] = (
    (r"gpt-5(\.\d)?-nano", 0.772, _OPENAI, "2025-08"),
    (r"gpt-5(\.\d)?-mini", 0.828, _OPENAI, "2025-08"),
    (r"gpt-5", 0.867, _OPENAI, "2025-08"),
    (r"gpt-oss-120b", 0.808, _OPENAI, "2025-08"),
    (r"gpt-oss(-20b)?", 0.748, _OPENAI, "2025-08"),
    (r"gpt-4\.1-nano", 0.657, _OPENAI, "2025-04"),
    (r"gpt-4\.1-mini", 0.781, _OPENAI, "2025-04"),
    (r"gpt-4\.1", 0.806, _OPENAI, "2025-04"),
    (r"gpt-4o-mini", 0.648, _OPENAI, "2025-01"),
    (r"(chat)?gpt-4o", 0.748, _OPENAI, "2025-01"),
    (r"o4-mini", 0.832, _OPENAI, "2025-04"),
    (r"o3-mini", 0.791, _OPENAI, "2025-01"),
    (r"o3", 0.853, _OPENAI, "2025-04"),
    (r"o1-mini", 0.742, _OPENAI, "2025-01"),
    (r"o1", 0.841, _OPENAI, "2025-01"),
    (r"gpt-4-turbo", 0.637, _TIGER, "2024-09"),
    (r"gpt-4", 0.605, _TIGER, "2024-06"),
    (r"gpt-3\.5", 0.462, _OPENAI, "2025-01"),
    (r"claude-(opus-4|4-opus|opus-4-1)", 0.873, _ANTHROPIC, "2025-08"),
    (r"claude-sonnet-4-5|claude-sonnet-4\.5", 0.86, _ANTHROPIC, "2025-09"),
    (r"claude-(sonnet-4|4-sonnet)", 0.837, _ANTHROPIC, "2025-05"),
    (r"claude-haiku-4", 0.80, _ANTHROPIC, "2025-10"),
    (r"claude-3-7-sonnet", 0.803, _ANTHROPIC, "2025-02"),
    (r"claude-3-5-sonnet", 0.772, _ANTHROPIC, "2025-01"),
    (r"claude-3-5-haiku", 0.634, _ANTHROPIC, "2025-01"),
    (r"claude-3-opus", 0.685, _TIGER, "2024-09"),
    (r"claude-3-sonnet", 0.568, _TIGER, "2024-09"),
    (r"claude-3-haiku", 0.423, _TIGER, "2024-09"),
    (r"gemini-(3|2\.5)[\w.]*-pro", 0.862, _GOOGLE, "2025-06"),
    (r"gemini-2\.5-flash-lite", 0.759, _GOOGLE, "2025-06"),
    (r"gemini-(3|2\.5)[\w.]*-flash", 0.832, _GOOGLE, "2025-06"),
    (r"gemini-2\.0-flash-lite", 0.724, _GOOGLE, "2025-02"),
    (r"gemini-2\.0-flash", 0.779, _GOOGLE, "2025-02"),
    (r"gemini-1\.5-flash", 0.673, _TIGER, "2024-09"),
    (r"gemini-1\.5-pro", 0.75, _TIGER, "2024-09"),
    (r"deepseek-r1-(distill-)?(qwen-|llama-)?(1\.5b)", 0.269, _OTHER, "2025-01"),
    (r"deepseek-r1-(distill-)?(qwen-|llama-)?(7b|8b)", 0.543, _OTHER, "2025-01"),
    (r"deepseek-r1-(distill-)?(qwen-|llama-)?(14b|32b|70b)", 0.74, _OTHER, "2025-01"),
    (r"deepseek-(r1|reasoner)", 0.844, _OTHER, "2025-01"),
    (r"deepseek-(v3|chat)", 0.752, _OTHER, "2025-01"),
    (r"qwen3-?235b", 0.762, _QWEN3, "2025-05"),
    (r"qwen3-?32b", 0.727, _QWEN3, "2025-05"),
    (r"qwen3-?30b", 0.71, _QWEN3, "2025-05"),
    (r"qwen3-?14b", 0.675, _QWEN3, "2025-05"),
    (r"qwen3-?4b", 0.586, _QWEN3, "2025-05"),
    (r"qwen3-?1\.7b", 0.411, _QWEN3, "2025-05"),
    (r"qwen3-?0\.6b", 0.231, _QWEN3, "2025-05"),
    (r"qwen3(-?8b)?", 0.643, _QWEN3, "2025-05"),
    (r"qwen2\.5-?(coder-)?72b", 0.711, _QWEN25, "2024-09"),
    (r"qwen2\.5-?(coder-)?32b", 0.69, _QWEN25, "2024-09"),
    (r"qwen2\.5-?(coder-)?14b", 0.637, _QWEN25, "2024-09"),
    (r"qwen2\.5-?(coder-)?3b", 0.437, _QWEN25, "2024-09"),
    (r"qwen2\.5-?(coder-)?1\.5b", 0.324, _QWEN25, "2024-09"),
    (r"qwen2\.5-?(coder-)?0\.5b", 0.15, _QWEN25, "2024-09"),
    (r"qwen2\.5(-?(coder-?)?7b)?", 0.563, _QWEN25, "2024-09"),
    (r"qwen2-?72b", 0.644, _QWEN25, "2024-09"),
    (r"qwen2(-?7b)?", 0.441, _QWEN25, "2024-09"),
    (r"gemma-?3-?27b", 0.675, _GEMMA, "2025-03"),
    (r"gemma-?3-?12b", 0.606, _GEMMA, "2025-03"),
    (r"gemma-?3(-?4b)?", 0.436, _GEMMA, "2025-03"),
    (r"gemma-?3-?1b", 0.147, _GEMMA, "2025-03"),
    (r"gemma-?2-?27b", 0.569, _GEMMA, "2025-03"),
    (r"gemma-?2-?2b", 0.156, _GEMMA, "2025-03"),
    (r"gemma-?2(-?9b)?", 0.468, _GEMMA, "2025-03"),
    (r"llama-?3\.3(-?70b)?", 0.689, _LLAMA, "2024-12"),
    (r"llama-?3\.2-?1b", 0.2, _OTHER, "2025-01"),
    (r"llama-?3\.2(-?3b)?", 0.347, _OTHER, "2025-01"),
    (r"llama-?3\.1-?405b", 0.733, _LLAMA, "2024-07"),
    (r"llama-?3\.1-?70b", 0.664, _LLAMA, "2024-07"),
    (r"llama-?3\.1(-?8b)?", 0.483, _LLAMA, "2024-07"),
    (r"llama-?3-?70b", 0.562, _TIGER, "2024-09"),
    (r"llama-?3(-?8b)?", 0.41, _TIGER, "2024-09"),
    (r"phi-?4-?mini(-?3\.8b)?", 0.528, _PHI, "2025-02"),
    (r"phi-?4(-?14b)?", 0.704, _PHI, "2024-12"),
    (r"phi-?3\.5(-mini)?(-?3\.8b)?", 0.474, _PHI, "2024-12"),
    (r"phi-?3(-mini)?(-?3\.8b)?", 0.457, _TIGER, "2024-09"),
    (r"mistral-large(-123b)?", 0.697, _OTHER, "2025-01"),
    (r"mistral-small(3\.\d)?(-2[24]b)?", 0.663, _OTHER, "2025-03"),
    (r"mistral-nemo(-12b)?", 0.399, _OTHER, "2025-01"),
    (r"ministral-?8b", 0.389, _OTHER, "2025-01"),
    (r"mixtral-?8x22b", 0.537, _OTHER, "2025-01"),
    (r"mixtral(-?8x7b)?", 0.43, _TIGER, "2024-09"),
    (r"mistral(-?7b)?", 0.29, _TIGER, "2024-09"),
)
"""(pattern, MMLU-Pro accuracy in [0, 1], source, month)."""

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
