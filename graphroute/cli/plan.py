"""`graphroute plan`: which model would serve each step, and what a run would cost."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Annotated, Literal

import typer

from graphroute.cli import _options, _what_if
from graphroute.cli._files import write
from graphroute.errors import InfeasibleBudget, InvalidValue
from graphroute.ir.plan import Plan


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(command)


def command(
    target: _options.Target = "",
    budget: _options.BudgetUsd = None,
    objective: _options.Goal = "quality",
    models: _options.Pool = None,
    deadline: _options.Deadline = None,
    seed: Annotated[int, typer.Option("--seed", help="For whatever is drawn at random.")] = 0,
    max_cost: Annotated[
        float | None,
        typer.Option(
            "--max-cost", metavar="USD", help="Exit with 1 if a run is expected to cost more."
        ),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option("--diff", metavar="OLD.json", help="Show what changed since that plan."),
    ] = None,
    frontier: Annotated[
        bool,
        typer.Option(
            "--frontier", help="Show the plans that none beats in cost, quality and time."
        ),
    ] = False,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="CHANGE",
            help="Show what budget=USD, deadline_s=SECONDS, memory_gb=GB or without_model=NAME "
            "would change; again and again, or several joined by commas.",
        ),
    ] = None,
    memory: _options.Memory = None,
    as_json: _options.Json = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of plans and end.")
    ] = False,
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print a Mermaid drawing coloured by model.")
    ] = False,
    output: _options.Output = None,
) -> None:
    """Plan a graph without running it."""
    if schema:
        from graphroute.ir.codec import plan_schema

        write(json.dumps(plan_schema(), indent=2) + "\n", output)
        return
    if sum((mermaid, diff is not None, frontier, bool(what_if))) > 1 or (
        as_json and (mermaid or diff is not None)
    ):
        raise InvalidValue(
            "--mermaid, --diff, --frontier and --what-if exclude one another, and --json goes with "
            "the last two only",
            next_step="use one",
        )
    # Read first: a mistake in a file's name should not cost the time of planning.
    before = _read_plan(diff) if diff else None
    cases = _what_if.read(what_if or ())
    _options.at_least_0("--max-cost", max_cost)
    limit_bytes = _options.memory_bytes(memory)
    made = _made(target, budget, objective, models, deadline, limit_bytes, seed)
    if frontier:
        _show_frontier(made, as_json=as_json, output=output)
    elif cases:
        answers = _what_if.data(made, cases) if as_json else None
        text = json.dumps(answers, indent=2) if as_json else _what_if.told(made, cases).rstrip()
        write(text + "\n", output)
    elif as_json:
        write(made.to_json(), output)
    elif made.infeasible is None:
        if mermaid:
            write(made.to_mermaid().rstrip() + "\n", output)
        elif before is not None:
            write(str(before.diff(made)).rstrip() + "\n", output)
        else:
            _show(made, output)
    if made.infeasible is not None:
        limit = made.infeasible
        raise InfeasibleBudget(
            limit.message, limit=limit.limit, value=limit.value, needed=limit.needed
        )
    if max_cost is not None and not made.totals.cost_expected_usd <= max_cost:
        raise InfeasibleBudget(
            f"a run is expected to cost ${made.totals.cost_expected_usd:.6g}, "
            f"more than --max-cost {max_cost:g}",
            limit=max_cost,
            value=made.totals.cost_expected_usd,
            next_step="plan with --budget, or raise --max-cost",
        )


def _made(
    target: str,
    budget: float | None,
    objective: str,
    models: str | None,
    deadline: float | None,
    memory_limit_bytes: int | Literal["auto"],
    seed: int,
) -> Plan:
    from graphroute import plan
    from graphroute.frontend.target import load_target

    return plan(
        load_target(target),
        models=_options.pool(models),
        budget=budget,
        objective=_options.objective(objective),
        deadline_s=deadline,
        memory_limit_bytes=memory_limit_bytes,
        seed=seed,
    )


def _show_frontier(made: Plan, *, as_json: bool, output: Path | None) -> None:
    from rich.console import Console

    from graphroute.cli import _frontier

    points = made.frontier()
    if as_json:
        write(json.dumps(_frontier.data(made, points), indent=2) + "\n", output)
    elif output is not None:
        with StringIO() as text:
            _frontier.show(made, points, Console(file=text, width=200))
            write(text.getvalue(), output)
    elif points:
        _frontier.show(made, points, Console())


def _read_plan(path: Path) -> Plan:
    try:
        return Plan.from_json(path.read_bytes())
    except OSError as fault:
        raise InvalidValue(
            f"cannot read {str(path)!r} ({fault.strerror})",
            value=str(path),
            next_step="give a plan written by: graphroute plan TARGET --json --output OLD.json",
        ) from None


def _show(made: Plan, output: Path | None) -> None:
    if output is not None:
        write(made.explain().rstrip() + "\n", output)
        return
    from graphroute.cli._plan_table import show

    show(made)
