"""Why a model serves a call that was not planned for it, and why none does.

| why no model serves it | error of its caller |
|---|---|
| money does not reach | `BudgetExceeded` |
| the models that were asked failed | what the model said |
| private, and nothing local can | `PrivacyViolation` |
| the author's own list is not in the pool | `UnknownModel` |
| nothing in the pool fits the call | `LookupError`, and the graph's own model is asked |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphroute.errors import BudgetExceeded, GraphrouteError, PrivacyViolation, UnknownModel
from graphroute.ir.catalog import ModelSpec
from graphroute.ir.record import CHECK
from graphroute.runtime.call import Call
from graphroute.runtime.course import Ahead
from graphroute.runtime.till import UNPRICED, Till
from graphroute.runtime.trail import Trail
from graphroute.runtime.trial import Trial


def why(name: str, call: Call, trail: Trail, ahead: Ahead | None, trial: Trial | None) -> str:
    """Why the model `name` serves the call: `"plan"`, or why not the planned one.

    ahead: what the course says of the node now
    trial: the call's part in being checked, where earlier answers were refused
    """
    if call.is_check:
        return CHECK
    if call.assignment is None:
        return "no step of the plan"
    planned = call.assignment.model
    if trial is not None and trial.rounds:
        return trial.why
    if call.attempt is not None and call.attempt.why:
        return call.attempt.why
    if name == trail.tried:
        return "tried, to learn how good it is"
    if name == planned:
        return "plan"
    if (reason := trail.reason(planned)) is not None:
        return reason
    if ahead is not None and ahead.why:
        return ahead.why
    if call.lean is not None and call.lean.departure:
        word = "harder" if call.lean.departure > 0 else "easier"
        return f"a prompt {word} than this node's usual ones"
    return "the graph's own model is kept"


def none_left(call: Call, trail: Trail, order: Sequence[ModelSpec], till: Till) -> BaseException:
    """The error of a call for which none of `order` is left: all failed, or all are too dear.

    Raises `LookupError` where the pool has nothing for it, which is ours to solve, not the graph's
    to die of.
    """
    reasons = "; ".join(f"{a.model}: {a.reason}" for a in trail.attempts) or "no model"
    money = {a.reason for a in trail.attempts if a.reason.startswith("budget")}
    if money == {UNPRICED} and trail.last_error is not None:
        trail.last_error.add_note(
            f"graphroute: {call.own.name!r} could not take over, because there is a budget "
            "and its price is unknown; name it in models= by Model(name, price_in_usd=…, "
            "price_out_usd=…)"
        )
        return trail.last_error
    if order and money and call.is_check:
        return BudgetExceeded(
            f"the check of node {call.node!r} has no money for its model ({reasons})",
            node=call.node,
            next_step="raise the budget, or check by a local model; where a check can change "
            "nothing it is paid for some answers only, with learn=True for all",
        )
    if order and money:
        return till.exceeded(order, call.facts, reasons)
    if trail.last_error is not None:
        return trail.last_error
    if any(a.reason.startswith("private") for a in trail.attempts):
        return PrivacyViolation(
            f"node {call.node!r} is private and no local model can serve it ({reasons})",
            node=call.node,
            next_step="add a local model that can, or lift privacy='local'",
        )
    raise LookupError(f"no model of the pool can serve node {call.node!r} ({reasons})")


def none_allowed(
    call: Call, specs: Sequence[ModelSpec], *, named: Sequence[str], known: Iterable[str]
) -> GraphrouteError:
    """The error of a call whose author names models of which none may serve it.

    specs: those of them that the pool has; known: all that it has
    """
    if specs:
        return PrivacyViolation(
            f"node {call.node!r} is private and {', '.join(s.name for s in specs)} "
            "would leave the machine",
            node=call.node,
            model=specs[0].name,
            next_step="add a local model to the pool",
        )
    return UnknownModel(
        f"node {call.node!r} may use {', '.join(named)} only, and the pool has none of it",
        node=call.node,
        known=tuple(known),
        next_step="add one of them to the pool, or mend the hint",
    )
