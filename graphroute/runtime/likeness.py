"""Whether two questions could have the same answer: what must agree, however alike they sound.

Embeddings hardly see what makes another question of one: `5` for `7`, `not`, `increase` for
`decrease`, Alice owing Bob for Bob owing Alice. So before two similar questions share an answer,
these must be the same in both, in the same order:

| | read as |
|---|---|
| numbers | digits, number words and ordinals |
| turning words | negations, comparisons, directions and quantities that turn an answer around |
| names | words with capitals or digits inside, also where the other question has them small |
| code and quotes | what stands in quotes or code; addresses, paths, signs of formulas |

And of the other words, those that mean something must be the same by their stems, in the same
order. What may differ is the wording around them: case, marks, spaces, contractions, courtesies,
articles, endings. That finds the same question typed twice, not a paraphrase in other words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from graphroute.runtime.likeness_words import COURTESY, NUMBERS, SMALL, TURNING

_EXACT: Final = re.compile(
    r"```.*?```|`[^`\n]*`"  # code
    r"|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]{2,}?'(?!\w)"  # quotes
    r"|\w+://\S+|\S+@\S+\.\w+|(?<!\w)[~.]{0,2}/[\w./-]+"  # addresses and paths
    r"|[=<>+*/^%$€£|\\{}\[\]_&~#@]|(?<=\s)-(?=[\s\d])",  # signs
    re.DOTALL,
)
_WORD: Final = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:\d\w*)?|\d+\w+")
_SHORT: Final = (
    (re.compile(r"\bcan(?:['’]t|not)\b", re.IGNORECASE), "can not"),
    (re.compile(r"\bwon['’]t\b", re.IGNORECASE), "will not"),
    (re.compile(r"n['’]t\b", re.IGNORECASE), " not"),
    (re.compile(r"['’](?:s|re|m|ve|ll|d)\b", re.IGNORECASE), ""),
)
_ENDED: Final = re.compile(r"(?:^|[.?!:\n])\s*$")
_ENDINGS: Final = ("ings", "ing", "es", "ed", "s", "e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What of a question must agree; `words` are lower case, in order, `large` had a capital."""

    exact: tuple[str, ...]
    words: tuple[str, ...]
    large: frozenset[str]

    @property
    def stems(self) -> tuple[str, ...]:
        """The words that mean something, without endings; numbers as they are compared."""
        # Where letters stand for things, so does "a".
        letters = {word for word in self.words if len(word) == 1} - {"a", "i"}
        small = SMALL - {"a"} if letters else SMALL
        return tuple(_number(word) or stem(word) for word in self.words if word not in small)


def conflict(one: str, other: str) -> str | None:
    """In what two questions differ so that their answers may; None if in nothing that is seen.

    >>> conflict("What's the capital of France?", "please tell me what is the capital of france")
    >>> conflict("Name 3 rivers", "Name 5 rivers")
    'numbers: 3 / 5'
    >>> conflict("Which of these is a metal?", "Which of these is not a metal?")
    'turning words: / not'
    >>> conflict("Does Ann owe Bob?", "Does Bob owe Ann?")
    'names: ann bob / bob ann'
    >>> conflict("boiling point of water", "boiling point of ethanol")
    'words: water / ethanol'
    """
    a, b = features(one), features(other)
    if a.exact != b.exact:
        return _told("code and quotes", a.exact, b.exact)
    large = a.large | b.large
    kinds: tuple[tuple[str, Callable[[str], str | None]], ...] = (
        ("numbers", _number),
        ("turning words", lambda word: word if word in TURNING else None),
        ("names", lambda word: word if word in large else None),
    )
    for name, pick in kinds:
        found = [tuple(filter(None, map(pick, each.words))) for each in (a, b)]
        if found[0] != found[1]:
            return _told(name, *found)
    one_stems, other_stems = a.stems, b.stems
    if not (one_stems or a.exact):
        return "words: none that mean something"
    if one_stems != other_stems:
        # Where they are the same words, their order is what differs.
        first, second = (
            tuple(word for word in here if word not in there) or here
            for here, there in ((one_stems, other_stems), (other_stems, one_stems))
        )
        return _told("words", first, second)
    return None


@lru_cache(maxsize=512)
def features(text: str) -> Features:
    """What of a question must agree with another's."""
    exact = tuple(" ".join(found.split()) for found in _EXACT.findall(text))
    plain = COURTESY.sub("", _EXACT.sub(" ", text))
    for pattern, full in _SHORT:
        plain = pattern.sub(full, plain)
    found = list(_WORD.finditer(plain))
    large = {word[0].lower() for word in found if _is_large(word[0], plain[: word.start()][-8:])}
    return Features(
        exact=exact,
        words=tuple(word[0].lower() for word in found),
        large=frozenset(large - SMALL),
    )


def plain_words(text: str) -> str:
    """A question as it is embedded: its words, small, without marks, contractions and courtesies.

    >>> plain_words("Can you tell me what's a GPU?")
    'what a gpu'
    """
    return " ".join(features(text).words)


def _is_large(word: str, before: str) -> bool:
    """Whether a word is written as a name; a sentence's first word is so in any case."""
    if word[0].isdigit():
        return any(letter.isalpha() for letter in word)
    if any(letter.isupper() or letter.isdigit() for letter in word[1:]):
        return True
    return word[0].isupper() and _ENDED.search(before) is None


def stem(word: str) -> str:
    """The word without its ending, roughly.

    >>> stem("answers"), stem("answered"), stem("bus")
    ('answer', 'answer', 'bus')
    """
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and word[-2:] != "ss":
            return word[: -len(ending)]
    return word


def _number(word: str) -> str | None:
    if word[0].isdigit():
        return word.replace(",", "")
    return NUMBERS.get(word)


def _told(kind: str, one: tuple[str, ...], other: tuple[str, ...]) -> str:
    return f"{kind}: {' '.join(one)} / {' '.join(other)}".replace(":  /", ": /").rstrip()[:200]
