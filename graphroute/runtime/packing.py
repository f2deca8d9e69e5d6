"""Several prompts of one template in one prompt, and its one answer taken apart again.

```
 k prompts   (task + item₁) … (task + itemₖ)      ─► task + item₁ … itemₖ      task paid once
 one answer  {"1": "good", "2": "bad", …}         ─► answer₁ … answerₖ         by key, checked
```

Packing many items into one prompt loses quality where the model mixes them up or where the place in
the list counts (Lin et al., "BatchPrompt", 2023, arXiv 2309.00384): so the order is drawn anew for
each prompt, the answer is held to a schema with exactly one key for each item, and an item whose
answer is missing, twice there, of the wrong type or a refusal is asked alone. Whether the loss is
worth it is measured (`pack_size`).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata

from graphroute.runtime.request import Request
from graphroute.runtime.template import Template

PLACE: Final = "<<input>>"
"""Stands for the item where the task is told."""

_TASK: Final = (
    "Do the same task for each of {count} inputs. Treat each input by itself.\n\n"
    "The task, in which {place} stands for the input:\n{task}\n\n"
    "The inputs, numbered:\n{items}\n\n"
    "Answer with one JSON object with the keys {keys}: for each number what you would answer if "
    "that input were the only one."
)

_REFUSAL = re.compile(
    r"\s*(?:i['’]?m sorry|i am sorry|sorry,|i can(?:no|['’])t |i['’]?m unable|i am unable|"
    r"as an ai\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One prompt for several.

    messages, schema: what is sent, and what the answer is held to
    order: which item stands at which number; `order[0]` is the index of the item numbered 1
    items: their texts, by index; stop: ends of an answer, which hold for each by itself
    answer_schema: what each answer must be, None for a text
    """

    messages: tuple[BaseMessage, ...]
    schema: Mapping[str, Any]
    order: tuple[int, ...]
    items: tuple[str, ...]
    stop: tuple[str, ...] = ()
    answer_schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None

    def request(self, base: Request) -> Request:
        """A member's wishes, changed to those of the whole pack."""
        return replace(
            base,
            schema=self.schema,
            schema_name="answers",
            any_json=False,
            strict=None,
            max_tokens=self.max_tokens,
            # A stop sequence would end the object, not the answer in it.
            stop=(),
            as_made={},
            tracing={},
        )


