"""How many items share one prompt: the cheapest number that is known not to lose quality.

For k items with a task of `s` tokens and items of `i` tokens, each answered in `o` tokens, a call
alone reads `s + i` and writes `o`; a pack reads `(s + w) / k + i + aᵢ` for each item and writes
`o + aₒ`, with `w` for what is said about packing and `a` for number and quotes. An item that does
not come back valid is asked alone as well. The sizes tried are powers of two, as far as context and
answer limit of the model reach.

**Quality.** Some items of a pack are asked alone too, and the two answers compared: an answer that
is worse (by the node's own check, else simply another) is a loss (`pack_loss`). Whoever loses
nothing at k items loses nothing at fewer, so checks at larger sizes count for smaller ones, and
losses at smaller sizes for larger ones.

- A size is **proven** where the most the loss can be is at most `max_loss` (one point): 299 checks
  without any loss are enough.
- It is **refused** where the least the loss can be is more than that, after `MIN_CHECKS` checks;
  then no other size is tried that is not proven.
- In between it is used only where the author says `@route(batch="pack")`: small at first, twice as
  many after each `STEP` checks that went well. Until then all items are asked alone too, and
  that answer is taken: finding out costs tokens, not quality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from graphroute.runtime.pack_loss import SIZES, Loss, bucket

FIRST: Final = 4
"""Size that measuring starts with."""

STEP: Final = 20
"""Checks at one size before the next is tried."""

MIN_CHECKS: Final = 10
"""Checks before a size is refused: two answers may differ once by chance."""

WRAP_TOKENS: Final = 70
"""What a pack says about itself, in tokens."""

ITEM_TOKENS: Final = 6
ANSWER_TOKENS: Final = 7
"""What number, quotes and comma add to an item and to its answer."""

MIN_SAVING: Final = 0.1
"""Share of a call's cost that must be saved for packing to be worth its risk."""

_VALID_AT_FIRST: Final = 16
"""Items that are taken to have come back valid before any did."""

_FREE: Final = (1.0, 4.0)
"""What a prompt token and an answer token weigh where both are free: they still take time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Calls that could be packed; sizes in tokens, prices per million tokens.

    shared_tokens: the task; item_tokens, out_tokens: one item and its answer, on the average
    waiting: how many there are; context_tokens, max_output_tokens: the model's, None if unknown
    out_cap: the most one answer may have, None if nothing says so
    """

    shared_tokens: float
    item_tokens: float
    out_tokens: float
    waiting: int
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    out_cap: int | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    def cost(self, size: int, *, invalid: float = 0.0) -> float:
        """Cost of one item in packs of `size`; for 1, of a call alone. In no unit.

        invalid: share of items that are asked alone after all
        """
        p_in, p_out = (self.price_in, self.price_out)
        if not (p_in or p_out):
            p_in, p_out = _FREE
        alone = p_in * (self.shared_tokens + self.item_tokens) + p_out * self.out_tokens
        if size == 1:
            return alone
        read = (self.shared_tokens + WRAP_TOKENS) / size + self.item_tokens + ITEM_TOKENS
        return p_in * read + p_out * (self.out_tokens + ANSWER_TOKENS) + invalid * alone

    def fits(self, size: int) -> bool:
        """Whether prompt and answers of a pack are within the model's limits."""
        answers = size * ((self.out_cap or self.out_tokens) + ANSWER_TOKENS)
        prompt = self.shared_tokens + WRAP_TOKENS + size * (self.item_tokens + ITEM_TOKENS)
        if self.max_output_tokens is not None and answers > self.max_output_tokens:
            return False
        return self.context_tokens is None or prompt + answers <= self.context_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSize:
    """How many items share a prompt (1: none do), and why, in one sentence."""

    size: int
    reason: str


