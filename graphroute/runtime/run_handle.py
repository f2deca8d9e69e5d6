"""What a run carries through its configs, so that a model called anywhere below finds it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from graphroute.runtime.checking import Beside, Checking
from graphroute.runtime.course import Course
from graphroute.runtime.ledger import Ledger
from graphroute.runtime.pause import RunState
from graphroute.runtime.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RunHandle:
    """What travels through a run's configs: one per outermost invocation of an optimized graph.

    base_depth: levels of plain graphs around the optimized one, cut from node paths
    above: path of the node in which the lineage of checkpoints starts, `""` at the outermost
    task: task of the run under which that lineage was started, `""` at the outermost
    state: what a run that may be paused keeps from one attempt to the next
    guards: optimized graphs inside this one, by the path of the node they run in; this one's plan
        wins over theirs, but what they keep private stays so
    checking: the call whose check is running, None outside of checks; see `for_check`
    """

    policy: Policy
    ledger: Ledger
    course: Course
    base_depth: int = 0
    above: str = ""
    task: str = ""
    state: RunState | None = None
    guards: tuple[tuple[str, Policy], ...] = ()
    checking: Checking | None = None
    # Not a uuid4: tests that seed or count those must find them as they left them.
    run_id: str = field(default_factory=lambda: secrets.token_hex(16))

    def __repr__(self) -> str:
        # Users print configs; a whole plan in there would hide the rest.
        return f"RunHandle({self.run_id!r})"

    def __deepcopy__(self, memo: object) -> RunHandle:
        # A node may copy its config; the copy belongs to the same run and the same ledger.
        return self

    def path(self, node: str) -> str:
        """The node path of the whole run, from one within the current lineage."""
        return "/".join(part for part in (self.above, node) if part)

    def guarded(self, inner: Policy, node: str) -> RunHandle:
        """This handle for a run of an optimized graph that starts inside `node`."""
        return replace(self, guards=(*self.guards, (node, inner)))

    def for_check(
        self,
        *,
        node: str,
        step: int | None,
        thread: str,
        must_stay: bool,
        is_paid: bool = True,
    ) -> RunHandle:
        """This handle for the check of a call: what it asks of models is paid by the run, no more.

        Such calls keep their models, are no steps of the run and never pause it.

        is_paid: models that cost money may be asked at all
        """
        return replace(
            self,
            checking=Checking(node=node, step=step, thread=thread, must_stay=must_stay),
            course=Beside(self.course),
            ledger=self.ledger if is_paid else Ledger(limit_nano=0),
            state=None,
            # A graph that the check runs begins a lineage of its own under the node.
            base_depth=0,
            above=node,
            task="",
        )

    def is_private_inside(self, node: str) -> bool:
        """Whether an optimized graph within this one keeps `node` on this machine."""
        return any(
            policy.is_private(node.removeprefix(f"{inside}/"))
            for inside, policy in self.guards
            if node.startswith(f"{inside}/")
        )
