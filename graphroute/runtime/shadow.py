"""Shadow mode: a free local model is asked the same as well; its answer is only judged.

```
call ─► planned model ─► answer ─► the graph goes on
          └─ then, beside the run ─► local model ─► the node's check ─► a judged answer more
```

One call at a time, on a thread of its own; what comes while that one is busy is not asked, so the
machine is never given more than one call too many, and no run waits. Nothing is recorded, billed or
shown, so a check that would have to pay a model says nothing here. Only nodes with a check that are
neither pinned nor private.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime import dialect, verifying
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.policy import Policy
from graphroute.runtime.request import read
from graphroute.runtime.run_handle import RunHandle
from graphroute.runtime.tap import Heard

logger = logging.getLogger(__name__)

Learn = Callable[[str, str, float], None]
"""learn(node, model, score): an answer was judged, score in [0, 1]."""


class Shadow:
    """Listens to the calls of one optimized graph (`Policy.tap`); may be called from any thread.

    answers: how many answers of a model at a node have been judged, so that the least known of the
        local models is asked
    """

    def __init__(
        self, policy: Policy, *, learn: Learn, answers: Callable[[str, str], float]
    ) -> None:
        self._policy, self._learn, self._answers = policy, learn, answers
        self._busy = threading.Lock()

    def __call__(self, heard: Heard) -> None:
        """Take an answered call, and ask another model the same unless one is being asked."""
        spec = self._another(heard)
        if spec is None or not self._busy.acquire(blocking=False):
            return
        try:
            threading.Thread(
                target=self._ask, args=(heard, spec), name="graphroute-shadow", daemon=True
            ).start()
        except BaseException:
            self._busy.release()
            raise

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Wait until nothing is being asked; whether that came about in time."""
        if not self._busy.acquire(timeout=timeout_s):
            return False
        self._busy.release()
        return True

    def _another(self, heard: Heard) -> ModelSpec | None:
        """The local model that is known least at the call's node; None where none may be asked."""
        policy, record = self._policy, heard.record
        hints = policy.hints_for(record.node)
        if hints.verify is None or hints.pin is not None or heard.is_private or record.cache:
            return None
        free = [
            spec
            for spec in policy.catalog
            if spec.local
            and spec.name != record.model
            and (hints.models is None or spec.name in hints.models)
            and not policy.outages.is_down(spec.name)
        ]
        return min(free, key=lambda s: (self._answers(record.node, s.name), s.name), default=None)

    def _ask(self, heard: Heard, spec: ModelSpec) -> None:
        try:
            chat = self._policy.chats.get(spec.name) or self._policy.open(spec.name)
            reply = _answer(heard, chat, spec)
            check = self._policy.hints_for(heard.record.node).verify
            if check is not None:
                with verifying.within(_without_money(self._policy, heard.record.node)):
                    verdict = verifying.verdict(check, heard.messages, reply)
                if verdict.quality is not None:
                    self._learn(heard.record.node, spec.name, verdict.quality)
        except Exception as fault:  # a model that cannot answer is no fault of the graph
            logger.info("shadow call of %s: %s: %s", spec.name, type(fault).__name__, fault)
        finally:
            self._busy.release()


def _without_money(policy: Policy, node: str) -> RunHandle:
    """What a check here may ask models by: nothing that costs, and nothing that is recorded."""
    unrecorded = replace(policy, sink=None, tap=None, _records=deque(maxlen=0))
    run = RunHandle(
        policy=unrecorded, ledger=Ledger(limit_nano=0), course=Course(policy.plan), run_id=""
    )
    return run.for_check(node=node, step=None, thread="", must_stay=False)


def _answer(heard: Heard, chat: BaseChatModel, spec: ModelSpec) -> AIMessage:
    stop = None if heard.stop is None else list(heard.stop)
    request = read(heard.own, stop, heard.kwargs)
    written = dialect.write(request, own=heard.own, target=chat, limit=spec.max_output_tokens)
    # A new thread has no config, so this call is neither routed nor streamed nor traced.
    reply = chat.invoke(list(heard.messages), stop=written.stop, **written.kwargs)
    return reply if written.restore is None else written.restore(reply)
