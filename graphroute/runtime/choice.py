"""What a call is told to do next: call this model, or first do something for several calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel

from graphroute.ir.catalog import ModelSpec
from graphroute.runtime.ledger import Reservation
from graphroute.runtime.place import Errand


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model to call now. `chat` None: open it with `policy.open(spec.name)` first.

    why: `"plan"`, or why it is not the planned model
    reservation: put aside for the call; of 0 for one that is not made
    cap_tokens: limit on the answer that makes the reservation hold, None where none is needed
    is_replay: `chat` gives an answer again that an earlier attempt has paid for
    recalled: where the cache had the answer that `chat` gives again, `""` where it had none
    price_share: what the call costs, as a share of the model's price
    """

    spec: ModelSpec
    chat: BaseChatModel | None
    why: str
    reservation: Reservation
    cap_tokens: int | None
    is_replay: bool = False
    recalled: str = ""
    price_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to do before choosing again: one call for several, or a step of a batch.

    chosen: the model of this call and of the errand; one of `errand` and `work` is there
    """

    chosen: Choice
    errand: Errand | None = None
    work: Callable[[], None] | None = None
