"""What an answer to a question counts that another model's answer was refused on.

Such questions are harder than the node's usual ones. By the random-effects Rasch model by which
cascades are planned (`planning.retries`), the odds of a right answer on them are a factor ρ < 1 of
the model's usual odds, and ρ hangs on how seldom the other model is refused, hardly on how good the
one asked is: where it is always refused nothing was selected and ρ = 1, where it is refused now and
then only the hardest are left. A sample whose odds are off by a known factor is put right by
counting its right answers 1 and its wrong ones ρ, as in case-control studies (R. L. Prentice and
R. Pyke, Logistic disease incidence models and case-control studies, Biometrika 66, 1979). No answer
counts more than a usual one, so what is known this way is never surer than it should be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np

from graphroute.ir.record import AFTER_REFUSAL, CallRecord

ACCEPTED: Final = (0.02, 0.1, 0.3, 0.5, 0.7, 0.85)
RATIO: Final = (0.98, 0.89, 0.69, 0.53, 0.40, 0.37)
"""ρ by the share of its answers that the refused model gets accepted: `retries.after_refusals`
with the usual rates of a check, for a next model of quality 0.75."""

DOUBT: Final = 4.0
"""Refused answers that are assumed before any was seen: few answers say little of what ρ is."""


class Refused:
    """How often answers are accepted, by graph, node and model; not to be shared by threads.

    >>> from graphroute.learners._refused import Refused
    >>> round(Refused.ratio(0.0), 2), round(Refused.ratio(0.5), 2)
    (0.98, 0.53)
    """

    def __init__(self, records: Iterable[CallRecord] = ()) -> None:
        self._counts: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for record in records:
            self.note(record)

    def note(self, record: CallRecord) -> None:
        """Count an answer that was judged."""
        if record.quality is not None and record.error is None and not record.is_check:
            here = self._counts[record.graph, record.node, record.model]
            here[0] += record.quality
            here[1] += 1

    def weight(self, record: CallRecord) -> float | None:
        """What the answer counts where it is wrong, in [0, 1]; None where it says nothing.

        A model that is asked again after its own refusal is no second opinion, nor are answers that
        are only asked for to see whether they agree.
        """
        if not record.is_again:
            return 1.0
        before = record.why.removeprefix(AFTER_REFUSAL)
        if before in (record.why, record.model):
            return None
        good, answers = self._counts.get((record.graph, record.node, before), (0.0, 0.0))
        return self.ratio(good / (answers + DOUBT))

    @staticmethod
    def ratio(accepted: float) -> float:
        """ρ where this share of the refused model's answers is accepted."""
        return float(np.interp(accepted, ACCEPTED, RATIO))
