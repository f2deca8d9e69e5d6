"""`graphroute profile`: what runs have shown of models at nodes; show, export, merge, act on it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from graphroute.cli import _options, _profile_log, _profile_replay
from graphroute.cli._files import write
from graphroute.cli._spans import moment
from graphroute.cli.report import Folder, OfGraph, Since, opened
from graphroute.errors import InvalidValue
from graphroute.ir.intervals import Z90, wilson

if TYPE_CHECKING:
    from graphroute.ir.learned import LearnedProfile, Sums
    from graphroute.store.records import RecordStore

REPLAY = "replay"
SHOWN = "graphroute.profile-table/1"

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", show_default=False, help="Profiles that `export` wrote."),
]


class _Group(TyperGroup):
    """A first word that is no command is the TARGET of `replay`, where that is installed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and REPLAY in self.commands:
            args = [REPLAY, *args]
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command and its parts."""
    group = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        help=command.__doc__,
    )
    group.callback()(command)
    group.command("show")(show)
    group.command("export")(export)
    group.command("import")(import_)
    group.command("log")(_profile_log.log)
    group.command("undo")(_profile_log.undo)
    group.command("retrain")(_profile_log.retrain)
    group.command(REPLAY)(_profile_replay.command)
    app.add_typer(group, name="profile")


def command() -> None:
    """Look at what runs have shown of models at nodes; share it; see and undo what came of it."""


def show(
    since: Since = None,
    graph: OfGraph = None,
    store: Folder = None,
    as_json: _options.Json = False,
    output: _options.Output = None,
) -> None:
    """Print quality, cost, time and tokens of each model at each node, with 90 % intervals."""
    from graphroute.ir.learned import LearnedProfile, joined

    own = _of_store(_kept(store), since, graph)
    # An imported profile knows graphs by their fingerprint, and days but no hours.
    imported = LearnedProfile() if since is not None else _imported(_kept(store).path.parent, graph)
    profile = joined(own, imported)
    rows = _rows(profile)
    if as_json or output is not None:
        data = {"schema": SHOWN, "runs": profile.runs, "rows": rows}
        write(json.dumps(data, indent=2, allow_nan=False) + "\n", output)
        return
    if not rows:
        write(f"no call{'' if graph is None else f' of graph {graph!r}'} is recorded here\n", None)
        return
    write(f"{profile.runs:,} runs\n" + "".join(f"{_line(row)}\n" for row in rows), None)


def export(
    since: Since = None,
    graph: OfGraph = None,
    store: Folder = None,
    output: _options.Output = None,
) -> None:
    """Write a profile: counts and sums by graph, day, node and model; no prompt and no answer."""
    from graphroute.ir.learned_file import dump_profile

    kept = opened(store)
    profile = _of_store(kept, since, graph)
    if not profile.runs:
        _check_graph(kept, graph)
        print("graphroute: no run is recorded of that span, the profile is empty", file=sys.stderr)
    write(dump_profile(profile), output)


def import_(files: Files, store: Folder = None, as_json: _options.Json = False) -> None:
    """Merge profiles of other machines into this one's; no run counts twice."""
    from graphroute.ir.learned import joined
    from graphroute.ir.learned_file import dump_profile
    from graphroute.keeping import home
    from graphroute.learning import PROFILE

    folder = store or home()
    before = _imported(folder, None)
    read = [_read(path) for path in files]
    merged = joined(before, *read)
    folder.mkdir(parents=True, exist_ok=True)
    write(dump_profile(merged), folder / PROFILE)
    given = sum(profile.runs for profile in read)
    new = merged.runs - before.runs
    if as_json:
        data = {"file": str(folder / PROFILE), "runs": merged.runs, "given": given, "new": new}
        write(json.dumps(data) + "\n", None)
        return
    write(
        f"{new:,} new of {given:,} runs; the others were known or overlap with known ones\n"
        f"{merged.runs:,} runs in {folder / PROFILE}\n",
        None,
    )


