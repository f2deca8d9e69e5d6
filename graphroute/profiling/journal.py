"""What a profile has found so far, in memory and, where asked for, in a file to go on from.

One JSON value a line, written as soon as it is known: a process that is killed loses the calls that
were under way. The file holds the prompts of the graph's nodes (it could not go on without them),
though never those of private nodes; it is readable by its owner only.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from graphroute.errors import InvalidValue
from graphroute.profiling.calls import RecordedCall, read_back, written
from graphroute.profiling.outcome import NodeOutcome, RunOutcome, Trial, data_of, restored

SCHEMA: Final = "graphroute.profiling/1"

FindModel = Callable[[str], BaseChatModel | None]
"""The graph's own model of a name, None where this process has none."""


class Journal:
    """Runs, calls, outcomes and trials; each is kept once, the first time it is added.

    spent_nano: what all of it has cost, in all sessions
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.runs: dict[str, RunOutcome] = {}
        self.calls: dict[str, RecordedCall] = {}
        self.outcomes: dict[tuple[str, str], NodeOutcome] = {}
        self.trials: dict[tuple[str, str, str], Trial] = {}
        self.spent_nano = 0
        self.lost_calls = 0
        self._lock = threading.Lock()

    def add_run(
        self,
        run: RunOutcome,
        calls: Iterable[RecordedCall],
        outcomes: Iterable[NodeOutcome],
        *,
        spent_nano: int,
    ) -> None:
        """Keep a run with its calls, all or nothing."""
        listed = [call for call in calls if call.key not in self.calls]
        kept = [data for call in listed if (data := written(call)) is not None]
        if len(kept) < len(listed):
            run = RunOutcome(example=run.example, score=run.score, error=run.error, is_whole=False)
        self.calls |= {call.key: call for call in listed}
        new = [o for o in outcomes if (o.call, o.model) not in self.outcomes]
        self.outcomes |= {(o.call, o.model): o for o in new}
        self.runs[run.example] = run
        lines = [
            *({"call": data} for data in kept),
            *({"outcome": data_of(each)} for each in new),
            {"run": data_of(run)},
        ]
        self._write(lines, spent_nano)

    def add_outcome(self, outcome: NodeOutcome, *, spent_nano: int) -> None:
        """Keep an answer."""
        self.outcomes.setdefault((outcome.call, outcome.model), outcome)
        self._write([{"outcome": data_of(outcome)}], spent_nano)

    def add_trial(self, trial: Trial, *, spent_nano: int) -> None:
        """Keep a run with another model at one node."""
        self.trials[trial.node, trial.model, trial.example] = trial
        self._write([{"trial": data_of(trial)}], spent_nano)

    def add_spending(self, *, spent_nano: int) -> None:
        """Keep what was spent on something that came to nothing."""
        self._write([], spent_nano)

    def _write(self, lines: list[dict[str, Any]], spent_nano: int) -> None:
        with self._lock:
            self.spent_nano = max(self.spent_nano, spent_nano)
            if self.path is None:
                return
            values = [*lines, {"spent_nano": self.spent_nano}]
            text = "".join(json.dumps(value, ensure_ascii=True) + "\n" for value in values)
            with _appending(self.path) as file:
                file.write(text)

    def begin(self, header: Mapping[str, Any], find: FindModel) -> None:
        """Read what earlier sessions left, or begin the file.

        `InvalidValue` where it is another graph's, or no file of this kind.
        """
        if self.path is None:
            return
        stated = {"schema": SCHEMA, **header}
        lines = self._lines()
        if not lines:
            with _appending(self.path) as file:
                file.write(json.dumps(stated) + "\n")
            return
        if lines[0] != stated:
            known = lines[0] if isinstance(lines[0], dict) else {}
            what = "another graph" if known.get("schema") == SCHEMA else "no profiling"
            raise InvalidValue(
                f"{str(self.path)!r} is the state of {what}",
                value=str(self.path),
                next_step="give --state another file, or delete this one",
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                self._take(line, find)
            except (KeyError, TypeError, AttributeError, ValueError, ValidationError) as fault:
                raise InvalidValue(
                    f"line {number} of {str(self.path)!r} cannot be read ({type(fault).__name__})",
                    value=str(self.path),
                    next_step="delete that line, or the file",
                ) from None

    def _take(self, line: Any, find: FindModel) -> None:
        match line:
            case {"call": data}:
                if (own := find(data["own"])) is None:
                    self.lost_calls += 1
                else:
                    self.calls[data["key"]] = read_back(data, own)
            case {"outcome": data}:
                outcome: NodeOutcome = restored(NodeOutcome, data)
                self.outcomes[outcome.call, outcome.model] = outcome
            case {"run": data}:
                run: RunOutcome = restored(RunOutcome, data)
                self.runs[run.example] = run
            case {"trial": data}:
                trial: Trial = restored(Trial, data)
                self.trials[trial.node, trial.model, trial.example] = trial
            case {"spent_nano": int(spent)}:
                self.spent_nano = max(self.spent_nano, spent)
            case _:
                raise ValueError(line)

    def _lines(self) -> list[Any]:
        """All whole lines; the last one of a process that was killed may be torn and is cut off."""
        assert self.path is not None
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise _unusable(self.path, fault) from None
        whole, _, torn = raw.rpartition(b"\n")
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(raw) - len(torn))
        found: list[Any] = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                found.append(json.loads(line))
            except ValueError:
                raise InvalidValue(
                    f"line {number} of {str(self.path)!r} is no JSON",
                    value=str(self.path),
                    next_step="give --state another file, or delete this one",
                ) from None
        return found


def _appending(path: Path) -> Any:
    """The file, for its owner only, open at its end."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as fault:
        raise _unusable(path, fault) from None
    return os.fdopen(handle, "w", encoding="utf-8", newline="\n")


def _unusable(path: Path, fault: OSError) -> InvalidValue:
    return InvalidValue(
        f"cannot use {str(path)!r} as the state ({fault.strerror or fault})",
        value=str(path),
        next_step="give --state a file in a folder that exists and may be written",
    )
