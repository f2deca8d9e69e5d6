"""Whether another layout of a packed prompt makes a small model good enough to pack for.

Reviews are judged alone and in packs by an embedded model, one after the other:

| layout | the answer |
|---|---|
| `numbers` | a JSON object by number, held to by a grammar: what graphroute packs with |
| `echo` | the same, but each key is the whole input, so that it stands right before its answer |
| `lines` | a line for each number, without a grammar |
| `numbers, chosen`, `echo, chosen` | as above, and the grammar allows nothing but the two answers |

Shown: prompt and answer tokens, items that came back, accuracy against the known mood, and the
paired difference to the answers asked for alone with a 95 % interval (bootstrap over reviews).

    python benchmarks/pack_layouts.py [--model gemma|smollm2] [--count 32] [--size 4] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from _machine import describe
from _reviews import Review, reviews, task
from batch import difference, model, mood
from langchain_core.messages import AIMessage

from graphroute.providers import llamacpp
from graphroute.providers._llama_chat import LlamaCppChat
from graphroute.runtime import packing
from graphroute.runtime.template import Template

ANSWER_CHARS = 16
CHOICES = {"enum": ["negative", "positive"]}
LINE = re.compile(r"^\W*(\d+)\W+(\w+)", re.MULTILINE)

Layout = Callable[[LlamaCppChat, str, Sequence[str]], tuple[AIMessage, list[str]]]
"""Asks for all texts at once: the answer, and what it says of each, `""` where it says nothing."""


def ask(chat: LlamaCppChat, prompt: str, schema: Mapping[str, Any] | None, limit: int) -> AIMessage:
    """One call, held to a schema if one is given."""
    form = {"type": "json_schema", "json_schema": {"name": "answers", "schema": schema}}
    kwargs: dict[str, Any] = {} if schema is None else {"response_format": form}
    try:
        return chat.invoke(prompt, max_tokens=limit, **kwargs)
    except Exception as error:
        if (begun := packing.cut_off(error)) is None:
            raise
        return begun


def numbers(
    chat: LlamaCppChat, told: str, texts: Sequence[str], *, each: Mapping[str, Any] | None = None
) -> tuple[AIMessage, list[str]]:
    """As graphroute packs; `each`: what every answer is held to."""
    before, after = told.split("{}")
    template = Template(before=(), prefix=before, suffix=after)
    packed = packing.pack(
        template, texts, seed=len(texts), answer_chars=ANSWER_CHARS, answer_schema=each
    )
    answer = ask(chat, str(packed.messages[-1].content), packed.schema, 24 * len(texts))
    parts = packing.unpack(packed, answer)
    return answer, ["" if part is None else mood(part) for part in parts]


def echo(
    chat: LlamaCppChat, told: str, texts: Sequence[str], *, each: Mapping[str, Any] | None = None
) -> tuple[AIMessage, list[str]]:
    """Keys that are the inputs."""
    listed = json.dumps(list(texts), ensure_ascii=False, indent=0)
    prompt = (
        f"{told.format('<<input>>')}\n\nDo this for each of these inputs:\n{listed}\n\n"
        "Answer with one JSON object whose keys are the inputs, each with its answer."
    )
    each = each or {"type": "string", "maxLength": ANSWER_CHARS}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(texts, each),
        "required": list(texts),
        "additionalProperties": False,
    }
    answer = ask(chat, prompt, schema, sum(len(text) // 2 + 24 for text in texts))
    found = dict(packing._entries(answer.text))
    return answer, [mood(AIMessage(str(found.get(text, "")))) for text in texts]


def lines(chat: LlamaCppChat, told: str, texts: Sequence[str]) -> tuple[AIMessage, list[str]]:
    """A line for each."""
    listed = "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))
    prompt = (
        f"{told.format('<<input>>')}\n\nDo this for each of these inputs:\n{listed}\n\n"
        'Answer with one line for each input: its number, then the answer, as in "1. answer".'
    )
    answer = ask(chat, prompt, None, 12 * len(texts))
    found = dict(LINE.findall(answer.text))
    return answer, [mood(AIMessage(found.get(str(n + 1), ""))) for n in range(len(texts))]


LAYOUTS: Mapping[str, Layout] = {
    "numbers": numbers,
    "echo": echo,
    "lines": lines,
    "numbers, chosen": partial(numbers, each=CHOICES),
    "echo, chosen": partial(echo, each=CHOICES),
}


def row(
    name: str, said: Sequence[str], texts: Sequence[Review], alone: Sequence[bool], seed: int
) -> tuple[str, list[bool]]:
    """What a layout came to, and which of its answers are right."""
    right = [each == review.mood for each, review in zip(said, texts, strict=True)]
    mean, low, high = difference(right, alone or right, seed=seed)
    share, came = 100 * sum(right) / len(right), sum(map(bool, said))
    to_alone = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
    return f"| {name} | {came} of {len(said)} | {share:.1f} % | {to_alone} |", right


def main() -> None:
    """Print a row for each layout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", choices=("gemma", "smollm2"), default="gemma")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    texts = reviews(given.count, houses=1, seed=given.seed)
    told, chat = task(texts[0].house), model(given.model, 1)
    print(
        f"{describe(seed=given.seed)}; {given.model}, {given.count} reviews, packs of {given.size}"
    )
    print("| layout | in tokens | out tokens | came back | right | to alone, points |")
    print("|---|---|---|---|---|---|")
    answers = [chat.invoke(told.format(review.text)) for review in texts]
    alone: list[bool] = []
    works: dict[str, tuple[list[AIMessage], list[str]]] = {
        "alone": (answers, [mood(answer) for answer in answers])
    }
    for name, layout in LAYOUTS.items():
        calls: list[AIMessage] = []
        said: list[str] = []
        for start in range(0, len(texts), given.size):
            answer, found = layout(chat, told, [r.text for r in texts[start : start + given.size]])
            calls.append(answer)
            said += found
        works[name] = calls, said
    for name, (calls, said) in works.items():
        text, right = row(name, said, texts, alone, given.seed)
        alone = alone or right
        usages = [call.usage_metadata for call in calls if call.usage_metadata]
        n_in, n_out = (sum(u[side] for u in usages) for side in ("input_tokens", "output_tokens"))
        print(text.replace(f"| {name} |", f"| {name} | {n_in:,} | {n_out:,} |", 1))
    llamacpp.close()


if __name__ == "__main__":
    main()
