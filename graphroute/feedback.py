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

    Scores that are no number in [0, 1] and no bool are left out.
    """
    pairs = run_ids.items() if isinstance(run_ids, Mapping) else ((name, name) for name in run_ids)
    ours = {str(theirs): str(name) for theirs, name in pairs}
    if not ours:
        return ()
    keys = {} if key is None else {"feedback_key": [key]}
    found = []
    for entry in client.list_feedback(run_ids=list(ours), **keys):
        verdict = verdict_of(entry.score, source="langsmith")
        name = ours.get(str(entry.run_id))
        if verdict.is_known and name is not None:
            made = getattr(entry, "created_at", None)
            found.append(
                Feedback(
                    run_id=name,
                    verdict=verdict,
                    at_s=made.timestamp() if isinstance(made, datetime) else 0.0,
                )
            )
    return tuple(found)
