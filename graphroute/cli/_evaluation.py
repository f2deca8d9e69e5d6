"""What `graphroute eval` computes: one suite, all of a folder, or what chosen labels give."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from graphroute.cli._folds import folds_of, topics_of
from graphroute.errors import InvalidValue, ProviderUnavailable
from graphroute.evaluation import folder, outcomes, results, suites
from graphroute.evaluation import whole as table
from graphroute.evaluation.checkout import is_checkout
from graphroute.evaluation.choice import choice_report, drawn
from graphroute.evaluation.crossval import joined
from graphroute.evaluation.metrics import Curve
from graphroute.protocols import Outcomes

Tell = Callable[[str, float], None]
OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "mmlu": (),
    "gsm8k": ("mmlu",),
    "mt-bench": ("mmlu", "gsm8k"),
}
"""The other two-model suites that a suite's transfer is measured from, of one folder."""
_TIMED = 1000
_LABELS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where outcomes are: to be predicted, to be trained on, in RouteLLM's repository."""

    data: tuple[Path, ...]
    train: tuple[Path, ...] = ()
    routellm: Path | None = None
    models: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is printed, and the curves of each suite that has some."""

    report: Any
    curves: Mapping[str, Sequence[tuple[str, Curve]]] = field(default_factory=dict)

    def to_json(self) -> str:
        """The report's JSON."""
        return str(self.report.to_json())

    def to_markdown(self) -> str:
        """The report's Markdown."""
        return str(self.report.to_markdown())

    def draw(self, path: Path) -> None:
        """Write the picture."""
        if not self.curves:
            raise InvalidValue(
                "there is no curve to draw among many models",
                next_step="leave --plot out, or use a two-model suite",
            )
        results.plot(self.curves, path)


def check_plot(path: Path | None) -> None:
    """Refuse a picture that cannot be written, before anything long is computed."""
    if path is None:
        return
    if path.suffix not in (".png", ".svg", ".pdf") or not path.parent.is_dir():
        raise InvalidValue(
            f"cannot write the plot {str(path)!r}",
            path=str(path),
            next_step="name a file that ends in .png, .svg or .pdf in a folder that exists",
        )
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise InvalidValue("--plot needs matplotlib", next_step="pip install 'graphroute[train]'")


def one(
    suite: str, asked: Asked, routers: suites.Routers, settings: suites.Settings, tell: Tell
) -> Found:
    """One suite; `asked.train`: other benchmarks, for transfer."""
    settings = replace(settings, progress=tell)
    if suite == "nway":
        return Found(report=_nway(asked.data, (), routers, settings, asked.models))
    data = folder.pair_outcomes(asked.data, suite)
    others = _two_models(asked.train, suite) if asked.train else None
    report, curves = suites.pair_suite(
        suite, data, _folds(data, settings), routers, settings, others=others
    )
    return Found(report=report, curves={suite: curves})


def whole(asked: Asked, routers: suites.Routers, settings: suites.Settings, tell: Tell) -> Found:
    """All suites that the folders have, in one table."""
    where = {suite: _where(asked, suite) for suite in suites.SUITES}
    present = [suite for suite, paths in where.items() if paths]
    missing = {s: "the data has no file of it" for s in suites.SUITES if s not in present}
    if not present:
        raise InvalidValue(
            f"no outcomes of any suite in {', '.join(repr(str(p)) for p in asked.data)}",
            next_step="name files like *mmlu*.csv, *gsm8k*.csv, *mtbench*.csv, or "
            "*prompts*.csv beside *outcomes*.csv; or measure one file by --suite NAME",
        )
    reports: list[results.Report] = []
    curves: dict[str, Sequence[tuple[str, Curve]]] = {}
    # All files are read first, so that a wrong one is told before anything long is computed.
    pairs = {s: folder.pair_outcomes(where[s], s) for s in present if s != "nway"}
    learn = {s: _learn_from(asked.train, s) for s in suites.SUITES if s != "nway"}
    many = folder.nway_outcomes(where["nway"], asked.models) if "nway" in present else None
    for k, suite in enumerate(present):
        at = replace(settings, progress=_within(tell, suite, k, len(present)))
        if many is not None and suite == "nway":
            reports.append(_nway(where[suite], asked.train, routers, at, asked.models))
            continue
        data = pairs[suite]
        pool = [learn[s] if asked.train else pairs.get(s) for s in OTHERS[suite]]
        report, drawn_curves = suites.pair_suite(
            suite,
            data,
            _folds(data, at),
            routers,
            at,
            others=_together([found for found in pool if found is not None]),
            train=learn[suite],
        )
        reports.append(report)
        curves[suite] = drawn_curves
    example = next(iter(pairs.values())) if pairs else many[0] if many is not None else None
    assert example is not None
    return Found(
        report=table.Whole(
            reports=tuple(reports),
            latencies=tuple(_latencies(routers, example, settings.seed)),
            missing=missing,
            seed=settings.seed,
            folds=settings.folds,
        ),
        curves=curves,
    )


