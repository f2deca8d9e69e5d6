"""What packing has cost in quality so far: answers compared, and how sure that makes us.

With x losses in n checks, the exact interval of Clopper and Pearson (1934) gives the least and the
most the loss can be, each with 95 % confidence. The figures are looked at after each check and not
once, so a size is refused by chance somewhat more often than one time in twenty.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from graphroute.errors import InvalidValue
from graphroute.ir.whole_file import write_whole

logger = logging.getLogger(__name__)

SIZES: Final = (2, 4, 8, 16, 32)
"""Sizes under which packs are counted, in items."""

_ALPHA: Final = 0.05
"""One less the confidence of each bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What checks of one size have shown: `losses` of `checks`, and `invalid` of `items`."""

    checks: int = 0
    losses: int = 0
    items: int = 0
    invalid: int = 0

    def __add__(self, other: Loss) -> Loss:
        return Loss(
            checks=self.checks + other.checks,
            losses=self.losses + other.losses,
            items=self.items + other.items,
            invalid=self.invalid + other.invalid,
        )

    @property
    def low(self) -> float:
        """The least share of answers that packing makes worse, with 95 % confidence.

        >>> Loss(checks=20, losses=0).low, round(Loss(checks=20, losses=5).low, 3)
        (0.0, 0.104)
        """
        if not self.losses:
            return 0.0
        return _root(lambda p: 1 - _ALPHA - _at_most(self.losses - 1, self.checks, p))

    @property
    def high(self) -> float:
        """The most it can be, with 95 % confidence; 1 where nothing was checked.

        >>> Loss().high, round(Loss(checks=299).high, 4)
        (1.0, 0.01)
        """
        if self.losses >= self.checks:
            return 1.0
        return _root(lambda p: _ALPHA - _at_most(self.losses, self.checks, p))


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _at_most(x: int, n: int, p: float) -> float:
    """Probability of at most `x` in `n` draws of probability `p`, 0 < p < 1."""
    # Each term from the one before it, in logarithms: the first may be too small for a float.
    log_term, total = n * math.log1p(-p), 0.0
    odds = math.log(p) - math.log1p(-p)
    for k in range(x + 1):
        total += math.exp(log_term)
        log_term += math.log((n - k) / (k + 1)) + odds if k < n else 0.0
    return min(1.0, total)


def bucket(size: int) -> int:
    """The size under which a pack of `size` items is counted: the largest of `SIZES` within it."""
    return max(s for s in SIZES if s <= max(size, SIZES[0]))


class PackFigures:
    """What packing has lost so far, by (model, node) and size; safe to share between threads.

    path: a file that keeps them from one process to the next, written at each change; of two
        processes that write, the last one's figures stay. None: nothing is kept

    >>> figures = PackFigures()
    >>> figures.checked(("openai:m", "judge"), 4, is_worse=False)
    >>> PackFigures.from_json(figures.to_json()).of(("openai:m", "judge"))[4].checks
    1
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._known: dict[tuple[str, str], dict[int, Loss]] | None = None if path else {}

    def checked(self, key: tuple[str, str], size: int, *, is_worse: bool) -> None:
        """One answer of a pack of `size` was compared with one asked for alone."""
        self._add(key, size, Loss(checks=1, losses=int(is_worse)))

    def unpacked(self, key: tuple[str, str], size: int, *, invalid: int) -> None:
        """A pack of `size` came back, `invalid` of its answers of no use."""
        self._add(key, size, Loss(items=size, invalid=invalid))

    def _add(self, key: tuple[str, str], size: int, loss: Loss) -> None:
        with self._lock:
            sizes = self._all().setdefault(key, {})
            sizes[bucket(size)] = sizes.get(bucket(size), Loss()) + loss
            self._save()

    def of(self, key: tuple[str, str]) -> Mapping[int, Loss]:
        """What is known of each size."""
        with self._lock:
            return dict(self._all().get(key, {}))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values, sorted."""
        with self._lock:
            return self._rows()

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]]) -> PackFigures:
        """Read them back; raises `InvalidValue` for what is no such list."""
        figures = cls()
        figures._known = _read(rows)
        return figures

    # -- with the lock held

    def _all(self) -> dict[tuple[str, str], dict[int, Loss]]:
        # Read when first needed: optimizing a graph opens no file.
        if self._known is None:
            self._known = {}
            try:
                if self._path is not None and self._path.exists():
                    self._known = _read(json.loads(self._path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as fault:
                logger.warning("what packing loses is measured anew: %s", fault)
        return self._known

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"model": model, "node": node, "size": size, **asdict(loss)}
            for (model, node), sizes in sorted(self._all().items())
            for size, loss in sorted(sizes.items())
        ]

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(self._rows()).encode(), is_private=True)
        except OSError as fault:
            logger.warning("what packing loses is not kept: %s", fault)
            self._path = None


def _read(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[int, Loss]]:
    known: dict[tuple[str, str], dict[int, Loss]] = {}
    try:
        for row in rows:
            loss = Loss(**{name: int(row[name]) for name in Loss.__slots__})
            counts = (loss.losses, loss.checks - loss.losses, loss.invalid, loss.items)
            if min(counts) < 0 or int(row["size"]) not in SIZES:
                raise ValueError(f"{row}")
            known.setdefault((str(row["model"]), str(row["node"])), {})[int(row["size"])] = loss
    except (KeyError, TypeError, ValueError) as fault:
        raise InvalidValue(
            f"pack figures: {type(fault).__name__}: {fault}",
            next_step="measure again: leave them out",
        ) from None
    return known
