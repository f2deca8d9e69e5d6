"""Reviews with their known mood, made by a seed: as many as wanted, no two alike."""

from __future__ import annotations

import random
from dataclasses import dataclass

HOUSES = ("the Harbour Inn", "Mill Street Books", "the Lindner cinema", "Oak Farm camping")

_GOOD = (
    "I laughed a lot and would come again tomorrow",
    "everything was clean and the staff remembered our names",
    "the best evening we have had in years",
    "friendly people, fair prices and a lovely view",
    "we were helped at once and left with a smile",
    "my children still talk about it, what a wonderful day",
    "worth every cent, thank you so much",
    "a charming place that I recommend to all my friends",
)
_BAD = (
    "I want my money back",
    "nobody answered our questions and the toilets were dirty",
    "two hours of boredom that I will not repeat",
    "rude people, high prices and a terrible smell",
    "we waited for an hour and left angry",
    "my children cried and we went home early, what an awful day",
    "a waste of time and money, stay away",
    "a sad place that I would not wish on anybody",
)
_WHEN = ("On Monday", "Last week", "In spring", "On our way north", "After work", "At noon")
_WHO = ("my wife and I", "three of us", "our whole class", "my old father", "some colleagues")
_WHAT = ("came by", "were there", "paid a visit", "stopped here", "had a look")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A text about a house, and whether its writer was pleased."""

    house: str
    text: str
    mood: str


def reviews(count: int, *, houses: int, seed: int) -> list[Review]:
    """Reviews of the first `houses` houses in turn, half of them good."""
    draw = random.Random(seed)
    found: list[Review] = []
    seen: set[str] = set()
    while len(found) < count:
        is_good = len(found) // houses % 2 == 0
        said = draw.choice(_GOOD if is_good else _BAD)
        text = f"{draw.choice(_WHEN)} {draw.choice(_WHO)} {draw.choice(_WHAT)}: {said}."
        if text in seen:
            continue
        seen.add(text)
        mood = "positive" if is_good else "negative"
        found.append(Review(house=HOUSES[len(found) % houses], text=text, mood=mood))
    return found


def task(house: str) -> str:
    """What is asked about a review of `house`, with its text left open."""
    return (
        f"You sort what guests of {house} write. Is the sentiment of this text positive or "
        f"negative? Judge by whether its writer liked {house} as a whole and would come back, not "
        "by single words; what is said about the weather, the traffic or other guests does not "
        "count, and irony counts as what is meant. Text: {} Answer with one word."
    )
