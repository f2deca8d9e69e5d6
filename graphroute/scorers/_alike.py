"""How alike two texts are, by vectors of length 1: for finding nearly equal questions.

With the package wordllama (extra `embed`) static word vectors; without it hashed words and pairs of
words, by signs over `SIZE` places. (K. Weinberger et al., Feature Hashing for Large Scale Multitask
Learning, ICML 2009.)
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np

from graphroute.ir.problem import Floats
from graphroute.scorers._embed import Embed, named
from graphroute.scorers._hashing import seen

SIZE: Final = 2048


def embedding() -> tuple[str, Embed]:
    """(name, embedding): `"wordllama"` where it is installed, else `"words"`."""
    if find_spec("wordllama") is None:
        return "words", words
    return "wordllama", named("wordllama")


def words(texts: Sequence[str]) -> Floats:
    """Rows of length 1 for texts; the same words in the same order give the same row.

    >>> one, same, other = words(["Sort a list", "sort a  LIST", "Bake bread"])
    >>> round(float(one @ same), 6), bool(one @ other < 0.5)
    (1.0, True)
    """
    out = np.zeros((len(texts), SIZE))
    for row, text in zip(out, texts, strict=True):
        buckets, _ = seen(text)
        # The lower bits choose the place, the next one the sign, so that clashes cancel out.
        np.add.at(row, buckets % SIZE, np.where((buckets // SIZE) % 2, 1.0, -1.0))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9))