def _check_graph(kept: RecordStore, graph: str | None) -> None:
    """`InvalidValue` for a graph that the store has no call of."""
    from graphroute.ir.tally import Span

    if graph is None or kept.tally(Span(graph=graph)).runs:
        return
    known = ", ".join(sorted({repr(shape.name) for shape in kept.tally().shapes}))
    raise InvalidValue(
        f"no run of a graph {graph!r} is recorded here",
        value=graph,
        next_step=f"recorded are {known or 'none'}",
    )


def _kept(store: Path | None) -> RecordStore:
    from graphroute.ir.storage import Store
    from graphroute.keeping import record_store

    kept = record_store(Store(folder=store))
    assert kept is not None
    return kept


def _of_store(kept: RecordStore, since: str | None, graph: str | None) -> LearnedProfile:
    from graphroute.ir.learned import LearnedProfile
    from graphroute.ir.tally import Span
    from graphroute.learners._sums import parts_of

    if not kept.path.exists():
        return LearnedProfile()
    span = Span(since_s=moment("--since", since), graph=graph)
    return LearnedProfile(parts=parts_of(kept.records(span), kept.credits(span)))


def _imported(folder: Path, graph: str | None) -> LearnedProfile:
    from graphroute.ir.learned import LearnedProfile
    from graphroute.learning import PROFILE

    path = folder / PROFILE
    if not path.exists():
        return LearnedProfile()
    profile = _read(path, next_step="delete it, and import again what it was made of")
    if graph is None:
        return profile
    return LearnedProfile(parts=tuple(p for p in profile.parts if p.graph.startswith(graph)))


def _read(
    path: Path, *, next_step: str = "give a file that `graphroute profile export` wrote"
) -> LearnedProfile:
    from graphroute.ir.learned_file import load_profile

    try:
        return load_profile(path.read_bytes())
    except OSError as fault:
        why = f"cannot read {str(path)!r} ({fault.strerror or fault})"
    except InvalidValue as fault:
        why = f"{str(path)!r}: {str(fault).removesuffix(f'; {fault.next_step}')}"
    raise InvalidValue(why, value=str(path), next_step=next_step)


def _rows(profile: LearnedProfile) -> list[dict[str, Any]]:
    from graphroute.ir.learned import DAY_S
    from graphroute.ir.learning import Learn
    from graphroute.learners._fold import fold

    found: list[dict[str, Any]] = []
    rates = Learn()
    for graph in sorted({part.graph for part in profile.parts}):
        sums = fold(
            profile.of(graph),
            today=int(time.time() // DAY_S),
            half_life=rates.half_life,
            half_life_days=rates.half_life_days,
        )
        found += [_row(graph, each) for _, each in sorted(sums.items())]
    return found


def _row(graph: str, sums: Sums) -> dict[str, Any]:
    from graphroute.ir.hints import NANO
    from graphroute.learners._lognormal import posterior

    row: dict[str, Any] = {
        "graph": graph,
        "node": sums.node,
        "model": sums.model,
        "judged": round(sums.answers, 3),
        "quality": _quality(sums.good, sums.bad),
    }
    for name, moments, unit in (
        ("cost_usd", sums.cost_nano, 1 / NANO),
        ("took_s", sums.took_s, 1.0),
        ("in_tokens", sums.in_tokens, 1.0),
        ("out_tokens", sums.out_tokens, 1.0),
    ):
        figure = posterior(moments)
        row[name] = (
            None
            if figure is None
            else [float(f"{v * unit:.4g}") for v in (figure.typical, figure.low, figure.high)]
        )
    return row


def _quality(good: float, bad: float) -> list[float] | None:
    """Share of good answers with its 90 % interval."""
    n = good + bad
    if n <= 0:
        return None
    return [round(v, 4) for v in (good / n, *wilson(good / n, n, z=Z90))]


def _line(row: dict[str, Any]) -> str:
    def said(name: str, word: str) -> str:
        if (value := row[name]) is None:
            return ""
        typical, low, high = value
        return f", {word} {typical:.3g} ({low:.3g} to {high:.3g})"

    return (
        f"{row['node']} on {row['model']}: {row['judged']:g} judged{said('quality', 'quality')}"
        f"{said('cost_usd', 'USD')}{said('took_s', 'seconds')}{said('out_tokens', 'tokens')}"
    )