def choices(
    suite: str, asked: Asked, routers: suites.Routers, settings: suites.Settings, tell: Tell
) -> Found:
    """What chosen labels give against labels at random, on a two-model suite."""
    if suite not in OTHERS:
        raise InvalidValue(
            f"--choice with --suite {suite}",
            value=suite,
            next_step="use a two-model suite: --suite mmlu",
        )
    data = folder.pair_outcomes(asked.data, suite)
    return Found(
        report=choice_report(
            suite,
            data,
            _folds(data, settings),
            routers,
            replace(settings, progress=tell),
            lambda prompts: topics_of(prompts, settings.seed),
        )
    )


def _nway(
    paths: Sequence[Path],
    train: Sequence[Path],
    routers: suites.Routers,
    settings: suites.Settings,
    models: Sequence[str] | None,
) -> results.Report:
    data, cost = folder.nway_outcomes(paths, models)
    learn = None
    if any("nway" in folder.files(path) for path in train if path.is_dir()):
        learn = outcomes.read(folder.of_suite(train, "nway"), models=data.models)
    return suites.nway_suite(data, cost, _folds(data, settings), routers, settings, train=learn)


def _where(asked: Asked, suite: str) -> Sequence[Path]:
    """The paths of a suite; none where the data has no file of it."""
    if asked.routellm is not None and suite != "nway":
        if not is_checkout(asked.routellm):
            raise InvalidValue(
                f"{str(asked.routellm)!r} is no checkout of RouteLLM",
                path=str(asked.routellm),
                next_step="git clone https://github.com/lm-sys/RouteLLM and give that folder",
            )
        return (asked.routellm,)
    found: list[Path] = []
    for path in asked.data:
        if not path.is_dir():
            raise InvalidValue(
                f"--data {str(path)!r} is no folder",
                path=str(path),
                next_step="give a folder for all suites, or say which: --suite mmlu",
            )
        if is_checkout(path):
            if suite != "nway":
                return (path,)
        else:
            found += folder.files(path).get(suite, ())
    return found


def _learn_from(train: Sequence[Path], suite: str) -> Outcomes | None:
    paths = [path for part in train for path in folder.files(part).get(suite, ())]
    return outcomes.read(paths) if paths else None


def _two_models(paths: Sequence[Path], suite: str) -> Outcomes | None:
    """Other benchmarks: files as named, of folders the two-model suites that are not this one."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = folder.files(path)
            found += [file for other in OTHERS[suite] for file in inside.get(other, ())]
        else:
            found.append(path)
    if not found:
        raise InvalidValue(
            f"nothing to train on for the transfer to {suite!r}",
            next_step="name files of other benchmarks: --train FILE",
        )
    return outcomes.read(found)


def _together(found: Sequence[Outcomes]) -> Outcomes | None:
    if not found:
        return None
    out = found[0]
    for other in found[1:]:
        out = joined(out, other)
    return out


def _folds(data: Outcomes, settings: suites.Settings) -> Any:
    return folds_of(data.prompts, settings.folds, settings.seed)


def _within(tell: Tell, suite: str, k: int, parts: int) -> Tell:
    return lambda what, done: tell(f"{suite}: {what}", (k + done) / parts)


def _latencies(routers: suites.Routers, data: Outcomes, seed: int) -> list[table.Latency]:
    """Each router's decisions one at a time; families are fitted on a few labels for it."""
    prompts = drawn(data, _TIMED, seed=seed).prompts
    labels = drawn(data, _LABELS, seed=seed + 1)
    found = []
    for name, ready in {**routers.ready, **routers.baselines}.items():
        found.append(table.latency(name, ready, prompts, time.perf_counter))
    for name, make in routers.fresh.items():
        try:
            scorer = make().fit(labels, seed=seed)
        except ProviderUnavailable:
            continue  # the suites' notes say what it lacks
        found.append(table.latency(name, scorer, prompts, time.perf_counter))
    return found
