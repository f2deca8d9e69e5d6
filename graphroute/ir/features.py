"""What is kept of a prompt so that a scorer can learn from it later: nine numbers, no word of it.

The difficulty that the unchanged scorer saw, and counts that many different prompts share: length,
words, digits, marks, lines. They are kept as half floats, 24 characters, behind a tag that says
which scorer and which counts they are of; numbers under different tags are never compared.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from dataclasses import dataclass
from typing import Final

TRAITS: Final = 8
_FORM: Final = struct.Struct(f"<{1 + TRAITS}e")
_MOST: Final = 60_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """tag: of what they are; difficulty: in [0, 1]; traits: each roughly in [0, 3]."""

    tag: str
    difficulty: float
    traits: tuple[float, ...]

    def pack(self) -> str:
        """As text for a record.

        >>> kept = Features(tag="0a1b", difficulty=0.5, traits=(1.0,) * TRAITS).pack()
        >>> kept, unpacked(kept).difficulty
        ('0a1b:ADgAPAA8ADwAPAA8ADwAPAA8', 0.5)
        """
        values = [min(max(v, -_MOST), _MOST) for v in (self.difficulty, *self.traits)]
        return f"{self.tag}:{base64.b64encode(_FORM.pack(*values)).decode()}"


def unpacked(text: str) -> Features | None:
    """The features in a record; None where there are none, or no sound ones.

    >>> unpacked("") is None, unpacked("0a1b:?") is None
    (True, True)
    """
    tag, _, numbers = text.partition(":")
    try:
        difficulty, *traits = _FORM.unpack(base64.b64decode(numbers, validate=True))
    except (ValueError, binascii.Error, struct.error):
        return None
    if not tag or not all(map(math.isfinite, (difficulty, *traits))):
        return None
    return Features(tag=tag, difficulty=difficulty, traits=tuple(traits))
