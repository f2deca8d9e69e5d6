"""How well small local models judge: right against wrong sums, by one label and by both orders.

Sums of two numbers are answered rightly or wrongly, half each. The judge's score should be higher
for a right answer: the area under the ROC curve is the chance that it is (0.5 is a coin), with a
95 % interval from the bootstrap over sums. Beside it stands what asking in one order only gives,
and how often the letter alone decided, whatever it stood for.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence

from _machine import describe
from langchain_core.messages import AIMessage, HumanMessage

from graphroute.checks.judge import Judge, grade
from graphroute.providers import llamacpp
from graphroute.providers._packaged import smollm2_path

RESAMPLES = 1_000


def area(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Chance that a right answer scores above a wrong one, ties counted half."""
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    return sum(pairs) / len(pairs)


def shown(right: Sequence[float], wrong: Sequence[float], *, seed: int) -> str:
    """The area with its interval."""
    draw = random.Random(seed)
    areas = sorted(
        area(draw.choices(right, k=len(right)), draw.choices(wrong, k=len(wrong)))
        for _ in range(RESAMPLES)
    )
    low, high = areas[round(0.025 * RESAMPLES)], areas[round(0.975 * RESAMPLES) - 1]
    return f"{area(right, wrong):.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Print the area under the curve of each judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sums", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(describe(seed=given.seed))
    draw = random.Random(given.seed)
    gguf = llamacpp.Gguf(path=smollm2_path(), alias="smollm2-135m", template=llamacpp.TOOLS)
    chat = llamacpp.chat(gguf, temperature=0.0, max_tokens=1)
    judge = Judge(chat, options={"logprobs": True, "top_logprobs": 20})
    both: dict[bool, list[float]] = {True: [], False: []}
    first: dict[bool, list[float]] = {True: [], False: []}
    by_letter = read = 0
    started = time.perf_counter()
    for number in range(given.sums):
        is_right = number % 2 == 0
        a, b = draw.randrange(2, 50), draw.randrange(2, 50)
        answer = a + b + (0 if is_right else draw.choice((-10, -3, -1, 1, 2, 7)))
        sent = [HumanMessage(f"What is {a} + {b}?")]
        asked = judge.questions(sent, AIMessage(str(answer)))
        grades = [grade(chat.invoke(ask, **judge.options), good=letter) for ask, letter in asked]
        verdict = judge.verdict(grades)
        if verdict.score is None or grades[0] is None or grades[1] is None:
            continue
        read += 1
        both[is_right].append(verdict.score)
        first[is_right].append(grades[0])
        by_letter += (grades[0] >= 0.5) != (grades[1] >= 0.5)
    took_s = time.perf_counter() - started
    llamacpp.close()
    print(f"{gguf.alias}: {read} of {given.sums} verdicts could be read, {took_s:.0f} s in all")
    print(f"both orders: area {shown(both[True], both[False], seed=given.seed)}")
    print(f"one order:   area {shown(first[True], first[False], seed=given.seed)}")
    print(
        f"mean score of right answers {statistics.mean(both[True]):.3f}, of wrong "
        f"{statistics.mean(both[False]):.3f}"
    )
    print(f"the letter alone decided in {by_letter} of {read}")


if __name__ == "__main__":
    main()
