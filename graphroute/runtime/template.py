"""What the prompts of one node have in common, found from the prompts themselves.

```
 Is this review good or bad? Text: I laughed a lot.    Answer with one word.
 Is this review good or bad? Text: Two hours wasted.   Answer with one word.
 └────────── prefix ──────────────┘└──── item ───────┘└────── suffix ───────┘
```

Only the last message may differ, and it must be a human's; all others are the same in each prompt.
What is common by chance (two items that begin alike) goes back to the item: the border is put where
a word ends, and as long as few prompts are known, where a line, a quote or a colon ends.

>>> from langchain_core.messages import HumanMessage
>>> found = template_of([[HumanMessage(f"Text: {t} Say one word.")] for t in ("A a.", "A b.")])
>>> found.prefix, found.suffix
('Text: ', ' Say one word.')
>>> found.item([HumanMessage("Text: Quite nice. Say one word.")])
'Quite nice.'
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graphroute.ir.text import common_prefix, common_suffix

FEW: Final = 4
"""Below this many different prompts, much may be common by chance."""

_MIN_COMMON: Final = 16
"""Characters two prompts must share to be taken for one template."""

_MAX_KINDS: Final = 8
_MAX_GROUPS: Final = 512

_BEGINS = re.compile(r'(?:\n|[:>"`|]\s*)(?=[^\n:>"`|]*$)')
_ENDS = re.compile(r'\n|[<"`|]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The common part of prompts: `before` the last message, and what surrounds the item in it."""

    before: tuple[BaseMessage, ...]
    prefix: str
    suffix: str

    def item(self, messages: Sequence[BaseMessage]) -> str | None:
        """What is this prompt's own; None where it is not of this template, or has nothing own."""
        if not messages or _key(messages) != _key((*self.before, messages[-1])):
            return None
        text = messages[-1].content
        if not isinstance(text, str) or len(text) <= len(self.prefix) + len(self.suffix):
            return None
        if not (text.startswith(self.prefix) and text.endswith(self.suffix)):
            return None
        return text[len(self.prefix) : len(text) - len(self.suffix)]


def template_of(prompts: Sequence[Sequence[BaseMessage]]) -> Template | None:
    """The template of prompts; None where they are of several, or fewer than two differ."""
    kinds = Templates()
    names = {kinds.learn("", messages) for messages in prompts}
    return kinds.known(names.pop()) if len(names) == 1 and "" not in names else None


class _Kind:
    """What is known of one template: the common ends of all its prompts so far."""

    def __init__(self, name: str, messages: Sequence[BaseMessage], text: str) -> None:
        self.name, self.before = name, tuple(messages[:-1])
        self.prefix = self.suffix = text
        self.shortest = len(text)
        self.different = 1
        # The task may stand in the messages before; then the last ones need share nothing.
        told = sum(len(str(message.content)) for message in self.before)
        self._least = max(0, _MIN_COMMON - told)

    def common(self, text: str) -> tuple[int, int]:
        """Characters that `text` shares with the prefix and the suffix."""
        return common_prefix(self.prefix, text), common_suffix(self.suffix, text)

    def takes(self, text: str) -> bool:
        """Whether a prompt is of this template."""
        start, end = self.common(text)
        known = len(self.prefix) + len(self.suffix)
        if self.different == 1:
            # Two prompts about one item share the item, not the task, which is most of a prompt.
            known = min(len(self.prefix), len(text))
            return start + end >= min(self._least, 1) * max(self._least, known * 0.5)
        # Of what all have in common, this one must have most; else it is another template.
        is_task = known >= _MIN_COMMON
        return start + end >= (max(self._least, known * 0.6) if is_task else self._least)

    def add(self, text: str) -> None:
        if self.different == 1 and text == self.prefix:
            return
        start, end = self.common(text)
        self.prefix, self.suffix = self.prefix[:start], self.suffix[len(self.suffix) - end :]
        self.shortest = min(self.shortest, len(text))
        self.different += 1

    def template(self) -> Template | None:
        if self.different == 1:
            return None
        prefix = self.prefix[: _begin(self.prefix, is_sure=self.different >= FEW)]
        # In "ab ab" and "ab" both ends are the whole of the shorter one.
        room = max(0, self.shortest - len(prefix))
        suffix = self.suffix[max(0, len(self.suffix) - room) :]
        suffix = suffix[_end(suffix, is_sure=self.different >= FEW) :]
        return Template(before=self.before, prefix=prefix, suffix=suffix)


class Templates:
    """Learns the templates of each group as prompts come; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: OrderedDict[Hashable, list[_Kind]] = OrderedDict()
        self._names: dict[str, _Kind] = {}
        self._count = 0

    def learn(self, group: Hashable, messages: Sequence[BaseMessage]) -> str:
        """The name of the template this prompt is of; `""` where it can share none."""
        if not is_plain(messages):
            return ""
        text, key = str(messages[-1].content), _key(messages)
        with self._lock:
            kinds = self._groups.setdefault((group, key), [])
            self._groups.move_to_end((group, key))
            found = next((kind for kind in kinds if kind.takes(text)), None)
            if found is not None:
                found.add(text)
                return found.name
            self._count += 1
            kind = _Kind(f"t{self._count}", messages, text)
            kinds.append(kind)
            self._names[kind.name] = kind
            self._forget(kinds)
            return kind.name

    def _forget(self, kinds: list[_Kind]) -> None:
        if len(kinds) > _MAX_KINDS:
            self._names.pop(kinds.pop(0).name)
        if len(self._groups) > _MAX_GROUPS:
            _, old = self._groups.popitem(last=False)
            for kind in old:
                self._names.pop(kind.name, None)

    def known(self, name: str) -> Template | None:
        """The template of that name as known now; None while it has had one prompt only."""
        with self._lock:
            kind = self._names.get(name)
            return None if kind is None else kind.template()


def is_plain(messages: Sequence[BaseMessage]) -> bool:
    """Whether a prompt is nothing but texts of system, human and model, a human's last."""
    return (
        bool(messages)
        and isinstance(messages[-1], HumanMessage)
        and all(
            isinstance(message, (SystemMessage, HumanMessage, AIMessage))
            and isinstance(message.content, str)
            and not getattr(message, "tool_calls", None)
            for message in messages
        )
    )


def _key(messages: Sequence[BaseMessage]) -> tuple[object, ...]:
    """What must be the same in each prompt of a template: all but the last message's text."""
    parts = [(m.type, m.name, m.content) for m in messages[:-1] if isinstance(m.content, str)]
    return (len(messages), messages[-1].type, messages[-1].name, *parts)


def _begin(prefix: str, *, is_sure: bool) -> int:
    """Where the item begins: after a line, colon or quote, else after a blank.

    >>> [_begin("Text: The food was s", is_sure=sure) for sure in (False, True)]
    [6, 19]
    """
    if not is_sure and (found := _BEGINS.search(prefix)) is not None:
        return found.end()
    return max(prefix.rfind(" "), prefix.rfind("\n")) + 1 if prefix[-1:].strip() else len(prefix)


def _end(suffix: str, *, is_sure: bool) -> int:
    """Where the item has ended: before a line or quote, else before a blank.

    >>> _end("ly. Answer now.", is_sure=True), _end("ly|Answer.", is_sure=False)
    (3, 2)
    """
    if not is_sure and (found := _ENDS.search(suffix)) is not None:
        return found.start()
    found = re.search(r"\s", suffix)
    return len(suffix) if found is None else found.start()