def pack_size(
    need: Need,
    figures: Mapping[int, Loss],
    *,
    is_asked: bool = False,
    max_loss: float = 0.01,
) -> PackSize:
    """The size to use now.

    figures: what is known of each size on this model and node
    is_asked: the node's author said `batch="pack"`
    max_loss: largest share of answers that may be worse, in [0, 1]

    >>> need = Need(shared_tokens=100, item_tokens=20, out_tokens=2, waiting=64)
    >>> pack_size(need, {}).reason
    'what packing loses on this model and node is not known'
    >>> pack_size(need, {}, is_asked=True).size
    4
    >>> pack_size(need, {8: Loss(checks=300)}).size
    8
    >>> print(pack_size(need, {4: Loss(checks=40, losses=10)}, is_asked=True).reason)
    of 40 answers checked 10 were worse in packs of up to 4: at least 14.2 % (1.0 % are allowed)
    """
    best = PackSize(size=1, reason="what packing loses on this model and node is not known")
    least = need.cost(1) * (1 - MIN_SAVING)
    if need.waiting < 2:
        return PackSize(size=1, reason="nothing else waits")
    # Where four at once were too many, two might do, but finding out would cost as much again.
    lossy = [s for s, seen in figures.items() if _is_refused(seen, max_loss)]
    may_try = is_asked and not lossy
    if lossy:
        worst = min(lossy)
        best = PackSize(size=1, reason=_lossy(figures[worst], worst, max_loss))
    for size in SIZES:
        if not need.fits(size):
            return best if best.size > 1 else PackSize(size=1, reason=_too_long(need, size))
        below = _sum(figures, lambda s, size=size: s <= size)  # type: ignore[misc]
        if _is_refused(below, max_loss):
            return best if best.size > 1 else PackSize(size=1, reason=_lossy(below, size, max_loss))
        own = figures.get(size, Loss())
        above = _sum(figures, lambda s, size=size: s >= size)  # type: ignore[misc]
        high = min(own.high, above.high)
        if high > max_loss and not (may_try and _is_next(size, figures, max_loss)):
            continue
        # One pack that came to nothing may have been an accident; so some count as valid at first.
        invalid = own.invalid / (own.items + _VALID_AT_FIRST)
        cost = need.cost(min(size, need.waiting), invalid=invalid)
        if cost < least:
            why = f"at most {high:.1%} worse" if high <= max_loss else "as its author asks"
            best, least = PackSize(size=size, reason=f"packs of {size}: {why}"), cost
    if best.size == 1 and need.cost(SIZES[-1]) >= need.cost(1) * (1 - MIN_SAVING):
        return PackSize(size=1, reason="the task is too short for packing to save anything")
    return best


def _is_refused(seen: Loss, max_loss: float) -> bool:
    return seen.checks >= MIN_CHECKS and seen.low > max_loss


def _is_next(size: int, figures: Mapping[int, Loss], max_loss: float) -> bool:
    """Whether an author's word reaches so far: the first sizes, then one step beyond what held."""
    if size <= FIRST:
        return True
    before = _sum(figures, lambda s: s >= size // 2)
    return before.checks >= STEP and before.losses <= max_loss * before.checks


def _sum(figures: Mapping[int, Loss], wanted: Callable[[int], bool]) -> Loss:
    total = Loss()
    for size, loss in figures.items():
        if wanted(size):
            total += loss
    return total


def _too_long(need: Need, size: int) -> str:
    room = need.context_tokens if need.context_tokens is not None else need.max_output_tokens
    return f"{size} items do not fit into {room} tokens"


def _lossy(loss: Loss, size: int, max_loss: float) -> str:
    return (
        f"of {loss.checks} answers checked {loss.losses} were worse in packs of up to {size}: at "
        f"least {100 * loss.low:.1f} % ({100 * max_loss:.1f} % are allowed)"
    )


def check_share(figures: Mapping[int, Loss], size: int, *, max_loss: float = 0.01) -> float:
    """Share of a pack's items that are asked alone too, in [0, 1]: all while little is known.

    >>> check_share({}, 4), check_share({4: Loss(checks=50)}, 5), check_share(
    ...     {4: Loss(checks=300)}, 4)
    (1.0, 0.1, 0.02)
    """
    known = _sum(figures, lambda s: s >= bucket(size))
    if known.high <= max_loss:
        return 0.02  # a model may change behind its name
    # Where more was lost than may be, no packed answer is used before that has turned out better.
    went_well = known.checks >= STEP and known.losses <= max_loss * known.checks
    return 0.1 if went_well else 1.0
