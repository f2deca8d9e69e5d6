"""What admission needs of packing, in one place: learn templates, say sizes, pack, unpack, compare.

```
 learn(arrival) ─► template's name         as each call comes
 size(name, arrivals) ─► PackSize         when one of them is given a slot
 pack(arrivals) ─► Pack | None             for those that go together; None: they go alone
 unpack(pack, answer) ─► Part for each     the answer; or ask alone; or ask alone and compare
 compare(arrival, size, packed, alone)     one more check of what packing loses
```
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from langchain_core.messages import AIMessage, BaseMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime import packing, tokens
from graphroute.runtime.pack_loss import PackFigures
from graphroute.runtime.pack_size import Need, PackSize, check_share, pack_size
from graphroute.runtime.request import Request
from graphroute.runtime.template import Template, Templates

IsWorse = Callable[[AIMessage, AIMessage], bool]
"""Whether the first answer (of a pack) is worse than the second (asked for alone)."""

_AROUND_ANSWER = 12
"""Tokens that number, quotes and comma take at most, by the coarsest tokenizers."""

_CHARS_PER_TOKEN = 4
_LONGEST_STRING = 400
"""Longest text a local server is held to by a grammar; more makes the grammar too large for it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packable:
    """What must be known of a call to pack it; tokens as the money for it was put aside.

    node: its path; in_bound: the most its prompt can have; out_cap: its answer's limit
    out_tokens: what its answer is expected to have
    is_asked: the author says `batch="pack"`; is_worse: the node's own judgement of two answers
    """

    spec: ModelSpec
    node: str
    request: Request
    in_bound: int
    out_cap: int | None = None
    out_tokens: float = 64.0
    is_asked: bool = False
    is_worse: IsWorse | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What its figures are kept under."""
        return self.spec.name, self.node


class Packed(Protocol):
    """A call that may be packed."""

    @property
    def group(self) -> Any:
        """What it must have in common with others."""
        ...

    @property
    def messages(self) -> Sequence[BaseMessage]:
        """Its prompt."""
        ...

    @property
    def packable(self) -> Packable | None:
        """What is known of it; None for one that may not be packed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What became of one item: its answer, None if it is to be asked alone.

    is_check: ask it alone as well, take that answer, and compare the two
    """

    answer: AIMessage | None
    is_check: bool = False


class Packer:
    """Shared by all runs of an optimized graph; safe between threads.

    figures: what packing has lost so far; max_loss: the largest share that may be lost, in [0, 1]
    seed: for the order of items and for which of them are checked
    """

    def __init__(
        self, *, figures: PackFigures | None = None, max_loss: float = 0.01, seed: int = 0
    ) -> None:
        self.figures = PackFigures() if figures is None else figures
        self.max_loss, self.seed = max_loss, seed
        self._templates = Templates()

    def learn(self, call: Packed) -> str:
        """The name of the call's template; `""` where it can share none."""
        if call.packable is None or not packing.can_pack(call.packable.request):
            return ""
        return self._templates.learn(call.group, call.messages)

    def size(self, name: str, calls: Sequence[Packed]) -> PackSize:
        """How many calls of a template may share a prompt, and why."""
        first, template = calls[0].packable, self._templates.known(name)
        if first is None or template is None:
            return PackSize(size=1, reason="nothing of the same template is known")
        items = [item for call in calls if (item := template.item(call.messages)) is not None]
        if len(items) < 2:
            return PackSize(size=1, reason="nothing of the same template waits")
        price, caps = first.spec.price, [c.packable.out_cap for c in calls if c.packable]
        need = Need(
            shared_tokens=_shared_tokens(template, first),
            item_tokens=sum(map(tokens.estimate, items)) / len(items),
            out_tokens=min(first.out_tokens, first.out_cap or first.out_tokens),
            waiting=len(items),
            context_tokens=first.spec.context_tokens,
            max_output_tokens=first.spec.max_output_tokens,
            out_cap=max((cap for cap in caps if cap is not None), default=None),
            price_in=price.in_usd,
            price_out=price.out_usd,
        )
        return pack_size(
            need,
            self.figures.of(first.key),
            is_asked=first.is_asked,
            max_loss=self.max_loss,
        )

    def pack(self, calls: Sequence[Packed], *, number: int) -> packing.Pack | None:
        """One prompt for these calls; None where they do not go together after all.

        Never dearer at its worst than the sum of what was put aside for them: what is saved on the
        prompt may be spent on the numbers and quotes of the answer, and no more.
        """
        found = [call.packable for call in calls]
        known = [each for each in found if each is not None]
        name = self.learn(calls[0])
        template = self._templates.known(name) if name else None
        if len(known) < len(calls) or template is None or not _alike(known):
            return None
        if self.size(name, calls).size < 2:
            return None  # what was known when they were put together may have been disproved since
        items = [template.item(call.messages) for call in calls]
        texts = [item for item in items if item is not None]
        if len(texts) < len(items):
            return None
        first = known[0].request
        caps = [each.out_cap for each in known if each.out_cap is not None]
        is_short = len(caps) == len(known) and known[0].spec.local
        longest = min(_LONGEST_STRING, max(caps, default=0) * _CHARS_PER_TOKEN)
        packed = packing.pack(
            template,
            texts,
            seed=self._draw(number),
            answer_schema=first.schema,
            answer_chars=longest if is_short else None,
            stop=first.stop,
        )
        spare = sum(each.in_bound for each in known) - _bound(packed)
        if spare < 0 and known[0].spec.price.in_usd > 0:
            return None
        if len(caps) < len(known):
            return packed
        return replace(packed, max_tokens=sum(caps) + _margin(known[0].spec, len(caps), spare))

    def unpack(
        self, packed: packing.Pack, answer: AIMessage, calls: Sequence[Packed], *, number: int
    ) -> tuple[Part, ...]:
        """What became of each item; some that came back are drawn to be checked."""
        answers, size = packing.unpack(packed, answer), len(packed.items)
        first = calls[0].packable
        if first is None:  # pragma: no cover - `pack` has looked
            return tuple(Part(answer=each) for each in answers)
        self.figures.unpacked(first.key, size, invalid=sum(each is None for each in answers))
        share = check_share(self.figures.of(first.key), size, max_loss=self.max_loss)
        draw = random.Random(self._draw(number) + 1)
        return tuple(
            Part(answer=each, is_check=each is not None and draw.random() < share)
            for each in answers
        )

    def failed(self, calls: Sequence[Packed]) -> None:
        """Their pack gave no answer at all, for a reason that lies in it: none of them had one."""
        if (first := calls[0].packable) is not None:
            self.figures.unpacked(first.key, len(calls), invalid=len(calls))

    def compare(self, call: Packed, size: int, packed: AIMessage, alone: AIMessage) -> None:
        """Note whether the packed answer was worse than the one asked for alone."""
        if (known := call.packable) is None:
            return
        try:
            worse = (known.is_worse or differs)(packed, alone)
        except Exception:
            return  # an author's check that fails says nothing about packing
        self.figures.checked(known.key, size, is_worse=worse)

    def _draw(self, number: int) -> int:
        return self.seed * 1_000_003 + number * 2


