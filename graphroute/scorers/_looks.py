"""What a prompt looks like: sizes, numbers, marks, answer options, kinds of word.

Counted on the bytes all at once, as the words are hashed. Counts go in as `ln(1 + n)`, shares as
they are. Kinds of word are short lists (relations as in "twice as many", conditions, negations …),
looked up by the words' numbers, so that a prompt costs one gather for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphroute.ir.problem import Floats
from graphroute.scorers._hashing import BUCKETS, Ints, clipped, read_of, words_of

Bytes = NDArray[np.uint8]

KINDS: Final = {
    "relation": "each every per twice half double triple thrice third quarter times more less "
    "fewer than remaining left total percent average altogether rest another other same",
    "condition": "if then when suppose assume given unless after before until while",
    "negation": "not except least false incorrect no never none neither nor without cannot",
    "quantity": "one two three four five six seven eight nine ten dozen first second last",
    "time": "day days week weeks month months year years hour hours minute minutes daily weekly",
    "money": "dollar dollars cent cents cost costs price pay paid sell sold buy bought profit",
    "choice": "why how explain because reason therefore best most likely following which",
    "mathematics": "function equation matrix integral derivative probability theorem prove "
    "polynomial group ring field",
    "person": "he she they his her their",
}

_MARKS: Final = ("digits", "marks", "lines", "outside ASCII", "questions", "commas", "dots")
_MARKS2: Final = ("percents", "dollars", "operators", "slashes", "underscores")
LOOKS: Final = (
    "length",
    "words",
    *_MARKS,
    *_MARKS2,
    *KINDS,
    "numbers",
    "decimals",
    "fractions",
    "sentences",
    "question length",
    "options",
    "option length",
    "spread of option length",
    "share of digits",
    "share of marks",
    "share outside ASCII",
    "share of operators",
    "share of capitals",
    "letters a word",
    *(f"share of {kind}" for kind in KINDS),
    "words a sentence",
    "digits in options",
    "ends with a question",
    "ends with a colon",
)
"""What a prompt looks like."""

# The sorts of byte counted: 0 letters and space, then `_MARKS` and `_MARKS2` in their order.
_SORT = np.full(256, 2, np.uint8)
_SORT[[9, 11, 12, 13, 32, 0, *range(65, 91), *range(97, 123)]] = 0
_SORT[48:58], _SORT[10], _SORT[128:] = 1, 3, 4
for _number, _signs in enumerate(("?", ",", ".", "%", "$", "=+^\\*<>|", "/", "_"), start=5):
    _SORT[[ord(sign) for sign in _signs]] = _number
_DIGIT, _LINE, _DOT, _SLASH = 1, 3, 7, 11
_SORTS = 13
_IS_UPPER = np.zeros(256, np.bool_)
_IS_UPPER[65:91] = True
_SPACES = b" \t\n\r\x0b\x0c\x00"
_NO_OPTIONS = (0, 0.0, 0.0, 0.0)

OPTIONS: Final = LOOKS.index("options")

# Where each group of `LOOKS` begins: counts, sizes, shares, shares of kinds of word, the rest.
_SIZES = 14 + len(KINDS)
_SHARES = _SIZES + 8
_KIND_SHARES = _SHARES + 6
_REST = _KIND_SHARES + len(KINDS)


@cache
def _kind_table() -> NDArray[np.uint8]:
    """table[BUCKETS]: the kind of the word of each number, from 1; 0 for all other words."""
    table = np.zeros(BUCKETS, np.uint8)
    for number, words in enumerate(KINDS.values(), start=1):
        table[[int(words_of(word)[0]) for word in words.split()]] = number
    return table


def looks(prompts: Sequence[str]) -> Floats:
    """looks[n, LOOKS] of prompts, each roughly in [0, 10].

    >>> short, long = looks(["Two words", "How many are 3 times 4 more?"])
    >>> at = LOOKS.index("numbers")
    >>> bool(short[at] == 0), round(float(long[at]), 2)
    (True, 1.1)
    """
    return np.array([_one(prompt) for prompt in prompts]).reshape(-1, len(LOOKS))


def _one(prompt: str) -> Floats:
    read = read_of(prompt)
    if not len(read.text):
        return np.zeros(len(LOOKS))
    raw = clipped(prompt).encode("utf-8", "replace")
    return _counted(len(prompt), raw, read.text, read.firsts, _kind_table().take(read.words))


def _counted(
    length: int, raw: bytes, text: Bytes, firsts: Bytes, kinds: NDArray[np.uint8]
) -> Floats:
    size, words = len(text), len(firsts)
    sorts = _SORT.take(text)
    counts = np.bincount(sorts, minlength=_SORTS)
    kind = np.bincount(kinds, minlength=len(KINDS) + 1)[1:]
    letters, digits, _, lines, foreign, questions, _, dots, _, _, operators, slashes, _ = (
        counts.tolist()
    )
    marks = size - letters - digits - lines - foreign
    numbers = decimals = sentences = fractions = 0
    if digits:
        numbers = int(np.count_nonzero((firsts >= 48) & (firsts < 58)))
    if dots:
        decimals, sentences = _dots(sorts, text)
    if slashes and digits:
        fractions = _between_digits(sorts, (sorts == _SLASH).nonzero()[0])
    sentences += questions
    question, options, mean, spread, in_options = (
        _options(sorts, text, size) if lines else (size, *_NO_OPTIONS)
    )
    end = raw.rstrip(_SPACES)[-1:]
    capitals = int(np.count_nonzero(_IS_UPPER.take(np.frombuffer(raw, np.uint8))))
    out = np.empty(len(LOOKS))
    out[:4] = length, words, digits, marks
    out[4:14] = counts[3:]
    out[14:_SIZES] = kind
    out[_SIZES:_SHARES] = numbers, decimals, fractions, sentences, question, options, mean, spread
    np.log1p(out[:_SHARES], out=out[:_SHARES])
    out[_SHARES:_KIND_SHARES] = (
        4 * digits / size,
        4 * marks / size,
        4 * foreign / size,
        4 * operators / size,
        8 * capitals / size,
        min(size / max(words, 1), 12.0) / 4,
    )
    out[_KIND_SHARES:_REST] = kind * (8 / (words + 3))
    out[_REST:] = min(words / (sentences + 1), 60.0) / 20, in_options, end == b"?", end == b":"
    return out


def _dots(sorts: Bytes, text: Bytes) -> tuple[int, int]:
    """Decimal points, and dots that end a sentence."""
    at = (sorts == _DOT).nonzero()[0]
    last = len(text) - 1
    after = text.take(np.minimum(at + 1, last))
    ends = int(np.count_nonzero((after == 32) | (after == 10))) + int(at[-1] == last)
    return _between_digits(sorts, at), ends


def _between_digits(sorts: Bytes, at: Ints) -> int:
    before = sorts.take(np.maximum(at - 1, 0))
    after = sorts.take(np.minimum(at + 1, len(sorts) - 1))
    return int(np.count_nonzero((before == _DIGIT) & (after == _DIGIT)))


def _options(sorts: Bytes, text: Bytes, size: int) -> tuple[int, int, float, float, float]:
    """Length of what stands before the options, their number, mean and spread of their lengths,
    and the share of those with a digit in them; lines like `A. …` or `A) …`.
    """
    at = (sorts == _LINE).nonzero()[0]
    # A line that starts with a letter up to j, small by now, and a dot or a bracket.
    letter, mark = (text.take(np.minimum(at + i, size - 1)) for i in (1, 2))
    at = at[((mark == 46) | (mark == 41)) & (letter - 97 < 10)]
    if not len(at):
        return size, *_NO_OPTIONS
    starts = at.tolist()
    # The last option reaches to the next line end, or to the end of the text.
    rest = int((text[starts[-1] + 1 :] == 10).argmax())
    end = starts[-1] + 1 + rest if rest else size
    bounds = [*starts, end]
    lengths = [max(high - low - 4, 0) for low, high in pairwise(bounds)]
    mean = sum(lengths) / len(lengths)
    spread = math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths))
    digits = np.logical_or.reduceat((sorts == _DIGIT)[:end], at)
    return starts[0], len(starts), mean, spread, int(np.count_nonzero(digits)) / len(starts)
