"""The streams of figures of a graph, each with a detector: records go in, alarms come out.

| of each node × model | of the prompts of each node |
|---|---|
| quality of judged answers | length of the prompt (logarithm) |
| cost, latency, tokens of the answer (logarithms) | difficulty, where it was scored |
| the version that the provider says has answered | how unlike the first prompts (logarithm) |

The streams of figures above 0 are logarithms, because what is usual there is a factor. A detector
begins anew after its alarm, so a change is told once. A version is a name and no figure: that
another answers is told by `_versions`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from graphroute.ir.features import unpacked
from graphroute.ir.hints import NANO
from graphroute.ir.learning import Alarm, Figure, Shift
from graphroute.ir.record import CallRecord
from graphroute.learners._kinds import Kind
from graphroute.learners._versions import Replaced, Versions
from graphroute.protocols import DriftDetector

MOST_STREAMS: Final = 4096
"""Node × model × figure that are watched; further ones are not."""

LOGS: Final = frozenset({"cost", "latency", "out_tokens", "prompt_length", "prompt_kind"})

_LEAST_UNLIKE: Final = 0.05
"""Added to how unlike a prompt is, before the logarithm: equal prompts differ by nothing."""


class Watch:
    """All streams of one graph; may be called from any thread.

    share, amount: make the detector of a figure in [0, 1], and of the logarithm of one above 0
    """

    def __init__(
        self, *, share: Callable[[], DriftDetector], amount: Callable[[], DriftDetector]
    ) -> None:
        self._share, self._amount = share, amount
        self._streams: dict[tuple[str, str, Figure], DriftDetector] = {}
        self._versions: dict[tuple[str, str], Versions] = {}
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._lock = threading.Lock()

    def note(self, record: CallRecord) -> tuple[Alarm, ...]:
        """Take the figures of a finished call; what they give away, if anything."""
        found = []
        with self._lock:
            for model, figure, value in figures_of(record):
                if (shift := self._update(record.node, model, figure, value)) is not None:
                    found.append(_alarm(record, model, figure, shift))
            found += self._kind(record)
            if (replaced := self._version(record)) is not None:
                found.append(_replaced(record, replaced))
        return tuple(found)

    def remember(self, records: Iterable[CallRecord]) -> None:
        """Take which versions answered in earlier runs, so that a change since then is seen."""
        with self._lock:
            for record in records:
                self._version(record)

    def judged(self, node: str, model: str, score: float) -> tuple[Alarm, ...]:
        """Take a score in [0, 1] that a person gave one answer."""
        with self._lock:
            shift = self._update(node, model, "quality", score)
        if shift is None:
            return ()
        return (
            Alarm(
                node=node,
                model=model,
                figure="quality",
                before=shift.before,
                after=shift.after,
                since=shift.since,
            ),
        )

    def _version(self, record: CallRecord) -> Replaced | None:
        if record.error is not None or record.cache is not None or not record.served:
            return None
        if record.is_check:
            return None
        key = (record.node, record.model)
        if (versions := self._versions.get(key)) is None:
            if len(self._versions) >= MOST_STREAMS:
                return None
            versions = self._versions[key] = Versions()
        return versions.update(record.served)

    def _kind(self, record: CallRecord) -> Iterator[Alarm]:
        features = unpacked(record.features) if record.error is None else None
        if features is None:
            return
        key = (record.node, features.tag)  # other counts say nothing of these
        if (kind := self._kinds.get(key)) is None:
            if len(self._kinds) >= MOST_STREAMS:
                return
            kind = self._kinds[key] = Kind()
        if (unlike := kind.unlike(features.traits)) is None:
            return
        value = math.log(unlike + _LEAST_UNLIKE)
        if (shift := self._update(record.node, "", "prompt_kind", value)) is not None:
            kind.begin()
            yield _alarm(record, "", "prompt_kind", shift)

    def _update(self, node: str, model: str, figure: Figure, value: float) -> Shift | None:
        key = (node, model, figure)
        if (detector := self._streams.get(key)) is None:
            if len(self._streams) >= MOST_STREAMS:
                return None
            build = self._amount if figure in LOGS else self._share
            detector = self._streams[key] = build()
        return detector.update(value)


def figures_of(record: CallRecord) -> Iterator[tuple[str, Figure, float]]:
    """(model or `""`, figure, value) of a call, as the detectors take it; none of a check's."""
    if record.error is not None or record.is_check:
        return
    if record.prompt_chars > 0:
        yield "", "prompt_length", math.log(record.prompt_chars)
    if (difficulty := _difficulty(record)) is not None:
        yield "", "difficulty", difficulty
    if record.cache is not None or not record.model:
        return
    if record.quality is not None and not record.is_again:
        yield record.model, "quality", record.quality
    if record.cost_nano > 0:
        yield record.model, "cost", math.log(record.cost_nano / NANO)
    if record.took_s > 0:
        yield record.model, "latency", math.log(record.took_s)
    if record.out_tokens > 0 and record.cap_tokens is None:
        yield record.model, "out_tokens", math.log(record.out_tokens)


def _difficulty(record: CallRecord) -> float | None:
    """As the unchanged scorer saw it where that is known: a retrained one may see it otherwise."""
    features = unpacked(record.features)
    return record.difficulty if features is None else features.difficulty


def _replaced(record: CallRecord, found: Replaced) -> Alarm:
    return Alarm(
        node=record.node,
        model=record.model,
        figure="version",
        before=0.0,
        after=found.share,
        since=found.since,
        run_id=record.run_id,
        at_s=record.started_s + record.took_s,
        was=found.was,
        now=found.now,
    )


def _alarm(record: CallRecord, model: str, figure: Figure, shift: Shift) -> Alarm:
    def shown(value: float) -> float:
        return math.exp(value) if figure in LOGS else value

    return Alarm(
        node=record.node,
        model=model,
        figure=figure,
        before=shown(shift.before),
        after=shown(shift.after),
        since=shift.since,
        run_id=record.run_id,
        at_s=record.started_s + record.took_s,
    )
