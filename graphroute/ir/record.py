"""What one routed model call was, cost and took: the raw material of the report and of learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graphroute.ir.verdict import Verdict

AFTER_REFUSAL: Final = "a check refused the answer of "
"""How `CallRecord.why` begins, before the model's name, where a check led to the call: that is a
harder one than the node's usual, so its score says too little good of the model that got it."""

UNCHECKED: Final = "there was no money to check the answer of "
"""How `CallRecord.why` begins where a model is asked because the one before it is not good enough
for the node by itself, and its answer's check could not be paid."""

ONCE_MORE: Final = "one of up to "
"""How `CallRecord.why` begins where a model is asked the same again to see whether it agrees with
itself: that is asked for its hard questions more often than for its easy ones."""

CHECK: Final = "check"
"""`CallRecord.why` of a call that a node's check made to judge an answer (`is_check`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A model that was tried or passed over for a call, and why it did not serve it."""

    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One model call inside a routed run.

    why: `"plan"`, or why another model than the planned one served (budget, context, down, …), or
        `"check"` where a check of the node asked a model about an answer
    own_model: the model the graph itself would have used, None if unknown
    is_estimated: usage did not come from the model but from counting characters
    baseline_nano: the same tokens at the graph's own model's price; None where that is unknown
    cap_tokens: limit on the answer that the budget or the node's hint imposed, None without one
    difficulty: of the prompt, in [0, 1]; None where the plan decided and it was not scored
    error: the exception's type and text where the call failed for good
    graph, graph_name: fingerprint and name of the planned graph
    thread: LangGraph's thread id, `""` without one
    iteration: which visit of the node in this run, from 1; None where nobody counted
    predicted_quality: probability of a good answer that the plan gave, in [0, 1]
    predicted_cost_nano, predicted_s: what the plan expected of one call of the planned model
    cached_tokens: part of `in_tokens` that the provider read from its own prompt cache
    cache: where the answer came from without asking a model (`"memory"`, `"disk"`, `"flight"`,
        `"semantic"`, `"node"`, …); None where a model was asked
    retries: attempts at this call before the one that ended it
    quality: score of the answer in [0, 1] by its verdicts; None where nobody judged it
    prompt_sha: SHA-256 of the prompt's text, 16 hex digits; prompt_chars: its length
    features: what a scorer can learn from, packed (`ir.features`); `""` for private nodes, and
        where nothing is learnt while the graph runs
    served: the version of the model that the provider says has answered, `""` where it says none
    is_private: the call had to stay on this machine, so nothing that may quote it is written down:
        no prompt, answer, text of an error or reason of a check
    prompt, answer: the texts themselves, only where `Store(keep_text=True)` asks for them
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
    graph: str = ""
    graph_name: str = ""
    thread: str = ""
    iteration: int | None = None
    predicted_quality: float | None = None
    predicted_cost_nano: int | None = None
    predicted_s: float | None = None
    cached_tokens: int = 0
    cache: str | None = None
    retries: int = 0
    verdicts: tuple[Verdict, ...] = ()
    quality: float | None = None
    prompt_sha: str = ""
    prompt_chars: int = 0
    features: str = ""
    served: str = ""
    is_private: bool = False
    prompt: str | None = None
    answer: str | None = None

    @property
    def is_check(self) -> bool:
        """Whether a check made the call: it costs the run money and is no answer of the node."""
        return self.why == CHECK

    @property
    def is_again(self) -> bool:
        """Whether earlier answers to the same call led to it, so that its questions are no fair
        sample of the node's.
        """
        return self.why.startswith((AFTER_REFUSAL, ONCE_MORE))

    @property
    def instead_nano(self) -> int | None:
        """What the graph by itself would have paid in the place of this call.

        That is the baseline of the first call; it would not have asked again. None where the
        baseline is unknown.
        """
        return 0 if self.is_again and self.baseline_nano is not None else self.baseline_nano
