"""The decision for one call, pure: which models may serve it, in which order, and at what limit.

The plan's model comes first, then the plan's fallbacks, then the model that the graph itself would
have used: a graph that worked keeps working. Where the prompt's own text departs from what the node
usually gets, the plan's order leans as far as that has been worth something (`runtime.leaning`);
where the plan does not know the step, the text decides. Each model that is passed over leaves its
reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from langchain_core.messages import BaseMessage

from graphroute.ir.catalog import Capability, Catalog, ModelSpec
from graphroute.ir.hints import NANO, RouteHints
from graphroute.ir.quality import success
from graphroute.ir.record import Attempt
from graphroute.ir.reservation import MIN_OUT_TOKENS, short_answer
from graphroute.runtime import tokens
from graphroute.runtime.leaning import Lean

DEFAULT_OUT_TOKENS = 256
"""Expected answer where no plan says how long one will be."""

UNKNOWN_OUT_LIMIT = 8_192
"""Longest answer counted with where neither the call, the node nor the model states a limit."""


@dataclass(frozen=True, kw_only=True)
class CallFacts:
    """What the decision needs of a call; tokens of the prompt, needs, and who asked.

    in_tokens is the estimate; in_texts, in_fixed: the texts it is of, and tokens besides
    out_cap: the caller's own limit
    answers: how many it gives, each up to the limit (a list of prompts has one for each)
    """

    node: str
    own: ModelSpec
    in_tokens: int
    out_cap: int | None
    in_fixed: int = 0
    in_texts: tuple[str, ...] = field(default=(), repr=False)
    sent_cap: int | None = None
    needs: frozenset[Capability] = frozenset()
    difficulty: float | None = None
    answers: int = 1

    @cached_property
    def in_bound(self) -> int:
        """The most tokens the prompt can have.

        Counted when somebody asks: for a megabyte that takes longer than to find a known answer.
        """
        return self.in_fixed + sum(map(tokens.upper_bound, self.in_texts))

    def after(self, added: Sequence[BaseMessage]) -> CallFacts:
        """The same call with more messages behind its own."""
        if not added:
            return self
        text = tokens.text_of(added)
        return replace(
            self,
            in_tokens=self.in_tokens + tokens.estimate(text),
            in_fixed=self.in_fixed + tokens.PER_MESSAGE * len(added),
            in_texts=(*self.in_texts, text),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Models that may serve, best first, and those that may not, with reasons."""

    order: tuple[ModelSpec, ...]
    passed_over: tuple[Attempt, ...] = field(default=())


def rank(
    call: CallFacts,
    *,
    planned: tuple[str, ...] | None,
    must_stay: bool,
    hints: RouteHints,
    catalog: Catalog,
    shadow_price: float,
    keeps_own: bool,
    is_down: Callable[[str], bool],
    lean: Lean | None = None,
) -> Ranking:
    """Order the models for one call.

    planned: the plan's models for the node, best first; None where the plan does not know it
    must_stay: the call may not leave this machine
    keeps_own: nothing but the graph's own model serves (the pool is nothing but those)
    shadow_price: quality (log-probability) per USD, used where no plan orders the models, and
        where the text leans on the plan's order
    lean: what the prompt's text says beside the plan; None where it was not scored
    """
    order: list[ModelSpec] = []
    passed_over: list[Attempt] = []
    known = {spec.name: spec for spec in (*catalog, call.own)}
    is_alone = keeps_own or hints.pin is not None
    if planned is not None and lean is not None:
        planned = leaned(planned, lean, call=call, known=known, shadow_price=shadow_price)
    for name in dict.fromkeys(_names(call, planned, hints, catalog, shadow_price, keeps_own)):
        spec = known.get(name)
        if spec is None:
            passed_over.append(Attempt(model=name, reason="not in the pool"))
        elif reason := _obstacle(spec, call, must_stay, hints, is_down, is_alone=is_alone):
            passed_over.append(Attempt(model=name, reason=reason))
        else:
            order.append(spec)
    return Ranking(order=tuple(order), passed_over=tuple(passed_over))


def _names(
    call: CallFacts,
    planned: tuple[str, ...] | None,
    hints: RouteHints,
    catalog: Catalog,
    shadow_price: float,
    keeps_own: bool,
) -> tuple[str, ...]:
    if hints.pin is not None:
        return (hints.pin,)
    if keeps_own:
        return (call.own.name,)
    if planned is None:

        def utility(spec: ModelSpec) -> float:
            hard = 0.5 if call.difficulty is None else call.difficulty
            cost = spec.cost_usd(call.in_tokens, call.out_cap or DEFAULT_OUT_TOKENS)
            return math.log(success(hard, spec.ability)) - shadow_price * cost

        planned = tuple(s.name for s in sorted(catalog, key=lambda s: (-utility(s), s.name)))
    return (*planned, call.own.name)


def leaned(
    planned: tuple[str, ...],
    lean: Lean,
    *,
    call: CallFacts,
    known: Mapping[str, ModelSpec],
    shadow_price: float,
) -> tuple[str, ...]:
    """The plan's models in the order of their utility for this very prompt.

    Only what the text adds can move a model up: the plan's first choice starts level with the best,
    whatever limits besides money the plan kept.
    """
    if any(name not in lean.qualities or name not in known for name in planned):
        return planned

    def base(name: str) -> float:
        cost = known[name].cost_usd(call.in_tokens, lean.out_tokens)
        return lean.weight * math.log(max(lean.qualities[name], 1e-9)) - shadow_price * cost

    worth = {name: base(name) for name in planned}
    worth[planned[0]] = max(worth.values())
    # Rounded, so that equal models stay in the plan's order.
    return tuple(sorted(planned, key=lambda name: -round(worth[name] + lean.gain(name), 9)))


