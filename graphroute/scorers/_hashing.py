"""Prompts as hashed word n-grams, all at once in NumPy, without a Python loop over characters.

With prefix sums `H[i] = Σ_{j<i} byte[j] · p^j (mod 2⁶⁴)` of a polynomial hash, any slice's hash is
`(H[e] − H[s]) · p^{−s}`: p is odd, so it has an inverse modulo 2⁶⁴. One pass hashes every word of
every prompt of a batch; a pair of neighbouring words is a mix of its two hashes.
(R. M. Karp, M. O. Rabin, Efficient Randomized Pattern-Matching Algorithms, 1987.)

Long prompts cost no more than short ones: beyond `HEAD + TAIL` characters the middle is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

HEAD: Final = 900
TAIL: Final = 300
BITS: Final = 17
BUCKETS: Final = 1 << BITS

PLAIN: Final = (
    "length",
    "words",
    "digits",
    "share of digits",
    "share of marks",
    "lines",
    "share outside ASCII",
    "questions",
)
"""What is counted in a prompt besides its words."""

_PRIME = np.uint64(0x100000001B3)
_MIX_A = np.uint64(0x9E3779B97F4A7C15)
_MIX_B = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF = np.uint64(32)
_DOWN = np.uint64(64 - BITS)
_BYTE = np.arange(1, 257, dtype=np.uint64)
_LONGEST = 1 << 13


def _powers(base: int, count: int) -> Words:
    values = np.empty(count, np.uint64)
    value, mask = 1, (1 << 64) - 1
    for i in range(count):
        values[i] = value
        value = value * base & mask
    return values


_P = _powers(int(_PRIME), _LONGEST + 1)
_P_INVERSE = _powers(pow(int(_PRIME), -1, 1 << 64), _LONGEST + 1)

# 0: between words; 1: letters, digits and every byte of a non-ASCII character; 2: a word by itself.
_CLASS = np.full(256, 2, np.uint8)
_CLASS[[9, 10, 11, 12, 13, 32, 0]] = 0
_CLASS[[*range(48, 58), *range(65, 91), *range(97, 123), 95, *range(128, 256)]] = 1

# For the plain features: letters and spaces, digits, marks, line ends, outside ASCII, "?".
_SORT = np.where(_CLASS == 2, 2, 0).astype(np.uint8)
_SORT[48:58], _SORT[10], _SORT[128:], _SORT[63] = 1, 3, 4, 5


def clipped(prompt: str) -> str:
    """The prompt without its middle where it is longer than `HEAD + TAIL` characters.

    >>> len(clipped("x" * 10_000)) == HEAD + TAIL + 1
    True
    """
    if len(prompt) <= HEAD + TAIL:
        return prompt
    return f"{prompt[:HEAD]}\n{prompt[-TAIL:]}"


def seen(prompt: str) -> tuple[Ints, Floats]:
    """Distinct buckets of the words and of the pairs of neighbouring words, and plain features.

    The plain features are `PLAIN`, each roughly in [0, 3].

    >>> len(seen("Two words")[0]), len(seen("")[0])
    (3, 0)
    >>> bool((seen("two  WORDS")[0] == seen("Two words")[0]).all())
    True
    """
    read = read_of(prompt)
    if not len(read.text):
        return read.buckets, np.zeros(len(PLAIN), np.float64)
    return read.buckets, _plain(prompt, read.text, len(read.words))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Read:
    """What is read of a prompt; the arrays must not be written to.

    text: its bytes, in small letters; firsts: the first byte of each word
    words: a number ≥ 0 for each word, in order; buckets: see `seen`
    """

    text: NDArray[np.uint8]
    firsts: NDArray[np.uint8]
    words: Ints
    buckets: Ints


def read_of(prompt: str) -> Read:
    """A prompt's words; several parts of one scorer read the same prompt in turn."""
    return _read(clipped(prompt))


@lru_cache(maxsize=4)
def _read(part: str) -> Read:
    raw = part.lower().encode("utf-8", "replace")[:_LONGEST]
    text = np.frombuffer(raw, np.uint8)
    if not len(text):
        none = np.zeros(0, np.int64)
        return Read(text=text, firsts=text, words=none, buckets=none)
    firsts, words = _hashed(text)
    numbers = ((words ^ (words >> _HALF)) * _MIX_A >> _DOWN).view(np.int64)
    read = Read(text=text, firsts=firsts, words=numbers, buckets=_buckets(words))
    for kept in (read.firsts, read.words, read.buckets):
        kept.setflags(write=False)
    return read


def _buckets(words: Words) -> Ints:
    """Of words and of pairs of neighbouring words, each once, in order."""
    count = len(words)
    hashes = np.empty(max(2 * count - 1, 0), np.uint64)
    hashes[:count] = words
    np.bitwise_xor(words[:-1] * _MIX_A, words[1:] + _MIX_B, out=hashes[count:])
    hashes ^= hashes >> _HALF
    hashes *= _MIX_A
    hashes >>= _DOWN
    hashes.sort()
    buckets = hashes.view(np.int64)
    if count > 1:
        is_new = np.ones(len(buckets), np.bool_)
        np.not_equal(buckets[1:], buckets[:-1], out=is_new[1:])
        buckets = buckets[is_new]
    return buckets


def words_of(prompt: str) -> Ints:
    """A number ≥ 0 for each word of the prompt, in order; equal words have equal numbers.

    >>> a, b, c = words_of("run, Run")
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    return read_of(prompt).words


def _edges(text: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Ints]:
    """The class of each byte, and where words and what is between them start."""
    size = len(text)
    kind = _CLASS.take(text)
    # A word starts where the class changes, and at every mark, since marks stand alone. The end
    # of the text counts as one more start, so that every word has an end.
    starts = np.ones(size + 1, np.bool_)
    np.not_equal(kind[1:], kind[:-1], out=starts[1:-1])
    starts[:-1] |= kind == 2
    return kind, starts.nonzero()[0]


def _hashed(text: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Words]:
    """The first byte and the hash of each word."""
    size = len(text)
    kind, edges = _edges(text)
    prefix = np.zeros(size + 1, np.uint64)
    np.cumsum(_BYTE.take(text) * _P[:size], out=prefix[1:])
    sums = prefix.take(edges)
    is_word = kind.take(begins := edges[:-1]) != 0
    words = (sums[1:] - sums[:-1]) * _P_INVERSE.take(begins)
    return text.take(begins[is_word]), words[is_word]


def _plain(prompt: str, text: NDArray[np.uint8], words: int) -> Floats:
    count = np.bincount(_SORT.take(text), minlength=6).tolist()
    size = len(text)
    log = math.log1p
    return np.array(
        (
            log(len(prompt)) / 4,
            log(words) / 3,
            log(count[1]) / 2,
            4 * count[1] / size,
            4 * count[2] / size,
            log(count[3]) / 2,
            4 * count[4] / size,
            log(count[5]),
        )
    )


def features(
    prompts: Sequence[str], progress: Callable[[int], None] | None = None
) -> tuple[Ints, Ints, Floats]:
    """Buckets of all prompts end to end, where each prompt's begin (n + 1), and plain[n, 8].

    progress: called with the number of prompts done, every thousand
    """
    parts, plain = [], np.zeros((len(prompts), len(PLAIN)))
    for i, prompt in enumerate(prompts):
        buckets, plain[i] = seen(prompt)
        parts.append(buckets)
        if progress is not None and i % 1000 == 999:
            progress(i + 1)
    bounds = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=bounds[1:])
    return (np.concatenate(parts) if parts else np.zeros(0, np.int64)), bounds, plain
