"""What one routed model call was, cost and took: the raw material of the report and of learning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A model that was tried or passed over for a call, and why it did not serve it."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One model call inside a routed run.

    why: `"plan"`, or why another model than the planned one served (budget, context, down, …)
    own_model: the model the graph itself would have used, None if unknown
    is_estimated: usage did not come from the model but from counting characters
    baseline_nano: the same tokens at the graph's own model's price; None where that is unknown
    cap_tokens: limit on the answer that the budget imposed, None if it imposed none
    difficulty: of the prompt, in [0, 1]; None where the plan decided and it was not scored
    error: the exception's type and text where the call failed for good
    """

    run_id: str
    node: str
    step: int | None
    planned: str | None
    model: str
    why: str
    own_model: str | None
    in_tokens: int
    out_tokens: int
    is_estimated: bool
    cost_nano: int
    baseline_nano: int | None
    started_s: float
    took_s: float
    difficulty: float | None = None
    cap_tokens: int | None = None
    attempts: tuple[Attempt, ...] = ()
    fault: str | None = None
    error: str | None = None
