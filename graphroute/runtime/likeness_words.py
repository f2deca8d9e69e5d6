"""English words that decide whether two questions are the same, and those that never do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_CARDINALS = """
zero - two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty
"""
_ORDINALS = "- - second third fourth fifth sixth seventh eighth ninth tenth"
_PARTS = """
thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion dozen half
quarter twice double triple thrice single once pair percent
"""
NUMBERS: Final[Mapping[str, str]] = {
    **{word: str(number) for number, word in enumerate(_CARDINALS.split())},
    **{word: f"{number}th" for number, word in enumerate(_ORDINALS.split())},
    **{word: word for word in _PARTS.split()},
}
"""What a number word is as a number; parts of numbers stand for themselves.

"one" is none: it mostly stands for a thing ("the one that …").
"""

_NEGATION = """
not no never none nobody nothing nowhere neither nor without except unless hardly barely rarely
seldom lack lacks lacking fail fails failed false untrue incorrect wrong invalid impossible unlikely
non exclude excludes excluding avoid avoids deny denies
"""
_QUANTITY = """
more less fewer most least many few much little all some any each every only both either than
greater smaller larger lower higher bigger longer shorter older younger faster slower better worse
best worst maximum minimum max min highest lowest largest smallest first last next previous same
different equal unequal similar opposite above below over under
"""
_DIRECTION = """
before after until since during increase increases increased increasing decrease decreases decreased
decreasing rise rises fall falls gain gains loss lose loses win wins buy buys sell sells up down
left right in out into from to on off open close start stop begin end add remove include includes
including with at by for as about import export send receive give take borrow lend push pull encode
decode encrypt decrypt ascending descending north south east west internal external direct indirect
"""
_POLARITY = """
positive negative true correct valid possible likely always and or but if then because cause causes
effect accept reject allow forbid enable disable must may should can could would will shall active
passive legal illegal safe unsafe
"""
_ASKING = "who whom whose when where why how was were did had been"

TURNING: Final = frozenset(
    f"{_NEGATION} {_QUANTITY} {_DIRECTION} {_POLARITY} {_ASKING}".split(),
)
"""A question with one of these more, fewer, or in another place is another question."""

_SMALL_WORDS = """
a an the this that these those it its is are am be do does has have of so such there here one ones
what which please kindly
"""
SMALL: Final = frozenset(_SMALL_WORDS.split())
"""Words that may be there or not."""

COURTESY: Final = re.compile(
    r"^\W*(?:(?:hi|hello|hey|please|kindly|ok|okay|well|so|thanks)\b[\s,.!:-]*)*"
    r"(?:(?:(?:can|could|would|will) you|i(?: would|['’]d)? (?:like|want) (?:you )?to|do you know)"
    r"\b[\s,]*(?:please\b\s*)?)?"
    r"(?:(?:tell me|let me know|know|answer(?: me)? this)\b[\s,:]*)?"
    r"|[\s,]*\b(?:please|thanks|thank you)\W*$",
    re.IGNORECASE,
)
"""What people say around a question."""
