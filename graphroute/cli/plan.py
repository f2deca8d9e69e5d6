"""`graphroute plan`: which model would serve each step, and what a run would cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from graphroute.cli import _options
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
    if sum((as_json, mermaid, diff is not None)) > 1:
        raise InvalidValue("--json, --mermaid and --diff exclude one another", next_step="use one")
    # Read first: a mistake in a file's name should not cost the time of planning.
    before = _read_plan(diff) if diff else None
    made = _made(target, budget, objective, models, deadline, seed)
    if as_json:
        write(made.to_json(), output)
    elif made.infeasible is None:
        if mermaid:
            write(made.to_mermaid().rstrip() + "\n", output)
        elif before is not None:
            write(str(made.diff(before)).rstrip() + "\n", output)
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
        seed=seed,
    )


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
