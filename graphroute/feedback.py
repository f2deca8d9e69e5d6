"""Feedback that was given elsewhere, brought to the runs it is about.

```python
from graphroute.feedback import from_langsmith

for said in from_langsmith(Client(), [fast.last_run_id]):
    fast.feedback(said.run_id, said.verdict)
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from graphroute.ir.feedback import Feedback
from graphroute.ir.verdict import verdict_of

__all__ = ["Feedback", "from_langsmith"]


def from_langsmith(
    client: Any,
    run_ids: Sequence[str | UUID] | Mapping[Any, str],
    *,
    key: str | None = None,
) -> tuple[Feedback, ...]:
    """The feedback that LangSmith has on runs, for `fast.feedback(…)`; asks LangSmith's server.

    client: a `langsmith.Client`
    run_ids: LangSmith's ids, or those with our run id for each where they differ (they are the
        same where the run was started with `config={"run_id": …}`)
    key: only feedback of this key, such as `"user_score"`

    What was changed last comes last: of several verdicts from LangSmith on one run that one stands.
    Scores that are no number in [0, 1] and no bool are left out.
    """
    pairs = run_ids.items() if isinstance(run_ids, Mapping) else ((name, name) for name in run_ids)
    ours = {str(theirs): str(name) for theirs, name in pairs}
    if not ours:
        return ()
    keys = {} if key is None else {"feedback_key": [key]}
    found = list[tuple[float, Feedback]]()
    for entry in client.list_feedback(run_ids=list(ours), **keys):
        verdict = verdict_of(entry.score, source="langsmith")
        name = ours.get(str(entry.run_id))
        if verdict.is_known and name is not None:
            made = _moment(entry, "created_at")
            changed = max(made, _moment(entry, "modified_at"))
            found.append((changed, Feedback(run_id=name, verdict=verdict, at_s=made)))
    return tuple(said for _, said in sorted(found, key=lambda each: each[0]))


def _moment(entry: Any, name: str) -> float:
    """Seconds since the epoch, 0 where nothing is said."""
    at = getattr(entry, name, None)
    return at.timestamp() if isinstance(at, datetime) else 0.0
