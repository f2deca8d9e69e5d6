"""`graphroute demo`: see it work, with no key and no server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphroute.cli import _options
from graphroute.cli._files import write
from graphroute.ir.plan import Plan
from graphroute.report.text import usd

if TYPE_CHECKING:
    from graphroute.demo import Arm, Detour, Outcome

SCHEMA = "graphroute.demo/1"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(command)


def command(
    tickets: Annotated[
        int, typer.Option("--tickets", min=1, max=20, help="How many of the 20 tickets to run.")
    ] = 20,
    as_json: _options.Json = False,
) -> None:
    """Route 20 support tickets over two small models on this machine, at half the cost."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from graphroute import demo

    told = Console(stderr=as_json)
    told.print(
        "Two models run on this machine. SmolLM2-135M is the free local one. Gemma-3-270M, framed "
        "by a few examples, has a price and is a [bold]stand-in for a model in the cloud[/]: no "
        "money is spent, and nothing here says how real cloud models do.\n",
        highlight=False,
    )
    file = demo.home() / "demo-plan.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def started(name: str, total: int) -> Callable[[], None]:
            task = bar.add_task(name, total=total)
            return lambda: bar.advance(task)

        def planned(plan: Plan, budget: float) -> None:
            write(plan.to_json(), file)
            _tell_plan(bar.console if as_json else told, plan, budget)

        outcome = demo.run(limit=tickets, started=started, planned=planned)
    if as_json:
        write(json.dumps(_data(outcome, file), indent=2) + "\n", None)
        return
    _tell(told, outcome, file)
    for line in _elsewhere():
        told.print(line, highlight=False, markup=False)


def _tell_plan(console: Any, plan: Plan, budget: float) -> None:
    from graphroute.cli._plan_table import show

    console.print(
        f"\nThe plan, under a budget of {usd(budget)} a ticket (half of what all strong spent):",
        highlight=False,
    )
    show(plan, console)
    console.print()


def _tell(console: Any, outcome: Outcome, file: Path) -> None:
    from rich.table import Table

    from graphroute.demo import tickets

    size = len(outcome.arms[0].scores)
    names = sorted({name for arm in outcome.arms for name, _ in arm.report.totals.calls_by})
    heads = ("", "quality", "95 %", "tone", "fields", "reply", "cost", "time")
    # No box: with all its columns it still has to fit a terminal of 80 characters.
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for head in (*heads, *(name.rpartition(":")[2].partition("-")[0] for name in names)):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for arm in outcome.arms:
        low, high = tickets.interval([one.quality for one in arm.scores])
        calls = dict(arm.report.totals.calls_by)
        table.add_row(
            arm.name,
            f"{arm.share(lambda one: one.quality):.2f}",
            f"{low:.2f}–{high:.2f}",
            *(f"{count}/{size}" for count in _counts(arm)),
            usd(arm.cost_usd),
            f"{arm.took_s:.0f} s",
            *(str(calls.get(name, 0)) for name in names),
        )
    console.print(f"\n[bold]{size} tickets[/] (last columns: calls per model)")
    console.print(table)
    strong, _, ours = outcome.arms
    share = f"{ours.cost_usd / strong.cost_usd:.0%}".replace("%", " %")
    console.print(
        f"\ngraphroute spent {share} of all strong; its dearest ticket cost "
        f"{usd(ours.dearest_usd)} of a budget of {usd(outcome.budget_usd)}.\n"
        "Quality is the share of known answers: tone, name and order, a line that names both.\n"
        f"The plan as JSON: {file}",
        highlight=False,
        soft_wrap=True,
    )
    _tell_detour(console, outcome.detour)


def _tell_detour(console: Any, taken: Detour) -> None:
    from rich.table import Table

    console.print(
        f"\n[bold]A ticket that does not go as planned[/], under {usd(taken.budget_usd)}: enough "
        "for the strong model in every step of an ordinary one.\nWhat the records of the tickets "
        "before it change in the plan:",
        highlight=False,
    )
    for line in str(taken.before.diff(taken.plan)).splitlines():
        console.print(f"  {line}", highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for head in ("step", "planned", "ran on", "cost", "left"):
        justify = "right" if head in ("cost", "left") else "left"
        table.add_column(head, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # a literal
    for step in taken.steps:
        table.add_row(
            step.node,
            step.planned.rpartition(":")[2],
            step.model.rpartition(":")[2],
            usd(step.cost_usd),
            usd(step.left_usd),
            style="yellow" if step.is_changed else None,
        )
    console.print(table)
    for step in taken.steps:
        if step.is_changed:
            console.print(
                f"{step.node}: {step.model} instead of {step.planned}: {step.why}", highlight=False
            )
    if not taken.replanned:
        console.print("Nothing had to be planned again this time.", highlight=False)


def _counts(arm: Arm) -> tuple[int, int, int]:
    scores = arm.scores
    return sum(s.tone for s in scores), sum(s.fields for s in scores), sum(s.reply for s in scores)


def _elsewhere() -> list[str]:
    """How to go on with the models that this machine can reach besides."""
    from graphroute import registry
    from graphroute.errors import GraphrouteError
    from graphroute.protocols import Provider

    found = []
    try:
        ollama = registry.build("providers", "ollama")
        if isinstance(ollama, Provider) and ollama.health().is_ok:
            names = [model.name for model in ollama.discover()][:3]
            if names:
                found.append(
                    "Ollama answers. Plan over its models: graphroute plan YOUR.py:graph "
                    f"--models {','.join(names)}"
                )
    except GraphrouteError:
        pass  # no server, nothing to say
    keys = [key for key in KEYS if os.environ.get(key)]
    if keys:
        found.append(
            f"{', '.join(keys)} is set. Real cloud models: graphroute plan YOUR.py:graph "
            "--models openai:gpt-5-mini,ollama:llama3.2 --budget 0.02"
        )
    return found or [
        "With an Ollama server or an API key (`graphroute models` says what is in reach):\n"
        "  graphroute plan YOUR.py:graph --models ollama:llama3.2,openai:gpt-5-mini --budget 0.02"
    ]


def _data(outcome: Outcome, file: Path) -> dict[str, Any]:
    from graphroute.demo import tickets

    return {
        "schema": SCHEMA,
        "budget_usd": outcome.budget_usd,
        "plan": str(file),
        "arms": [
            {
                "name": arm.name,
                "tickets": len(arm.scores),
                "quality": arm.share(lambda one: one.quality),
                "quality_interval": tickets.interval([one.quality for one in arm.scores]),
                "right": dict(zip(("tone", "fields", "reply"), _counts(arm), strict=True)),
                "cost_usd": arm.cost_usd,
                "dearest_usd": arm.dearest_usd,
                "took_s": arm.took_s,
                "calls": dict(arm.report.totals.calls_by),
            }
            for arm in outcome.arms
        ],
        "detour": {
            "budget_usd": outcome.detour.budget_usd,
            "expected_usd": outcome.detour.plan.totals.cost_expected_usd,
            "expected_before_usd": outcome.detour.before.totals.cost_expected_usd,
            "quality": outcome.detour.score.quality,
            "steps": [asdict(step) for step in outcome.detour.steps],
        },
    }
