"""Several checks as one.

What a check cannot tell is left open and not guessed: `all_of` with an open part fails if another
part fails and is open otherwise, `any_of` passes if another part passes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphroute.errors import InvalidValue
from graphroute.ir.verdict import (
    Chance,
    Check,
    Verdict,
    calibrated,
    sampling_of,
    unknown,
    verdict_of,
    wants_probabilities,
)


@dataclass(frozen=True, slots=True)
class Combined:
    """Checks that run one after the other, the cheap ones first as they are written.

    wants_all: the first that fails decides; otherwise the first that passes
    """

    checks: tuple[Check, ...]
    wants_all: bool

    def __post_init__(self) -> None:
        if not self.checks or not all(map(callable, self.checks)):
            raise InvalidValue(
                "a combination of checks needs functions of (messages, reply)",
                next_step="give at least one check",
            )
        if any(map(sampling_of, self.checks)):
            raise InvalidValue(
                "a check that compares several answers cannot be combined with checks of one",
                next_step="use agreement(…) alone; a key= that gives None refuses an answer",
            )

    @property
    def is_quick(self) -> bool:
        """Whether all of them are."""
        return all(getattr(check, "is_quick", False) for check in self.checks)

    @property
    def wants_probabilities(self) -> bool:
        """Whether one of them does."""
        return any(map(wants_probabilities, self.checks))

    def calibrated(self, chance: Chance) -> Combined:
        """Each of them with what earlier runs say of its scores."""
        return replace(self, checks=tuple(calibrated(check, chance) for check in self.checks))

    def __call__(self, messages: Sequence[Any], reply: Any) -> Any:
        """The joint verdict, or an awaitable of it where one of the checks needs awaiting."""
        said: list[Verdict] = []
        for number, check in enumerate(self.checks):
            result = _asked(check, messages, reply)
            if inspect.isawaitable(result):
                return self._rest(said, result, self.checks[number + 1 :], messages, reply)
            said.append(verdict_of(result))
            if self._decides(said[-1]):
                break
        return self._joint(said)

    async def averify(self, messages: Sequence[Any], reply: Any) -> Verdict:
        """The same, each check by its async form where it has one."""
        return await self._rest([], None, self.checks, messages, reply)

    async def _rest(
        self,
        said: list[Verdict],
        pending: Any,
        left: Sequence[Check],
        messages: Sequence[Any],
        reply: Any,
    ) -> Verdict:
        if pending is not None:
            said.append(await _awaited(pending))
        for check in left:
            if said and self._decides(said[-1]):
                break
            said.append(await _awaited(_asked(getattr(check, "averify", check), messages, reply)))
        return self._joint(said)

    def _decides(self, verdict: Verdict) -> bool:
        return verdict.passed is (not self.wants_all)

    def _joint(self, said: Sequence[Verdict]) -> Verdict:
        if said and self._decides(said[-1]):
            return said[-1]
        if open_ones := [verdict for verdict in said if not verdict.is_known]:
            return unknown(open_ones[0].reason, source=open_ones[0].source)
        pick = min if self.wants_all else max
        return pick(said, key=lambda verdict: verdict.score or 0.0)


def _asked(check: Any, messages: Sequence[Any], reply: Any) -> Any:
    """What a check gives, or the exception that it raised."""
    try:
        return check(messages, reply)
    except Exception as fault:
        return fault


async def _awaited(result: Any) -> Verdict:
    try:
        return verdict_of(await result if inspect.isawaitable(result) else result)
    except Exception as fault:
        return verdict_of(fault)
