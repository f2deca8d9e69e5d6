"""The two models of the examples: small, installed as packages, served from this process.

SmolLM2-135M-Instruct is the free local model. Gemma-3-270M is a base model; shown some questions
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

_TONE = "Is the sentiment of this text positive or negative? Text: {} Answer with one word."
_FACTS = "Extract the name and the order number from the text as JSON. Text: {}"
_LINE = "Repeat this line: {}"

SHOWN = (
    ("What is the capital of Denmark?", "Copenhagen"),
    (_TONE.format("The ending was dull."), "negative"),
    (_TONE.format("What a lovely evening."), "positive"),
    (_TONE.format("The soup of Paul Berg, table 17, was cold and nobody came."), "negative"),
    (_TONE.format("Our guide Lisa knew every stone of the town. Thank you!"), "positive"),
    (_FACTS.format("Hi, order 310 is fine. Ken Ito"), '{"name": "Ken Ito", "order": "310"}'),
    (
        _FACTS.format("I am Olga Lund and my parcel, order 9954, is late."),
        '{"name": "Olga Lund", "order": "9954"}',
    ),
    (
        _FACTS.format("Sam Hill here: please cancel order 6073 today."),
        '{"name": "Sam Hill", "order": "6073"}',
    ),
    (_LINE.format("Dear Ana Silva, your table is ready."), "Dear Ana Silva, your table is ready."),
    (_LINE.format("The shop opens at nine."), "The shop opens at nine."),
    ("Write one sentence about dogs.", "Dogs are loyal animals that live with people."),
)
"""What frames the base model; none of it occurs in the tickets of the examples."""

OVERHEAD_TOKENS = 378
"""Prompt tokens of the examples, which each call pays for, as for a long system prompt."""

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
