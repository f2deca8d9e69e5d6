"""An answer that was given to nearly the same question; off unless `@route(cache="semantic")`.

Questions are compared within a **bucket**: everything else of the call (model, parameters, tools,
system prompt, what was said before) is equal, only the text of the last message differs. The most
similar known question has its answer reused if its similarity reaches the threshold and nothing
that turns an answer around differs (`likeness`).

The thresholds are those at which, on questions of known benchmarks, a question is taken for its
nearest neighbour, another question, in at most one of 200 cases, even without the rule on the other
words; with it, the measured rate is far lower. `benchmarks/semantic_cache.py` measures both.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage

from graphroute.ir.cache import CacheEntry
from graphroute.runtime.cache_key import key_of
from graphroute.runtime.likeness import conflict, plain_words

THRESHOLDS: Final[Mapping[str, float]] = {"wordllama": 0.85, "words": 0.80}
"""Least similarity, in [0, 1], by the name of the embedding."""

BUCKET: Final = "bucket"
SAID: Final = "said"
"""Tags of an entry that can be found by likeness: where it belongs, and what was asked."""

LONGEST: Final = 4_000
"""Characters; a longer text is a document, of which likeness says little."""

_BLOCK: Final = 64
_CANDIDATES: Final = 3

Embed = Callable[[Sequence[str]], Any]
"""Texts as rows of length 1: an array with `rows @ row`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and the bucket of questions it may be compared with."""

    bucket: str
    text: str

    @property
    def tags(self) -> dict[str, str]:
        """What an entry must carry to be found again by likeness."""
        return {BUCKET: self.bucket, SAID: self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A known question with the same answer: the key of its entry, its text, its similarity."""

    key: str
    text: str
    similarity: float


def question(facets: Mapping[str, str], messages: Sequence[BaseMessage]) -> Question | None:
    """The question of a call; None where its last message is no text of a person, or is long.

    facets: of the same call, from `cache_key.facets`

    >>> from graphroute.runtime.cache_key import facets
    >>> calls = [[HumanMessage("What is a solver?")], [HumanMessage("what's a solver")]]
    >>> one, other = (question(facets("m", {}, messages), messages) for messages in calls)
    >>> one.bucket == other.bucket, one.text
    (True, 'What is a solver?')
    """
    if not messages or type(messages[-1]) is not HumanMessage:
        return None
    text = messages[-1].content
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        return None
    last = f"messages[{len(messages) - 1}]"
    rest = {name: digest for name, digest in facets.items() if name != last}
    return Question(bucket=key_of(rest), text=text)


class Semantic:
    """Known questions by bucket; safe to share between threads.

    embed: None compares by the guards alone, in the order of arrival
    threshold: least similarity, in [0, 1]
    most: questions kept per bucket, and `buckets` at once; the oldest go first
    """

    def __init__(
        self, embed: Embed | None, *, threshold: float, most: int = 2_000, buckets: int = 256
    ) -> None:
        self._embed, self._threshold = embed, threshold
        self._most, self._buckets = most, buckets
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Bucket] = OrderedDict()

    def add(self, asked: Question, key: str) -> None:
        """Remember that the entry `key` answers a question."""
        with self._lock:
            bucket = self._known.setdefault(asked.bucket, _Bucket())
            self._known.move_to_end(asked.bucket)
            bucket.add(asked.text, key, most=self._most)
            while len(self._known) > self._buckets:
                self._known.popitem(last=False)

    def load(self, entries: Iterable[CacheEntry]) -> None:
        """Remember the questions of entries that are kept."""
        for entry in entries:
            if entry.tags.get(BUCKET) and entry.tags.get(SAID):
                self.add(Question(bucket=entry.tags[BUCKET], text=entry.tags[SAID]), entry.key)

    def forget(self, asked: Question, key: str) -> None:
        """Drop a question whose entry is gone."""
        with self._lock:
            if (bucket := self._known.get(asked.bucket)) is not None:
                bucket.drop(key)

    def find(self, asked: Question) -> Near | None:
        """The most similar known question with the same answer; None where there is none."""
        with self._lock:
            if (bucket := self._known.get(asked.bucket)) is None:
                return None
            ranked = bucket.ranked(asked.text, self._embed)
        for similarity, text, key in ranked:
            if similarity < self._threshold:
                break
            if conflict(asked.text, text) is None:
                return Near(key=key, text=text, similarity=similarity)
        return None


class _Bucket:
    """Questions in order of arrival; vectors in blocks, so that adding one embeds few again."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._blocks: list[Any] = []
        self._tail: Any = None
        self._embedded = 0

    def add(self, text: str, key: str, *, most: int) -> None:
        if key in self._texts:
            return
        self._texts[key] = text
        self._tail = None
        if len(self._texts) > most:
            # A quarter at once: dropping the first moves all blocks.
            for old in list(self._texts)[: max(most // 4, 1)]:
                del self._texts[old]
            self._forget_vectors()

    def drop(self, key: str) -> None:
        if self._texts.pop(key, None) is not None:
            self._forget_vectors()

    def _forget_vectors(self) -> None:
        self._blocks, self._tail, self._embedded = [], None, 0

    def ranked(self, text: str, embed: Embed | None) -> list[tuple[float, str, str]]:
        """The most similar, best first, as (similarity, text, key)."""
        if not self._texts:
            return []
        known = list(self._texts.items())
        if embed is None:
            return [(1.0, said, key) for key, said in known]
        (row,) = embed([plain_words(text)])
        similarities = [float(value) for block in self._vectors(embed) for value in block @ row]
        order = sorted(range(len(known)), key=lambda n: (-similarities[n], n))[:_CANDIDATES]
        return [(similarities[n], known[n][1], known[n][0]) for n in order]

    def _vectors(self, embed: Embed) -> list[Any]:
        texts = [plain_words(text) for text in self._texts.values()]
        while len(texts) - self._embedded >= _BLOCK:
            self._blocks.append(embed(texts[self._embedded : self._embedded + _BLOCK]))
            self._embedded += _BLOCK
            self._tail = None
        if self._tail is None and len(texts) > self._embedded:
            self._tail = embed(texts[self._embedded :])
        return [*self._blocks, self._tail] if len(texts) > self._embedded else self._blocks