_UNDERSTOOD = frozenset(
    (
        *("response_format", "format", "output_format", "output_config", "stop", "stop_sequences"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict"),
        *("temperature", "top_p", "seed", "strict", "parallel_tool_calls"),
        *("ls_structured_output_format", "structured_output_format"),
    )
)
"""Arguments of a call that are told in a `Request`; any other may mean something for one call."""


def pack(
    template: Template,
    items: Sequence[str],
    *,
    seed: int,
    answer_schema: Mapping[str, Any] | None = None,
    answer_chars: int | None = None,
    stop: Sequence[str] = (),
    max_tokens: int | None = None,
) -> Pack:
    """One prompt for these items (at least two), in an order drawn by `seed`.

    answer_chars: most characters of a text answer; a small model may otherwise not end the first
    max_tokens: limit on the whole answer

    >>> from graphroute.runtime.template import Template
    >>> tone = Template(before=(), prefix="Good or bad? ", suffix="")
    >>> packed = pack(tone, ["I laughed.", "I slept."], seed=1)
    >>> print(packed.messages[0].content.split("numbered:")[1].split("Answer")[0].strip())
    1: "I slept."
    2: "I laughed."
    >>> [part.text for part in unpack(packed, AIMessage('{"1": "bad", "2": "good"}'))]
    ['good', 'bad']
    """
    order = list(range(len(items)))
    random.Random(seed).shuffle(order)
    numbers = [str(number) for number in range(1, len(items) + 1)]
    # As JSON strings, so that no text can pass for the next item.
    listed = (
        f"{number}: {json.dumps(items[index], ensure_ascii=False)}"
        for number, index in zip(numbers, order, strict=True)
    )
    keys = f'"1" to "{numbers[-1]}"' if len(numbers) > 2 else ", ".join(f'"{n}"' for n in numbers)
    text = _TASK.format(
        count=len(items),
        place=PLACE,
        task=f"{template.prefix}{PLACE}{template.suffix}".strip(),
        items="\n".join(listed),
        keys=keys,
    )
    return Pack(
        messages=(*template.before, HumanMessage(text)),
        schema=_schema(numbers, answer_schema, answer_chars),
        order=tuple(order),
        items=tuple(items),
        stop=tuple(stop),
        answer_schema=answer_schema,
        max_tokens=max_tokens,
    )


def _schema(
    numbers: Sequence[str], answer: Mapping[str, Any] | None, chars: int | None
) -> Mapping[str, Any]:
    each: Mapping[str, Any] = {"type": "string"} if answer is None else answer
    if answer is None and chars is not None:
        each = {**each, "maxLength": chars}
    shared: dict[str, Any] = {}
    if answer is not None:
        # References inside the answer's schema start at the root, so their targets go there.
        shared = {key: answer[key] for key in ("$defs", "definitions") if key in answer}
        each = {key: value for key, value in answer.items() if key not in shared}
    return {
        "title": "answers",
        "type": "object",
        "properties": dict.fromkeys(numbers, each),
        "required": list(numbers),
        "additionalProperties": False,
        **shared,
    }


def can_pack(request: Request | None, *, answers: int = 1) -> bool:
    """Whether a call's wishes may be met in one answer with others'.

    >>> can_pack(Request()), can_pack(Request(tools=({"type": "function"},)))
    (True, False)
    >>> can_pack(Request(as_made={"logprobs": True}))
    False
    """
    if request is None or answers != 1 or request.tools or request.bound or request.any_json:
        return False
    if any(value is not None and key not in _UNDERSTOOD for key, value in request.as_made.items()):
        return False
    # A schema that refers to itself as a whole would then refer to the pack.
    return request.schema is None or '"#"' not in json.dumps(request.schema, default=str)


# -- taking the answer apart


def unpack(packed: Pack, answer: AIMessage) -> tuple[AIMessage | None, ...]:
    """The answer to each item, in the items' own order; None for one that is to be asked alone.

    Each part has its share of the tokens; the shares add up to the whole.
    """
    found = _entries(answer.text)
    texts: list[str | None] = [None] * len(packed.items)
    for position, index in enumerate(packed.order):
        values = [value for key, value in found if key == str(position + 1)]
        # Twice the same number: nobody knows which is meant.
        if len(values) == 1:
            texts[index] = _checked(values[0], packed)
    usages = split_usage(answer, [len(item) for item in packed.items])
    metadata = {k: v for k, v in answer.response_metadata.items() if k != "logprobs"}
    return tuple(
        None
        if text is None
        else AIMessage(
            content=text,
            response_metadata={**metadata, "finish_reason": "stop"},
            usage_metadata=usage,
        )
        for text, usage in zip(texts, usages, strict=True)
    )


def cut_off(error: BaseException) -> AIMessage | None:
    """The beginning of an answer that reached its limit, which OpenAI's client raises as an error.

    >>> cut_off(ValueError("no such thing")) is None
    True
    """
    completion = getattr(error, "completion", None)
    choices, usage = getattr(completion, "choices", None), getattr(completion, "usage", None)
    text = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    if not isinstance(text, str) or usage is None:
        return None
    n_in, n_out = int(usage.prompt_tokens), int(usage.completion_tokens)
    counts = UsageMetadata(input_tokens=n_in, output_tokens=n_out, total_tokens=n_in + n_out)
    return AIMessage(text, usage_metadata=counts)


def _entries(text: str) -> list[tuple[str, Any]]:
    """Keys and values of the object in `text`, those twice there too, up to where it breaks off.

    >>> _entries('{"1": "good", "1": "bad", "2": "fi')
    [('1', 'good'), ('1', 'bad')]
    """
    at = text.find("{") + 1
    decoder, found = json.JSONDecoder(), []
    while at:
        try:
            key, at = decoder.raw_decode(text, _skip(text, at, ","))
            value, at = decoder.raw_decode(text, _skip(text, at, ":"))
        except (ValueError, RecursionError):
            break
        if _is_cut(text, at):
            break
        found.append((str(key), value))
    return found


def _skip(text: str, at: int, mark: str) -> int:
    while at < len(text) and (text[at].isspace() or text[at] == mark):
        at += 1
    return at


def _is_cut(text: str, at: int) -> bool:
    """Whether the text ends right behind a bare number or word, which may have gone on."""
    return at >= len(text) and text[at - 1 : at].isalnum()


def _checked(value: Any, packed: Pack) -> str | None:
    """The answer as the model would have written it alone; None where it is not valid."""
    if packed.answer_schema is not None:
        return json.dumps(value, ensure_ascii=False) if _fits(value, packed) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = json.dumps(value)  # asked for a number, a model writes one; the text is the same
    if not isinstance(value, str) or not value.strip() or _REFUSAL.match(value):
        return None
    ends = [at for stop in packed.stop if stop and (at := value.find(stop)) >= 0]
    return value[: min(ends)] if ends else value


def _fits(value: Any, packed: Pack) -> bool:
    # Imported here: only packs of structured answers need the package loaded.
    from jsonschema.validators import validator_for
    from referencing import Registry

    schema: Any = packed.answer_schema
    try:
        # A registry of its own that fetches nothing: the default one would ask the network.
        return bool(validator_for(schema)(schema, registry=Registry()).is_valid(value))
    except Exception:
        return False  # a schema that cannot be used: alone, the asker's own parser judges


# -- sharing the tokens


def split_usage(answer: AIMessage, weights: Sequence[int]) -> tuple[UsageMetadata | None, ...]:
    """The answer's usage in shares: half of the prompt alike, half by length; they add up.

    The task is everybody's, the items each one's own; which part of the prompt is which the
    provider does not say.
    """
    usage = answer.usage_metadata
    if usage is None:
        return (None,) * len(weights)
    total_in, total_out = usage["input_tokens"], usage["output_tokens"]
    mean = sum(weights) / len(weights)
    shares_in = shares(total_in, [weight + mean for weight in weights])
    shares_out = shares(total_out, [1.0] * len(weights))
    cached = int((usage.get("input_token_details") or {}).get("cache_read") or 0)
    shares_cached = shares(cached, [float(n) for n in shares_in])
    return tuple(
        UsageMetadata(
            input_tokens=n_in,
            output_tokens=n_out,
            total_tokens=n_in + n_out,
            input_token_details=InputTokenDetails(cache_read=n_cached),
        )
        for n_in, n_out, n_cached in zip(shares_in, shares_out, shares_cached, strict=True)
    )


def shares(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers that add up to `total`, by weight; the largest remainders get the rest.

    >>> shares(10, [1, 1, 1]), shares(2, [0, 0, 0])
    ((4, 3, 3), (1, 1, 0))
    """
    if not any(weights):
        weights = [1.0] * len(weights)
    exact = [total * weight / sum(weights) for weight in weights]
    found = [int(each) for each in exact]
    by_rest = sorted(range(len(weights)), key=lambda i: (found[i] - exact[i], i))
    for index in by_rest[: total - sum(found)]:
        found[index] += 1
    return tuple(found)
