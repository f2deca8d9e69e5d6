"""A profile for people: one line per node and model, then what nodes do to the end."""

from __future__ import annotations

import math
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from graphroute.profiling import NodeProfileReport
    from graphroute.profiling.intervals import Estimate
    from graphroute.profiling.result import CellFigures


def show(found: NodeProfileReport, console: Console | None = None) -> None:
    """Print it."""
    out = console or Console()
    out.print(_cells(found))
    if found.influences:
        out.print(_influences(found))
    for node, why in found.skipped.items():
        out.print(f"{node}: not replayed, {why}", highlight=False, markup=False)
    for note in found.notes:
        out.print(note, highlight=False, markup=False)
    out.print(_last(found), highlight=False, markup=False)


def text_of(found: NodeProfileReport) -> str:
    """The same as text."""
    with StringIO() as text:
        show(found, Console(file=text, width=160))
        return text.getvalue()


def _cells(found: NodeProfileReport) -> Table:
    table = Table(title=f"{found.graph}: {found.runs} runs, 95 % intervals")
    for name in ("node", "model"):
        table.add_column(name, overflow="fold")
    for name in ("asked", "quality", "judged by", "USD per 1000 calls", "seconds", "tokens out"):
        table.add_column(name, justify="right")
    for cell in found.cells:
        table.add_row(
            cell.node,
            f"{cell.model} *" if cell.is_base else cell.model,
            _asked(cell),
            _estimate(cell.quality, 1.0),
            cell.judged_by,
            _estimate(cell.cost_usd, 1000.0),
            _estimate(cell.took_s, 1.0),
            _estimate(cell.out_tokens, 1.0),
        )
    table.caption = "* served the node in the runs"
    return table


def _influences(found: NodeProfileReport) -> Table:
    table = Table(title="What the better model of two at one node adds to the end's score")
    for name in ("node", "better", "worse"):
        table.add_column(name, overflow="fold")
    for name in ("end's score", "node's own score", "end per own point", "runs"):
        table.add_column(name, justify="right")
    for each in found.influences:
        change = each.quality_change
        table.add_row(
            each.node,
            each.stronger,
            each.weaker,
            _estimate(each.effect, 1.0, sign=True),
            "" if change is None else f"{change:+.2f}",
            "" if each.slope is None else f"{each.slope:.2f}",
            str(each.effect.count),
        )
    return table


def _asked(cell: CellFigures) -> str:
    return f"{cell.asked}, {cell.failed} failed" if cell.failed else str(cell.asked)


def _estimate(value: Estimate | None, unit: float, *, sign: bool = False) -> str:
    if value is None:
        return "?"
    words = [_number(v * unit, sign=sign) for v in (value.mean, value.low, value.high)]
    return f"{words[0]} ({words[1]} to {words[2]})"


def _number(value: float, *, sign: bool) -> str:
    if math.isinf(value):
        return "?"
    return f"{value:+.2f}" if sign else f"{value:.3g}"


def _last(found: NodeProfileReport) -> str:
    end = "" if found.end is None else f"; score of the ends {_estimate(found.end, 1.0)}"
    whole: Any = f"{found.whole_calls:,}"
    return (
        f"{found.calls:,} calls (all combinations: {whole}), ${found.spent_usd:.6f}, "
        f"{found.took_s:.0f} s{end}"
    )
