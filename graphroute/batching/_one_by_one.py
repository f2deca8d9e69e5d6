"""What most policies do with a free slot: first come, first served, each call alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from graphroute.ir.batch import Means, Waiting


class OneByOne:
    """How slots are given; a policy overrides what it does otherwise."""

    __slots__ = ()
    means: ClassVar[frozenset[Means]] = frozenset()

    def pick(
        self,
        queue: Sequence[Waiting],
        *,
        running: Sequence[Waiting],  # noqa: ARG002 - the protocol's parameters
        warm: Sequence[Waiting],  # noqa: ARG002
        now_s: float,  # noqa: ARG002
    ) -> int | None:
        """The number of the one that waits longest."""
        return queue[0].number

    def along(self, first: Waiting, queue: Sequence[Waiting], *, most: int) -> Sequence[int]:  # noqa: ARG002
        """Nobody: each call is made alone."""
        return ()
