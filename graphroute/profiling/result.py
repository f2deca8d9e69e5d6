"""What a profile found, with 95 % intervals: per node × model, and of nodes on the end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from graphroute.ir.evidence import Evidence, evidence_of
from graphroute.ir.hints import NANO
from graphroute.ir.learned import LearnedProfile
from graphroute.ir.record import CallRecord
from graphroute.learners._sums import parts_of
from graphroute.profiling.influence import Influence, influences
from graphroute.profiling.intervals import Estimate, amount, share
from graphroute.profiling.outcome import NodeOutcome
from graphroute.profiling.session import Session

SCHEMA: Final = "graphroute.node-profile/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFigures:
    """One model at one node; None where nothing was seen.

    is_base: it served the node in the runs; asked: calls it was asked, failed: of these
    quality: of judged answers, in [0, 1]; cost_usd, took_s, in_tokens, out_tokens: per call
    judged_by: `"reference"`, `"verify"`, `"judge"`, …; `""` where nothing was judged
    """

    node: str
    model: str
    is_base: bool
    asked: int
    failed: int
    quality: Estimate | None
    cost_usd: Estimate | None
    took_s: Estimate | None
    in_tokens: Estimate | None
    out_tokens: Estimate | None
    judged_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProfileReport:
    """The whole profile.

    base: the model of each node in the runs; runs: of the whole graph; end: their score
    calls: calls that models were asked, in all sessions, without those of the interventions
    whole_calls: what running all combinations of candidates on the same inputs would have asked
    spent_usd: in all sessions; took_s: this session
    skipped: why nodes were not replayed; notes: what else is to be known
    stopped: why not all inputs were run, `""` where they were
    records: of all answers, as they are learnt from
    """

    graph: str
    fingerprint: str
    base: Mapping[str, str]
    cells: tuple[CellFigures, ...]
    influences: tuple[Influence, ...]
    runs: int
    end: Estimate | None
    calls: int
    whole_calls: int
    spent_usd: float
    took_s: float
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    stopped: str = ""
    records: tuple[CallRecord, ...] = field(default=(), repr=False)

    def cell(self, node: str, model: str) -> CellFigures | None:
        """The figures of a model at a node; None where it is no candidate."""
        for cell in self.cells:
            if (cell.node, cell.model) == (node, model):
                return cell
        return None

    @property
    def evidence(self) -> Mapping[tuple[str, str], Evidence]:
        """Judged answers by (node, model), as `make_plan(qualities=…)` takes them."""
        return evidence_of(record for record in self.records if record.error is None)

    @property
    def learned(self) -> LearnedProfile:
        """The same as a portable profile, for `ir.learned_file.dump_profile`."""
        return LearnedProfile(parts=parts_of(self.records))

    def to_dict(self) -> dict[str, Any]:
        """JSON data; an interval without an upper end has None there."""
        data = {"schema": SCHEMA, **asdict(self)}
        del data["records"]
        found: dict[str, Any] = _finite(data)
        return found

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def result_of(session: Session, *, took_s: float) -> NodeProfileReport:
    """The figures of all that a session and those before it have found."""
    journal = session.journal
    ends = [run.score for run in journal.runs.values() if run.score is not None]
    outcomes = tuple(journal.outcomes.values())
    return NodeProfileReport(
        graph=session.plan.graph.name,
        fingerprint=session.plan.graph.fingerprint,
        base=dict(session.base),
        cells=tuple(
            _cell(node, model, outcomes, is_base=session.base[node] == model)
            for node, models in session.candidates.items()
            for model in models
        ),
        influences=influences(session),
        runs=len(journal.runs),
        end=share(ends),
        calls=len(outcomes),
        whole_calls=_whole_calls(session),
        spent_usd=session.spent_nano / NANO,
        took_s=took_s,
        skipped=dict(session.skipped),
        notes=(*dict.fromkeys(session.notes),),
        stopped=session.stopped,
        records=tuple(outcome.record for outcome in outcomes),
    )


def _cell(
    node: str, model: str, outcomes: tuple[NodeOutcome, ...], *, is_base: bool
) -> CellFigures:
    here = [o for o in outcomes if (o.node, o.model) == (node, model)]
    answered = [o for o in here if not o.record.error]
    scores = [o.quality for o in answered if o.quality is not None]
    # What loads a model says nothing of its speed, unless nothing else was seen.
    warm = [o for o in answered if not o.is_first] or answered
    sources = dict.fromkeys(v.source for o in answered for v in o.record.verdicts)
    return CellFigures(
        node=node,
        model=model,
        is_base=is_base,
        asked=len(here),
        failed=len(here) - len(answered),
        quality=share(scores),
        cost_usd=amount([o.record.cost_nano / NANO for o in answered]),
        took_s=amount([o.record.took_s for o in warm]),
        in_tokens=amount([float(o.record.in_tokens) for o in answered]),
        out_tokens=amount([float(o.record.out_tokens) for o in answered]),
        judged_by=", ".join(sources) if scores else "",
    )


def _whole_calls(session: Session) -> int:
    """Every combination of candidates × the calls that the runs made, all nodes each time."""
    nodes = [node for node in session.candidates if session.calls_of(node)]
    combinations = math.prod(len(session.candidates[node]) for node in nodes)
    return combinations * sum(len(session.calls_of(node)) for node in nodes)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
