"""The two models of the examples: small, installed as packages, served from this process.

SmolLM2-135M-Instruct is the free local model. Gemma-3-270M is a base model; shown four questions
and answers it does such tasks well. It is given a price and stands in for a model in the cloud:
both run here, and the price is only there so that there is something to save.

Nothing is loaded when this is imported; the first call of a model loads it.
"""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from graphroute import Model
from graphroute.providers import llamacpp
from graphroute.providers._packaged import gemma_path, smollm2_path

SHOWN = (
    (
        "Is the sentiment of this text positive or negative? Text: The ending was dull. "
        "Answer with one word.",
        "negative",
    ),
    (
        "Is the sentiment of this text positive or negative? Text: What a lovely evening. "
        "Answer with one word.",
        "positive",
    ),
    (
        "Extract the name and the order number from the text as JSON. "
        "Text: Hi, order 310 is fine. Ken Ito",
        '{"name": "Ken Ito", "order": "310"}',
    ),
    (
        "Write one sentence to Ana Silva about order 82.",
        "Dear Ana Silva, thank you for your message about order 82.",
    ),
)
"""What frames the base model; none of it occurs in the tickets of the examples."""

OVERHEAD_TOKENS = 140
"""Prompt tokens of the four examples."""

PRICE_IN_USD, PRICE_OUT_USD = 1.00, 3.00
"""Per million tokens: the made-up price of the stand-in, about that of a small cloud model."""

strong = llamacpp.chat(
    llamacpp.Gguf(
        path=gemma_path(Path(user_cache_path("graphroute")) / "models"),
        alias="gemma-3-270m",
        template=llamacpp.few_shot(SHOWN),
        stop=llamacpp.FEW_SHOT_STOP,
        context_tokens=2048,
        slots=1,
        # Counted once by the model's own tokenizer; without it the plan counts characters.
        overhead_tokens=OVERHEAD_TOKENS,
    ),
    temperature=0,
    max_tokens=48,
)
weak = llamacpp.chat(
    llamacpp.Gguf(
        path=smollm2_path(),
        alias="smollm2-135m",
        template=llamacpp.TOOLS,
        context_tokens=2048,
        slots=1,
    ),
    temperature=0,
    max_tokens=48,
)

STRONG = Model(
    "llamacpp:gemma-3-270m",
    strong,
    local=False,
    price_in_usd=PRICE_IN_USD,
    price_out_usd=PRICE_OUT_USD,
    quality=0.9,
)
WEAK = Model("llamacpp:smollm2-135m", weak, quality=0.5)
POOL = (STRONG, WEAK)
