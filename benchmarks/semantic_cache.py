"""How often semantic reuse answers with another question's answer, and how often it helps.

Calibrated on one half of the questions of each subject, measured on the other. Three measures:

- false hits, natural: each question's nearest other question of its subject (what a cache full of
  the subject's questions would offer) has another answer; a hit is false.
- false hits, made: one number, name, word or turn of the question is changed. These are harder than
  what people type, and show what each guard is for.
- true hits: the question typed again, with other case, marks, courtesies, contractions.

    python benchmarks/semantic_cache.py --data FOLDER
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from _machine import describe

from graphroute.runtime.likeness import conflict, plain_words
from graphroute.runtime.likeness_words import SMALL
from graphroute.runtime.pack_loss import Loss
from graphroute.runtime.semantic import THRESHOLDS
from graphroute.scorers._alike import embedding, words
from graphroute.scorers._embed import Embed

GRID = (0.70, 0.75, 0.80, 0.85, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98)
WISHED = 0.005
OPTIONS = re.compile(r"\n\(?A[.)] ")


def questions(folder: Path) -> dict[str, list[str]]:
    """Different questions by subject, options of multiple choice left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, subject in (
        ("routellm_mmlu", "subject"),
        ("nway_mmlupro_prompts", "domain"),
        ("routellm_gsm8k", None),
        ("nway_tasks_prompts", "domain"),
    ):
        with gzip.open(folder / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                kind = f"{name}/{row[subject]}" if subject else name
                found[kind].add(OPTIONS.split(row["prompt"])[0].strip())
    return {kind: sorted(texts) for kind, texts in sorted(found.items()) if len(texts) >= 8}


def plain(text: str) -> str:
    """A text by its words alone: two that are equal so are one question."""
    return " ".join(re.findall(r"\w+", text.lower()))


def neighbours(texts: Sequence[str], embed: Embed) -> list[tuple[float, str, str]]:
    """(similarity, question, nearest other question)."""
    rows = embed([plain_words(text) for text in texts])
    alike = rows @ rows.T
    same = np.array([plain(text) for text in texts])
    alike[same[:, None] == same[None, :]] = -1
    nearest = alike.argmax(1)
    return [(float(alike[i, j]), texts[i], texts[int(j)]) for i, j in enumerate(nearest)]


# -- changes of one question

SWAPS = {"more": "less", "increase": "decrease", "before": "after", "first": "last", "all": "some",
         "true": "false", "highest": "lowest", "and": "or", "with": "without", "always": "never",
         "positive": "negative", "best": "worst", "above": "below", "most": "least"}  # fmt: skip


def other_number(text: str, draw: random.Random) -> str:
    """One number changed by one."""
    found = list(re.finditer(r"(?<![\w.])\d+(?![\w.])", text))
    if not found:
        return text
    spot = draw.choice(found)
    return text[: spot.start()] + str(int(spot[0]) + 1) + text[spot.end() :]


def negated(text: str, draw: random.Random) -> str:  # noqa: ARG001 - one form for all changes
    """A verb turned around."""
    return re.sub(r"\b(is|are|was|were|does|do|did|can|will)\b", r"\1 not", text, count=1)


def turned(text: str, draw: random.Random) -> str:
    """A word replaced by its opposite."""
    there = [word for word in SWAPS if re.search(rf"\b{word}\b", text)]
    if not there:
        return text
    word = draw.choice(there)
    return re.sub(rf"\b{word}\b", SWAPS[word], text, count=1)


def other_word(text: str, draw: random.Random) -> str:
    """A longer word replaced by another of the same question's subject, here by a fixed list."""
    found = list(re.finditer(r"\b[a-z]{6,}\b", text))
    if not found:
        return text
    spot = draw.choice(found)
    new = draw.choice(("ethanol", "muscle", "treaty", "velocity", "contract", "enzyme", "orbit"))
    return text[: spot.start()] + new + text[spot.end() :]


def swapped(text: str, draw: random.Random) -> str:
    """Two words that mean something in each other's place."""
    found = [w for w in re.finditer(r"\b[A-Za-z]{4,}\b", text) if w[0].lower() not in SMALL]
    if len(found) < 3:
        return text
    first, second = sorted(draw.sample(found, 2), key=lambda spot: spot.start())
    middle = text[first.end() : second.start()]
    return text[: first.start()] + second[0] + middle + first[0] + text[second.end() :]


def other_name(text: str, draw: random.Random) -> str:
    """A name replaced by another."""
    found = list(re.finditer(r"(?<=[a-z] )[A-Z][a-z]{2,}\b", text))
    if not found:
        return text
    spot = draw.choice(found)
    new = draw.choice(("Ohio", "Kepler", "Nadia", "Siemens"))
    return text[: spot.start()] + new + text[spot.end() :]


MADE = {f.__name__: f for f in (other_number, negated, turned, other_word, swapped, other_name)}

# -- the same question typed again

AGAIN: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "no mark at the end": lambda text: text.rstrip("?.! "),
    "double spaces": lambda text: text.replace(" ", "  "),
    "please": lambda text: f"Please {text[:1].lower()}{text[1:]}",
    "can you tell me": lambda text: f"Can you tell me: {text}",
    "thanks": lambda text: f"{text} Thanks!",
    "what is → what's": lambda text: re.sub(r"\b([Ww]hat) is\b", r"\1's", text),
    "not → n't": lambda text: re.sub(r"\b(do|does|did|is|are|was) not\b", r"\1n't", text),
    "no articles": lambda text: re.sub(r"\b(the|a|an) ", "", text),
    "a synonym": lambda text: re.sub(r"\bfollowing\b|\bdetermine\b|\bfind\b", "identify", text),
    "clauses in another order": lambda text: ", ".join(reversed(text.rstrip("?.").split(", "))),
}