def _obstacle(
    spec: ModelSpec,
    call: CallFacts,
    must_stay: bool,
    hints: RouteHints,
    is_down: Callable[[str], bool],
    *,
    is_alone: bool,
) -> str:
    """Why `spec` may not serve the call; empty if it may."""
    if must_stay and not spec.local:
        return "private: this step may not leave the machine"
    if hints.models is not None and spec.name not in hints.models:
        return "not among the models this node allows"
    if is_alone:
        return ""  # nothing else may serve: what the model cannot do it says best itself
    # The graph's own model is trusted with the graph's own calls: it served them before.
    if spec.name != call.own.name and (lacks := sorted(call.needs - spec.capabilities)):
        return f"lacks {', '.join(lacks)}"
    room = spec.context_tokens
    # A limit on the answer is no wish for so long an answer, so a short one must fit.
    if room is not None and call.in_tokens + min(call.out_cap or room, MIN_OUT_TOKENS, room) > room:
        return f"prompt of about {call.in_tokens} tokens is too long for {room}"
    if is_down(spec.name):
        return "did not answer lately"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What a call reserves; `cap_tokens` is the limit on the answer that makes the sum hold."""

    amount_nano: int
    cap_tokens: int | None = None


def stake(
    spec: ModelSpec,
    call: CallFacts,
    *,
    out_expected: float,
    share_nano: int | None,
    available_nano: int | None,
    excess: float = 1.0,
) -> Stake | None:
    """The most the call can cost on `spec`, cut to what the run can afford; None: too little left.

    share_nano: the call's fair part of what is left, so that parallel siblings get theirs
    excess: how many times its bound an earlier call of the node on this model has cost, ≥ 1
    """
    bounds = bounds_nano(spec, call, out_expected=out_expected, excess=excess)
    least, worst = bounds.least, bounds.worst
    if worst == 0 or available_nano is None or share_nano is None or worst <= share_nano:
        if available_nano is not None and worst > available_nano:
            return None
        # A limit that nobody stated is only a guess, and binds only where money hangs on it.
        is_stated = call.out_cap is not None or (available_nano is not None and worst > 0)
        return Stake(amount_nano=worst, cap_tokens=bounds.must_tell if is_stated else None)
    amount = min(worst, max(share_nano, least), available_nano)
    if amount < least:
        return None
    per_token = spec.price.out_usd * call.answers * excess
    if amount >= worst or per_token == 0:
        return Stake(amount_nano=worst, cap_tokens=bounds.must_tell)
    cap = math.floor((amount - bounds.prompt) / (per_token * NANO / 1e6))
    return Stake(amount_nano=amount, cap_tokens=max(1, min(cap, bounds.limit_tokens)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a call can cost, in nano-dollars: its prompt, with a short answer, and at most.

    limit_tokens: the longest answer that the call, the node and the model leave room for
    must_tell: that limit where the model would not keep it unless it is sent along
    """

    prompt: int
    least: int
    worst: int
    limit_tokens: int
    must_tell: int | None = None


def bounds_nano(
    spec: ModelSpec, call: CallFacts, *, out_expected: float, excess: float = 1.0
) -> Bounds:
    """Bounds of a call's cost on `spec`, raised by `excess`."""
    in_tokens = (call.in_bound + spec.overhead_tokens * call.answers) * excess
    per_token = spec.price.out_usd * call.answers * excess
    kept = [n for n in (call.sent_cap, spec.max_output_tokens) if n is not None]
    if spec.max_output_tokens is None and spec.context_tokens is not None:
        kept.append(max(MIN_OUT_TOKENS, spec.context_tokens - call.in_tokens))
    keeps = min(kept, default=None)
    wanted = [n for n in (call.out_cap, keeps) if n is not None]
    limit = min(wanted, default=UNKNOWN_OUT_LIMIT)
    short = short_answer(limit, out_expected)
    prompt = nano(in_tokens * spec.price.in_usd)
    # Another model may refuse a limit above its own; the graph's own model was given it before.
    is_too_long = (call.sent_cap or 0) > limit and spec.name != call.own.name
    return Bounds(
        prompt=prompt,
        least=prompt + nano(short * per_token),
        worst=prompt + nano(limit * per_token),
        limit_tokens=limit,
        must_tell=limit if keeps is None or limit < keeps or is_too_long else None,
    )


def nano(usd_per_million: float) -> int:
    """Nano-dollars, rounded up, of a sum of tokens × USD per million tokens.

    >>> nano(1000 * 0.25)
    250000
    """
    return math.ceil(round(usd_per_million * NANO / 1e6, 6))


def share(*, available_nano: int, expected_nano: float, expected_left_nano: float) -> int:
    """A call's fair part of what is left: in proportion to what the plan expects it to cost.

    A call the plan did not expect any more gets half: more of its kind may come beside it.

    >>> share(available_nano=1000, expected_nano=10, expected_left_nano=40)
    250
    >>> share(available_nano=1000, expected_nano=10, expected_left_nano=0)
    500
    """
    if expected_left_nano <= 0:
        return available_nano // 2
    return math.floor(available_nano * min(1.0, expected_nano / expected_left_nano))
