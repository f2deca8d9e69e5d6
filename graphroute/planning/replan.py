"""Plan the rest of a run again, in a millisecond or two: after each step, from what happened.

The tables of the plan are kept as arrays. What is left to come follows from the node that ran last
(`passes.remaining`), what is left to spend from the ledger; failed models are masked and changed
prices put in. What is loaded now costs no loading, and local models that do not fit together are
not asked for together. A loop that has begun is planned round by round: what a check has refused
is known to be hard. The rest is then an ordinary assignment problem, solved by its Lagrangian: one
price λ for which the remaining steps, each choosing for itself, fit what is left, and the slack
that remains goes to the swaps that buy most.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from graphroute.ir.catalog import Catalog
from graphroute.ir.problem import Bools, Floats, Problem
from graphroute.ir.profile import Profile
from graphroute.ir.quality import Q_MAX, Q_MIN
from graphroute.ir.rest import Happened, Rest
from graphroute.planning.allocate import Choice, allocate, ranked
from graphroute.planning.formulate import LOAD_BYTES_PER_S
from graphroute.planning.pace import Pace
from graphroute.planning.retries import CheckRates, after_refusals, by_hardness
from graphroute.planning.unit_prices import UnitPrices

TIME_STEPS = 12
LATENESS = 4
"""Times the price of time is raised again where the final swaps made the rest late."""

LOADING = 1e-9
"""Worth of a second of loading where no deadline gives it one: it only breaks ties."""

MOST_SETS = 64
"""Largest sets of local models that fit together; machines hold few."""


class Replanner:
    """Made once per plan; `rest()` is pure, takes no lock and may be called from any thread."""

    def __init__(
        self,
        problem: Problem,
        profile: Profile,
        catalog: Catalog,
        after: Mapping[str, Mapping[str, float]],
        checks: Mapping[str, CheckRates] | None = None,
    ) -> None:
        self._problem = problem
        self._index = {name: i for i, name in enumerate(problem.nodes)}
        self._models = {name: m for m, name in enumerate(problem.models)}
        self._visits = np.array([p.visits for p in profile.nodes])
        self._weight = np.array([p.weight for p in profile.nodes])
        self._prices = UnitPrices(problem, profile, catalog)
        self._pace = Pace(problem)
        self._after = {
            node: np.array([row.get(name, 0.0) for name in problem.nodes])
            for node, row in after.items()
        }
        self._checks = {
            p.node: (checks or {}).get(p.node, CheckRates()) for p in profile.nodes if p.check
        }
        self._local = tuple(m for m in range(len(problem.models)) if problem.is_local(m))
        self._holds = {m: problem.holds(m) for m in self._local}
        self._load_s = np.array([(s.memory_bytes or 0) / LOAD_BYTES_PER_S for s in catalog])
        self._loaded = frozenset(s.name for s in catalog if s.loaded)
        self._sets = _largest_sets(problem, self._local)

    def rest(self, happened: Happened) -> Rest:
        """Models for every node of the plan, best first, given what happened."""
        problem = self._problem
        visits = self._to_come(happened)
        share = np.where(self._visits > 0, visits / np.maximum(self._visits, 1e-300), 0.0)
        unit = self._prices.unit_usd(happened.prices)
        begun = [
            self._index[n] for n, names in happened.asked.items() if names and n in self._index
        ]
        if begun:
            # A round that was refused is followed by what is best then, not by more of the same.
            unit = unit.copy()
            unit[begun, : len(problem.models)] /= self._prices.rate[begun]
        cost = unit * visits[:, None]
        feasible = self._open(happened)
        value = self._value(happened, visits, cost, share)
        left = happened.left_usd
        if left is None and problem.budget_usd is not None:
            left = problem.budget_usd - happened.spent_usd
        left = None if left is None else max(0.0, left)
        resident = self._loaded if happened.resident is None else happened.resident
        value = self._less_loading(value, resident)
        feasible, fits_memory = self._within_memory(feasible, value, cost, left, visits, resident)
        worth = value
        choice, price, fits = allocate(value, cost, feasible, left)
        limit_s = problem.deadline_s
        if limit_s is not None and np.isfinite(limit_s):
            left_s = max(0.0, limit_s - happened.elapsed_s)
            ways = [feasible]
            if self._new(resident):
                ways.append(self._without_loading(feasible, resident))
            for allowed in ways:
                if self._seconds(choice, share, resident) <= left_s:
                    break
                worth, choice, price, fits = self._in_time(
                    value, cost, allowed, left, share, left_s, resident, price
                )
        order = ranked(worth, cost, feasible, choice, price, visits, unit)
        rows = np.flatnonzero(feasible.any(axis=1))
        models, then = self._named(order)
        return Rest(
            models=models,
            then=then,
            expected_usd=float(cost[rows, choice[rows]].sum()),
            expected_s=self._seconds(choice, share, resident),
            shadow_price=price if problem.objective == "quality" else 0.0,
            is_feasible=fits and fits_memory and len(rows) == len(problem.nodes),
        )

    def _value(self, happened: Happened, visits: Floats, cost: Floats, share: Floats) -> Floats:
        problem = self._problem
        if problem.objective == "cost":
            return -cost
        if problem.objective == "latency":
            return -self._pace.serial_s(share)
        log_quality = problem.log_quality
        for node, names in happened.asked.items():
            rates, i = self._checks.get(node), self._index.get(node)
            asked = tuple(self._models[n] for n in names if n in self._models)
            if rates is None or i is None or not asked:
                continue
            first = np.exp(problem.log_quality[i, : len(problem.models)])
            good = after_refusals(asked, by_hardness(first), rates, rates.stubborn)
            log_quality = log_quality.copy()
            log_quality[i, : len(good)] = np.log(np.clip(good, Q_MIN, Q_MAX))
        return log_quality * (self._weight * visits)[:, None]

    def _open(self, happened: Happened) -> Bools:
        """Options that can still be had: no failed model, no sequence that has begun."""
        problem = self._problem
        feasible = problem.feasible
        if happened.failed:
            feasible = feasible.copy()
            for name in happened.failed:
                if name in self._models:
                    feasible &= ~problem.holds(self._models[name])
        if problem.extras and any(happened.asked.values()):
            feasible = feasible.copy()
            for node, names in happened.asked.items():
                if names and node in self._index:
                    feasible[self._index[node], len(problem.models) :] = False
        return feasible

    def _within_memory(
        self,
        feasible: Bools,
        value: Floats,
        cost: Floats,
        left: float | None,
        visits: Floats,
        resident: frozenset[str],
    ) -> tuple[Bools, bool]:
        """Options of one set of local models that fit together: the set worth most at the price λ
        that money has without this limit; of equals the one that needs least loading.
        """
        if not self._sets:
            return feasible, True
        choice, price, _ = allocate(value, cost, feasible, left)
        live = visits > 0
        used = {
            m for m in self._local if self._holds[m][np.arange(len(choice)), choice][live].any()
        }
        if any(used <= kept for kept in self._sets):
            return feasible, True
        score = np.where(feasible, value - price * cost, -np.inf)
        best: tuple[int, float, float] | None = None
        found = feasible
        for kept in self._sets:
            here = feasible.copy()
            for m in self._local:
                if m not in kept:
                    here &= ~self._holds[m]
            served = here.any(axis=1) | ~live
            top = np.where(here, score, -np.inf).max(axis=1)
            gain = float(top[here.any(axis=1) & live].sum())
            load = sum(
                float(self._load_s[m]) for m in kept if self._problem.models[m] not in resident
            )
            key = (int(served.sum()), round(gain, 12), -load)
            if best is None or key > best:
                best, found = key, here
        # A node that is not expected any more keeps its models, should it come all the same.
        stays = np.asarray(found.any(axis=1))
        complete = bool((stays | ~feasible.any(axis=1) | ~live).all())
        return np.where(stays[:, None], found, feasible), complete

    def _new(self, resident: frozenset[str]) -> list[int]:
        """Local models that would have to be loaded, and take time to."""
        names = self._problem.models
        return [m for m in self._local if self._load_s[m] > 0 and names[m] not in resident]

    def _less_loading(self, value: Floats, resident: frozenset[str]) -> Floats:
        """Of options that are equal otherwise, what is loaded comes first."""
        for m in self._new(resident):
            value = value - LOADING * self._load_s[m] * self._holds[m]
        return value

    def _without_loading(self, feasible: Bools, resident: frozenset[str]) -> Bools:
        """What can start at once; a node that has nothing such keeps what it has."""
        ready = feasible.copy()
        for m in self._new(resident):
            ready &= ~self._holds[m]
        return np.where(ready.any(axis=1, keepdims=True), ready, feasible)

    def _seconds(self, choice: Choice, share: Floats, resident: frozenset[str]) -> float:
        total = self._pace.seconds(choice, share)
        rows = np.flatnonzero(share > 0)
        for m in self._new(resident):
            if self._holds[m][rows, choice[rows]].any():
                total += float(self._load_s[m])
        return total

    def _in_time(
        self,
        value: Floats,
        cost: Floats,
        feasible: Bools,
        left: float | None,
        share: Floats,
        left_s: float,
        resident: frozenset[str],
        price: float,
    ) -> tuple[Floats, Choice, float, bool]:
        """The value less the price of time at which the rest ends in time, and its assignment."""
        serial = self._pace.serial_s(share)
        worth = np.where(feasible, value - price * cost, -np.inf)

        def is_in_time(time_price: float) -> bool:
            found = (worth - time_price * serial).argmax(axis=1)
            return self._seconds(found, share, resident) <= left_s

        low, high = 0.0, 1e-3
        can_be = False
        for _ in range(TIME_STEPS):
            can_be = is_in_time(high)
            if can_be:
                break
            low, high = high, high * 8
        for _ in range(TIME_STEPS if can_be else 0):
            middle = (low + high) / 2
            if is_in_time(middle):
                high = middle
            else:
                low = middle
        for _ in range(LATENESS if can_be else 1):
            timed = value - high * serial
            choice, price, fits = allocate(timed, cost, feasible, left)
            if self._seconds(choice, share, resident) <= left_s:
                break
            high *= 2
        slack = np.inf if left is None else left - float(cost[np.arange(len(choice)), choice].sum())
        open_value = np.where(feasible, value, -np.inf)
        better, _ = self._pace.relax(choice, share, open_value, cost, slack)
        if self._seconds(better, share, resident) <= left_s:
            choice = better
        return timed, choice, price, fits

    def _named(
        self, order: list[list[int]]
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        names = self._problem.models
        models: dict[str, tuple[str, ...]] = {}
        then: dict[str, tuple[str, ...]] = {}
        for name, i in self._index.items():
            ranked = [k for k in order[i] if k < len(names)]
            if order[i] and order[i][0] >= len(names):
                option = self._problem.option(i, order[i][0])
                ranked = [option.models[0], *(k for k in ranked if k != option.models[0])]
                if len(option.models) > 1:
                    then[name] = tuple(names[m] for m in option.models[1:])
            models[name] = tuple(names[m] for m in ranked)
        return models, then

    def _to_come(self, happened: Happened) -> Floats:
        """Expected visits from here to the end, this turn included."""
        rows = [self._after[n] for n in (happened.now or happened.last) if n in self._after]
        if not rows:
            return self._visits
        # Branches that run side by side lead to the same rest, so the longest of them counts.
        visits: Floats = np.maximum.reduce(rows)
        if happened.now:
            visits = visits.copy()
            for name, tasks in happened.now.items():
                if name in self._index:
                    visits[self._index[name]] += tasks
        return visits


def _largest_sets(problem: Problem, local: tuple[int, ...]) -> tuple[frozenset[int], ...]:
    """Sets of local models that fit the memory limit and to which none can be added; empty where
    all of them fit together.
    """
    room = problem.memory_limit_bytes
    if room is None or not problem.memory_bytes:
        return ()
    size = problem.memory_bytes
    if sum(size[m] for m in local) <= room:
        return ()
    found: list[frozenset[int]] = []
    for count in range(len(local), -1, -1):
        for kept in combinations(local, count):
            here = frozenset(kept)
            if sum(size[m] for m in kept) <= room and not any(here < other for other in found):
                found.append(here)
                if len(found) == MOST_SETS:
                    return tuple(found)
    return tuple(found)