def differs(packed: AIMessage, alone: AIMessage) -> bool:
    """Whether two answers are not the same but for case, blanks and marks at the ends.

    Of two answers that differ one may still be as good as the other, so this never finds too little
    loss; for free text it finds nothing but loss.

    >>> differs(AIMessage("Positive."), AIMessage(" positive"))
    False
    >>> differs(AIMessage("positive"), AIMessage("negative"))
    True
    """
    return _plain(packed.text) != _plain(alone.text)


def _plain(text: str) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, str):
        return " ".join(value.lower().split()).strip(" \t\n.,;:!?\"'`*")
    return value


def _shared_tokens(template: Template, first: Packable) -> float:
    text = tokens.text_of(template.before) + template.prefix + template.suffix
    return tokens.estimate(text) + first.spec.overhead_tokens


def _margin(spec: ModelSpec, size: int, spare_tokens: int) -> int:
    """Answer tokens beyond the members' own: for numbers and quotes, as far as prompts pay them."""
    wanted = size * _AROUND_ANSWER + _AROUND_ANSWER
    if spec.price.out_usd <= 0:
        return wanted
    return min(wanted, int(spare_tokens * spec.price.in_usd / spec.price.out_usd))


def _alike(known: Sequence[Packable]) -> bool:
    """Whether all ask one model for an answer of the same form, made in the same way."""
    requests = (each.request for each in known)
    forms = {
        json.dumps([r.schema, r.stop, r.sampling], sort_keys=True, default=str) for r in requests
    }
    return len(forms) == 1 and len({each.spec.name for each in known}) == 1


def _bound(packed: packing.Pack) -> int:
    text = tokens.text_of(packed.messages)
    schema = tokens.size_of(packed.schema)
    return (
        tokens.upper_bound(text)
        + tokens.upper_bound(schema)
        + tokens.PER_MESSAGE * (len(packed.messages) + 1)
    )
