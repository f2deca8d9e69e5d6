"""Pause a run at its limit and go on later, paying for nothing twice.

LangGraph runs a node that was interrupted again from its start. So that its earlier model calls
are not paid again, the answers of a run are kept in memory, by task, and given again:

```
first attempt    call A → answered, kept     call B → no money: interrupt()   (the run is paused)
resumed          call A → given again        call B → interrupt() gives the new limit → called
```

LangGraph matches resume values to a task's interrupts by counting them. A call that asked before
therefore asks as often again, also when there is money by now, so that an `interrupt()` of the
node's own that follows gets its own value.

An answer belongs to a call if both are of the same task and node, and their messages and arguments
have the same hash; equal calls are answered in the order in which they were.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import ConfigDict, Field, Strict, TypeAdapter
from typing_extensions import TypedDict

from graphroute.ir.hints import Budget
from graphroute.runtime.ledger import Ledger

MAX_RUNS: Final = 256
"""Runs whose answers are kept in memory although nothing paused them here, per optimized graph.

A node may still pause such a run by an `interrupt()` of its own, so the latest ones are kept; a run
that the budget paused is kept until it goes on or its thread starts another.
"""

MAX_PAUSED: Final = 4096
"""Runs that are kept because the budget has paused them; nobody may ever come back for some."""

Replies = tuple[tuple[AIMessage, ...], ...]
"""Answers of one call, by prompt: a list of prompts (`generate`) has several."""

Usd = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]


class NewLimit(TypedDict):
    """The long form of what a paused run is resumed with."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    budget: Usd


Answer = Usd | NewLimit
"""What a paused run is resumed with: its new limit in USD, for the whole run."""

_ANSWER: TypeAdapter[float | NewLimit] = TypeAdapter(Answer)

Ask = Callable[[Mapping[str, object]], Any]
"""LangGraph's `interrupt()`: raises at the first time, gives the resume value when run again."""


def limit_nano(answer: object) -> int:
    """The new limit in nano-dollars; a pydantic `ValidationError` for anything else.

    >>> limit_nano(0.05), limit_nano({"budget": 1})
    (50000000, 1000000000)
    """
    value = _ANSWER.validate_python(answer)
    usd = value["budget"] if isinstance(value, dict) else value
    return Budget(per_run_usd=usd).per_run_nano or 0


def fingerprint(
    model: str, messages: Sequence[BaseMessage], stop: object, kwargs: Mapping[str, Any]
) -> str:
    """Hash of what is asked. Message ids are left out: LangGraph may give them anew."""
    said = [
        [m.type, m.content, m.name, m.additional_kwargs, getattr(m, "tool_calls", None)]
        for m in messages
    ]
    text = json.dumps([model, said, stop, kwargs], default=_plain, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: object) -> str:
    text = repr(value)
    # An address differs between two equal objects made one after the other.
    return f"{type(value).__module__}.{type(value).__qualname__}" if " at 0x" in text else text


@dataclass(slots=True, eq=False)
class Call:
    """A call of a task: what it asked, how often it had to ask for money, and its answer."""

    key: tuple[str, ...]
    asked: int = 0
    replies: Replies | None = None


@dataclass(slots=True, eq=False)
class Task:
    """Calls of one task: those of earlier attempts, and those of this one.

    pausing: what this attempt was interrupted with; calls beside it end the same way
    step: superstep of the task in the outermost graph, None where a subgraph hides it
    """

    step: int | None
    earlier: list[Call] = field(default_factory=list)
    made: list[Call] = field(default_factory=list)
    pausing: BaseException | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def call(self, key: tuple[str, ...]) -> Call:
        """The call as an earlier attempt left it, or a new one."""
        with self.lock:
            for index, known in enumerate(self.earlier):
                if known.key == key:
                    self.made.append(self.earlier.pop(index))
                    return known
            call = Call(key)
            self.made.append(call)
            return call

    def take_over(self, call: Call) -> int:
        """Let `call` redo what another call of an earlier attempt asked; how often.

        Calls made side by side come in any order: whichever first needs money asks for it.
        """
        for known in self.earlier:
            if known.replies is None and known.asked:
                count, known.asked = known.asked, 0
                call.asked += count
                return count
        return 0

    def again(self) -> None:
        """Begin another attempt."""
        self.earlier = self.made + self.earlier
        self.made, self.pausing = [], None

    def forget(self) -> None:
        """Begin anew, without answers."""
        self.earlier, self.made, self.pausing = [], [], None


@dataclass(slots=True, kw_only=True, eq=False)
class RunState:
    """What a run that may be paused keeps from one attempt to the next.

    run: its handle, with all else that a run keeps
    """

    key: tuple[str, str]
    ledger: Ledger
    run: Any = None
    is_paused: bool = False
    _tasks: dict[str, Task] = field(default_factory=dict)
    _step: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def task(self, task_id: str, *, step: int | None) -> Task:
        """The log of a task; a later superstep of the outermost graph drops those before it."""
        with self._lock:
            if step is not None and step > self._step:
                self._step = step
                done = [t for t, log in self._tasks.items() if -1 < _step(log) < step]
                for name in done:
                    del self._tasks[name]
            return self._tasks.setdefault(task_id, Task(step))

    def again(self, *, replays: bool) -> None:
        """Begin another attempt at where the run stopped."""
        with self._lock:
            self.is_paused = False
            for task in self._tasks.values():
                if replays:
                    task.again()
                else:
                    task.forget()


def _step(task: Task) -> int:
    return -1 if task.step is None else task.step


class Pauses:
    """States of the runs of one optimized graph, by thread and checkpoint namespace."""

    def __init__(self, max_runs: int = MAX_RUNS, max_paused: int = MAX_PAUSED) -> None:
        self._max_runs, self._max_paused = max_runs, max_paused
        self._states: OrderedDict[tuple[str, str], RunState] = OrderedDict()
        self._lock = threading.Lock()

    def resumed(self, key: tuple[str, str], *, resumes: bool, retries: bool) -> RunState | None:
        """The state of a run that goes on; None where another begins.

        resumes: with a resume value, so that interrupted nodes run again and are given their
            answers again
        retries: without one (after a breakpoint or an error): the ledger goes on, but calls are
            made anew, as a failed node is run again to get another answer, unless it was the
            budget that stopped the run
        """
        with self._lock:
            state = self._states.get(key)
            if state is None or not (resumes or retries):
                return None
            state.again(replays=resumes or state.is_paused)
            self._states.move_to_end(key)
            return state

    def add(self, state: RunState) -> None:
        """Take up a new run, in place of an earlier one of its thread."""
        with self._lock:
            self._states[state.key] = state
            self._states.move_to_end(state.key)
            self._drop_oldest(is_paused=False, most=self._max_runs)

    def keep(self, state: RunState) -> None:
        """Keep a run that was paused until it goes on."""
        with self._lock:
            state.is_paused = True
            self._states[state.key] = state
            self._drop_oldest(is_paused=True, most=self._max_paused)

    def _drop_oldest(self, *, is_paused: bool, most: int) -> None:
        if len(self._states) <= most:
            return
        names = [name for name, state in self._states.items() if state.is_paused == is_paused]
        for name in names[: max(0, len(names) - most)]:
            del self._states[name]