def first_half(text: str) -> bool:
    """Which half of the questions, by hash."""
    return hashlib.sha256(text.encode()).digest()[0] < 128


def share(hits: int, count: int) -> str:
    """A share in percent, and the most it can be with 95 % confidence (Clopper and Pearson)."""
    seen = Loss(checks=count, losses=hits)
    return f"{hits}/{count} = {100 * hits / max(count, 1):.2f} % (at most {100 * seen.high:.2f} %)"


def measured(pairs: Sequence[tuple[float, str, str]], threshold: float) -> Counter[str]:
    """Of pairs of different questions: how many pass the threshold, then each guard."""
    found: Counter[str] = Counter()
    for alike, one, other in pairs:
        if alike < threshold:
            continue
        found["alike"] += 1
        told = conflict(one, other)
        found["without the rule on words"] += told is None or told.startswith("words")
        found["hit"] += told is None
    return found


def run(name: str, embed: Embed, groups: dict[str, list[str]], seed: int, most: int) -> None:
    """Everything for one embedding."""
    tune: list[tuple[float, str, str]] = []
    test: list[tuple[float, str, str]] = []
    for texts in groups.values():
        for is_first, pairs in ((True, tune), (False, test)):
            chosen = [text for text in texts if first_half(text) == is_first]
            if len(chosen) > 1:
                pairs.extend(neighbours(chosen, embed))
    print(f"\n{name}: {len(tune)} questions to calibrate, {len(test)} to measure")
    chosen_at = 1.0
    for threshold in reversed(GRID):
        found = measured(tune, threshold)
        bound = Loss(checks=len(tune), losses=found["without the rule on words"]).high
        if bound > WISHED:
            break
        chosen_at = threshold
    shipped = THRESHOLDS[name]
    print(f"least threshold for {100 * WISHED} % without the rule on words: {chosen_at}")
    print(f"shipped threshold: {shipped}")
    found = measured(test, shipped)
    print(f"natural: alike enough        {share(found['alike'], len(test))}")
    print(f"natural: guards but words    {share(found['without the rule on words'], len(test))}")
    print(f"natural: false hits          {share(found['hit'], len(test))}")
    sample = [text for _, text, _ in test]
    random.Random(seed).shuffle(sample)
    for label, change in MADE.items():
        draw = random.Random(seed)
        made = [(text, change(text, draw)) for text in sample[:most]]
        told = hits([pair for pair in made if plain(pair[0]) != plain(pair[1])], embed, shipped)
        print(f"made: {label:<22} {share(*told)}")
    for label, again in AGAIN.items():
        typed = [(text, again(text)) for text in sample[:most]]
        # Ends are stripped where the change itself strips them on the way.
        ends = "" if label == "no mark at the end" else "?. "
        typed = [(one, other) for one, other in typed if _cut(one, ends) != _cut(other, ends)]
        hit, count = hits(typed, embed, shipped)
        print(f"typed again: {label:<25} {hit}/{count} = {100 * hit / max(count, 1):.0f} % found")


def _cut(text: str, ends: str) -> str:
    return text.rstrip(ends) if ends else text


def hits(pairs: Sequence[tuple[str, str]], embed: Embed, threshold: float) -> tuple[int, int]:
    """(hits, pairs) where the second text is asked and the first is known."""
    if not pairs:
        return 0, 0
    one, other = (embed([plain_words(pair[i]) for pair in pairs]) for i in (0, 1))
    alike = (one * other).sum(1)
    found = [
        value >= threshold and conflict(*pair) is None
        for value, pair in zip(alike, pairs, strict=True)
    ]
    return sum(found), len(pairs)


def main() -> None:
    """Print the figures for the embeddings there are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("GRAPHROUTE_DATA"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=3000, help="changed questions of each kind")
    given = parser.parse_args()
    if given.data is None:
        parser.error("give --data FOLDER or set GRAPHROUTE_DATA")
    print(describe(seed=given.seed))
    groups = questions(Path(given.data))
    print(f"{sum(map(len, groups.values()))} questions of {len(groups)} subjects")
    run("words", words, groups, given.seed, given.most)
    name, embed = embedding()
    if name != "words":
        run(name, embed, groups, given.seed, given.most)


if __name__ == "__main__":
    main()
