"""How well does being sure tell right answers from wrong ones, and what does it gain?

    python benchmarks/sureness.py [--keep FILE]

Two embedded models answer questions with known answers, once at temperature 0 and several times at
0.8. For each model and kind of work: the share of right answers, the area under the ROC curve of
the two ways to read token probabilities (a coin has 0.5), and how often each check passes a right
and a wrong answer. Below that the curve of `ir.sureness.USUAL` as it fits all of these answers, the
scores that its rates rest on, and what a curve of its own for each model and kind, fitted to six
tenths of the questions, makes of the others. Intervals: 95 % of the bootstrap over questions.

    python benchmarks/sureness.py --live

Runs a graph of one node through `optimize()`, on other questions of two kinds: the cheaper and the
better model bare, and the cheaper one behind each check, `confidence` also after feedback on as
many questions more. What the plan says, the share of right answers and the spend against the better
model's; the plan is told to keep a quality of 0.75 at the least cost, and how good its author takes
the models to be (0.65 and 0.95).
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from _machine import describe
from _questions import Question, questions
from _samples import Asked, collected, framed
from langgraph.graph import END, START, StateGraph

from graphroute import Model, RouteHints, optimize, verify
from graphroute.checks.agreement import Agreement
from graphroute.ir.hints import NANO
from graphroute.ir.sureness import USUAL, Curve
from graphroute.learners._sureness import Pair, fit
from graphroute.store import background

RESAMPLES = 1_000
TENTHS = tuple(range(0, 101, 10))


def area(good: Sequence[float], bad: Sequence[float]) -> float:
    """Chance that a right answer scores above a wrong one, ties counted half."""
    if not good or not bad:
        return math.nan
    a, b = np.array(good)[:, None], np.array(bad)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


def area_of(found: Sequence[Asked], read: Callable[[Asked], float]) -> float:
    """`area` of what is read off the first answers."""
    good = [read(each) for each in found if each.first.right]
    return area(good, [read(each) for each in found if not each.first.right])


def agreed(each: Asked, check: Agreement) -> tuple[bool, bool]:
    """Whether a majority was found, and whether the answer that stands is right."""
    answers = [each.first, *each.drawn][: check.k]
    for count in range(1, len(answers) + 1):
        said = [a.said for a in answers[:count]]
        if (verdict := check.over([], said)) is not None:
            return bool(verdict.passed), answers[check.pick(said)].right
    return False, answers[0].right


def rates_of(
    found: Sequence[Asked], passes: Callable[[Asked], tuple[bool, bool]]
) -> tuple[float, float]:
    """How often a check passes right and wrong answers."""
    seen = [passes(each) for each in found]
    good = [float(passed) for passed, right in seen if right]
    bad = [float(passed) for passed, right in seen if not right]
    return float(np.mean(good or [math.nan])), float(np.mean(bad or [math.nan]))


def by_confidence(curve: Curve, at_least: float = 0.5) -> Callable[[Asked], tuple[bool, bool]]:
    """The check on the first answer."""
    return lambda each: (curve(math.exp(each.first.mean)) >= at_least, each.first.right)


def interval(found: Sequence[Any], of: Callable[[Sequence[Any]], float], seed: int) -> str:
    """A figure with its interval."""
    draw = np.random.default_rng(seed)
    values = [
        of([found[i] for i in draw.integers(0, len(found), len(found))]) for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(values, [0.025, 0.975])
    return f"{of(found):.2f} ({low:.2f} to {high:.2f})"


def told(found: Sequence[Asked], seed: int) -> None:
    """Print what the two checks know, by model and kind of work."""
    check = verify.agreement(3, key=str)
    for key in sorted({(each.model, each.kind) for each in found}):
        here = [each for each in found if (each.model, each.kind) == key]
        majority = np.mean([agreed(each, check)[1] for each in here])
        first = np.mean([each.first.right for each in here])
        print(
            f"{key[0]:13} {key[1]:11} right {100 * first:3.0f} %, majority {100 * majority:3.0f} %"
        )
        for name, of in (
            ("area, mean", lambda some: area_of(some, lambda e: e.first.mean)),
            ("area, least", lambda some: area_of(some, lambda e: e.first.least)),
            ("confidence passes right", lambda some: rates_of(some, by_confidence(USUAL))[0]),
            ("confidence passes wrong", lambda some: rates_of(some, by_confidence(USUAL))[1]),
            ("agreement passes right", lambda some: rates_of(some, lambda e: agreed(e, check))[0]),
            ("agreement passes wrong", lambda some: rates_of(some, lambda e: agreed(e, check))[1]),
        ):
            print(f"    {name:24} {interval(here, of, seed)}")
    usual(found)
    taught(found, seed)


def usual(found: Sequence[Asked]) -> None:
    """Print the curve over all answers, each model and kind counting the same."""
    cells = {(each.model, each.kind) for each in found}
    sizes = {key: sum((e.model, e.kind) == key for e in found) for key in cells}
    pairs = [replace(_pair(e), weight=100 / sizes[e.model, e.kind]) for e in found]
    curve = fit(pairs)
    print(f"curve of all: shift {curve.shift:.2f}, slope {curve.slope:.2f}; in use {USUAL}")
    good = [math.exp(each.first.mean) for each in found if each.first.right]
    bad = [math.exp(each.first.mean) for each in found if not each.first.right]
    for name, scores in (("right", good), ("wrong", bad)):
        tenths = np.percentile(scores, TENTHS).round(2).tolist()
        print(f"scores of {name} answers, by tenths: {tenths}")


def taught(found: Sequence[Asked], seed: int) -> None:
    """Print what curves of their own make of questions that they were not fitted to."""
    draw = np.random.default_rng(seed)
    seen: list[tuple[bool, bool]] = []
    for key in sorted({(each.model, each.kind) for each in found}):
        here = [each for each in found if (each.model, each.kind) == key]
        order = draw.permutation(len(here))
        cut = round(0.6 * len(here))
        curve = fit([_pair(here[i]) for i in order[:cut]])
        seen += [by_confidence(curve)(here[i]) for i in order[cut:]]
    for name, is_right in (("right", True), ("wrong", False)):
        share = interval(
            seen,
            lambda some, r=is_right: float(np.mean([ok for ok, right in some if right == r])),  # type: ignore[misc]  # bound now
            seed,
        )
        print(f"taught, passes {name} {share}")


def _pair(each: Asked) -> Pair:
    return Pair(node="n", model="m", score=math.exp(each.first.mean), good=float(each.first.right))


CHEAP = {"mood": "gemma-3-270m", "department": "smollm2-135m"}
"""The model that is worse at a kind of work."""

PRICE_USD = {True: 0.1, False: 1.0}
"""Per million tokens, made up: of the cheaper and of the better model."""


class State(TypedDict, total=False):
    """What is asked, and what was said."""

    prompt: str
    answer: str


def graph_of(chat: Any) -> Any:
    """One node that asks `chat`."""
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"answer": chat.invoke(state["prompt"]).text})
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    return builder.compile()


def ran(fast: Any, todo: Sequence[Question], *, teaches: bool = False) -> list[tuple[bool, float]]:
    """Whether each answer is right, and USD of its run; taught by feedback if asked for."""
    found = []
    for question in todo:
        end = fast.invoke({"prompt": question.prompt})
        spent = sum(r.cost_nano for r in fast.records if r.run_id == fast.last_run_id) / NANO
        found.append((question.is_right(end["answer"]), spent))
        if teaches:
            fast.feedback(fast.last_run_id, found[-1][0], node="ask")
    return found


def pool_of(cheap: str, chats: Mapping[str, Any]) -> list[Model]:
    """The two models, with what their author thinks of them."""
    return [
        Model(
            f"llamacpp:{name}",
            chat,
            local=False,
            price_in_usd=PRICE_USD[name == cheap],
            price_out_usd=PRICE_USD[name == cheap],
            quality=0.65 if name == cheap else 0.95,
        )
        for name, chat in chats.items()
    ]


def live(each: int, seed: int) -> None:
    """Print what the checks gain in runs."""
    chats = framed()
    for kind, cheap in CHEAP.items():
        models = pool_of(cheap, chats)
        graph = graph_of(next(chat for name, chat in chats.items() if name != cheap))
        test = [q for q in questions(each, seed=seed + 1) if q.kind == kind]
        train = [q for q in questions(each, seed=seed) if q.kind == kind]
        print(f"{kind}: {cheap} first", flush=True)
        base = 0.0
        for name, check, pin in (
            ("better bare", None, None),
            ("cheap bare", None, f"llamacpp:{cheap}"),
            ("agreement", verify.agreement(3), None),
            ("confidence", verify.confidence(), None),
            ("confidence, taught", verify.confidence(), None),
        ):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as store:
                made = partial(optimized, graph, models, check, store)
                if name.endswith("taught"):
                    ran(made(pin=f"llamacpp:{cheap}"), train, teaches=True)
                    background.flush_all()
                fast = made(pin=pin)
                planned = fast.plan.assignment("ask")
                outcomes = ran(fast, test)
                background.flush_all()
            spent = sum(usd for _, usd in outcomes)
            base = base or spent
            right = interval(outcomes, lambda some: float(np.mean([ok for ok, _ in some])), seed)
            names = " > ".join(m.partition(":")[2] for m in (planned.model, *planned.then))
            spend = f"{100 * spent / base:4.0f} %"
            print(f"  {name:19} right {right}, spend {spend}, plan {names}", flush=True)


def optimized(
    graph: Any, models: Sequence[Model], check: Any, store: str, *, pin: str | None
) -> Any:
    """The graph with a check, at the least cost that keeps the quality, or on one model."""
    floor = 0.75 if pin is None else None
    hints = RouteHints(verify=check, min_quality=floor, complexity=0.5, pin=pin)
    return optimize(
        graph, models=models, objective="cost", nodes={"ask": hints}, cache=False, store=store
    )


def main() -> None:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--live", action="store_true", help="run graphs through optimize()")
    parser.add_argument("--each", type=int, default=40, help="questions of each kind")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="file of the answers, read if it is there")
    given = parser.parse_args()
    print(describe(seed=given.seed))
    if given.live:
        live(given.each, given.seed)
    else:
        found = collected(each=given.each, draws=given.draws, seed=given.seed, keep=given.keep)
        told(found, given.seed)


if __name__ == "__main__":
    main()
