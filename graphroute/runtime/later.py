"""A call cannot be made yet: what it waits for, told to the driver without waiting here."""

from __future__ import annotations

from collections.abc import Callable

Wake = Callable[[], object]
"""Told once, from any thread, that what a call waits for may be there."""


class Later(Exception):
    """Ask again when woken, or after `patience_s` seconds at the latest.

    when: registers a wake-up, and calls it at once where the thing is there already
    gives_up: told when the caller cannot wait at all (a sync call on a running event loop would
        keep the very calls from ending that it waits for), or was not woken in time; None: it just
        asks again
    is_poll: not to be woken in time is as good as being woken
    """

    def __init__(
        self,
        reason: str,
        *,
        when: Callable[[Wake], object] | None = None,
        patience_s: float = 60.0,
        gives_up: Callable[[], None] | None = None,
        is_poll: bool = False,
    ) -> None:
        super().__init__(reason)
        self.when, self.patience_s, self.gives_up = when, patience_s, gives_up
        self.is_poll = is_poll
