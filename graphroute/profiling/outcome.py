"""What a model made of a call, and how a run ended: the raw material of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from graphroute.ir.record import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOutcome:
    """One model's answer to one recorded call.

    call: key of the call; record: cost, time, tokens and the verdict, as of any other call
    is_first: the first call of the model in its session, which may have loaded it: its time does
        not count
    """

    call: str
    record: CallRecord
    is_first: bool = False

    @property
    def node(self) -> str:
        """The node's path."""
        return self.record.node

    @property
    def model(self) -> str:
        """Who answered, or failed to."""
        return self.record.model

    @property
    def quality(self) -> float | None:
        """Score in [0, 1]; None where nobody could tell, or there is no answer."""
        return None if self.record.error else self.record.quality


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A run of the whole graph on one input.

    score: of its end, in [0, 1]; None where nothing tells, or there is no end
    error: what ended it early; is_whole: all its calls could be written down
    """

    example: str
    score: float | None = None
    error: str | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A run in which one node had another model; score as of `RunOutcome`."""

    node: str
    model: str
    example: str
    score: float | None


def data_of(value: NodeOutcome | RunOutcome | Trial) -> dict[str, Any]:
    """JSON data of any of them.

    >>> restored(Trial, data_of(Trial(node="n", model="m", example="e", score=0.5))).score
    0.5
    """
    return asdict(value)


def restored(kind: type[Any], data: Mapping[str, Any]) -> Any:
    """The value of JSON data; pydantic's `ValidationError` for what is none."""
    adapter = _adapters.get(kind)
    if adapter is None:
        adapter = _adapters[kind] = TypeAdapter(kind)
    return adapter.validate_python(data)


_adapters: dict[type[Any], TypeAdapter[Any]] = {}
