"""A recorded call: what it takes to ask another model the same, and to write it down and read it.

What a node sends is plain data but for two things: the model object it was sent to, which a later
process finds by its name, and arguments that are classes or functions, which no file can hold. A
call with such an argument is replayed in the process that recorded it and in no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, messages_from_dict, messages_to_dict

from graphroute.runtime.request import Request, read
from graphroute.runtime.tap import Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One call of a node, as it was made.

    key: digest of node, messages and arguments: equal calls have equal keys
    example: key of the input in whose run it was made; visit: which call of the node there, from 0
    own, own_name: the model the graph made it on; stop, kwargs: in that model's words
    is_private: its texts may not be written down
    """

    key: str
    node: str
    example: str
    run_id: str
    visit: int
    own: BaseChatModel = field(repr=False)
    own_name: str
    messages: tuple[BaseMessage, ...] = field(repr=False)
    stop: tuple[str, ...] | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_private: bool = False

    @property
    def request(self) -> Request:
        """What it asks for, in nobody's words."""
        return read(self.own, None if self.stop is None else list(self.stop), self.kwargs)


def recorded(heard: Heard, *, example: str, visit: int) -> RecordedCall:
    """The call that was heard."""
    record = heard.record
    return RecordedCall(
        key=_key(record.node, heard.messages, heard.stop, heard.kwargs),
        node=record.node,
        example=example,
        run_id=record.run_id,
        visit=visit,
        own=heard.own,
        own_name=record.own_model or "",
        messages=tuple(heard.messages),
        stop=None if heard.stop is None else tuple(heard.stop),
        kwargs=heard.kwargs,
        is_private=heard.is_private,
    )


def written(call: RecordedCall) -> dict[str, Any] | None:
    """The call as JSON data; None where it may not or cannot be written down."""
    if call.is_private:
        return None
    data = {
        "key": call.key,
        "node": call.node,
        "example": call.example,
        "run_id": call.run_id,
        "visit": call.visit,
        "own": call.own_name,
        "messages": messages_to_dict(list(call.messages)),
        "stop": None if call.stop is None else list(call.stop),
        "kwargs": dict(call.kwargs),
    }
    try:
        # What does not come back as it went in would be another call.
        same = json.loads(json.dumps(data["kwargs"], allow_nan=False)) == data["kwargs"]
        json.dumps(data["messages"], allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return data if same else None


def read_back(data: Mapping[str, Any], own: BaseChatModel) -> RecordedCall:
    """A written call, on the model object of this process."""
    return RecordedCall(
        key=data["key"],
        node=data["node"],
        example=data["example"],
        run_id=data["run_id"],
        visit=data["visit"],
        own=own,
        own_name=data["own"],
        messages=tuple(messages_from_dict(data["messages"])),
        stop=None if data["stop"] is None else tuple(data["stop"]),
        kwargs=data["kwargs"],
    )


def _key(
    node: str,
    messages: Sequence[BaseMessage],
    stop: Sequence[str] | None,
    kwargs: Mapping[str, Any],
) -> str:
    # Ids name one message of one run; calls that differ in nothing else are the same question.
    said = [
        {**part, "data": {k: v for k, v in part["data"].items() if k != "id"}}
        for part in messages_to_dict(list(messages))
    ]
    asked = {k: kwargs[k] for k in sorted(kwargs)}
    text = json.dumps([node, said, list(stop or ()), asked], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
