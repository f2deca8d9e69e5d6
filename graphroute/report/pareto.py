"""Cost against quality of each node × model, as an SVG plot; no script and no outside file.

Quality is what verdicts said; where there are none it is what the plan expected, drawn hollow. The
line of a node joins its models that no other model of the node beats in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from graphroute.report.text import usd

if TYPE_CHECKING:
    from graphroute.report.span import Row

WIDTH: Final = 720
HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 16, 48
COLOURS: Final = ("#1f77b4", "#d95f02", "#2a9d5c", "#c0392b", "#7b5ea7", "#8c6d31", "#cc4c9b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One node × model: USD per call, quality in [0, 1], whether that was measured."""

    node: str
    model: str
    cost_usd: float
    quality: float
    is_measured: bool


def dots(rows: Sequence[Row]) -> tuple[Dot, ...]:
    """A dot for each row whose quality is known or foretold."""
    found = []
    for row in rows:
        quality = row.predicted_quality if row.quality is None else row.quality
        if quality is not None and row.calls > row.failed:
            found.append(
                Dot(
                    node=row.node,
                    model=row.model,
                    cost_usd=row.cost_usd / row.calls,
                    quality=quality,
                    is_measured=row.quality is not None,
                )
            )
    return tuple(found)


def front(points: Sequence[Dot]) -> tuple[Dot, ...]:
    """The points that none beats in cost and quality, cheapest first.

    >>> from functools import partial
    >>> dot = partial(Dot, node="n", is_measured=True)
    >>> some = [dot(model="a", cost_usd=0, quality=0.5), dot(model="b", cost_usd=2, quality=0.9),
    ...         dot(model="c", cost_usd=3, quality=0.8)]
    >>> [point.model for point in front(some)]
    ['a', 'b']
    """
    best: list[Dot] = []
    for point in sorted(points, key=lambda p: (p.cost_usd, -p.quality, p.model)):
        if not best or point.quality > best[-1].quality:
            best.append(point)
    return tuple(best)


def plot(points: Sequence[Dot]) -> str:
    """The plot; empty text where there is nothing to show."""
    if not points:
        return ""
    most = max(point.cost_usd for point in points) or 1e-9
    low = min(point.quality for point in points)
    floor = max(0.0, low - 0.05)

    def x(cost: float) -> float:
        # By the square root, so that free, cheap and dear models can all be told apart.
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * float((cost / most) ** 0.5)

    def y(quality: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (quality - floor) / (1.0 - floor)

    nodes = list(dict.fromkeys(point.node for point in points))
    colour = {node: COLOURS[number % len(COLOURS)] for number, node in enumerate(nodes)}
    parts = []
    for step in range(5):
        quality, cost = floor + (1 - floor) * step / 4, most * (step / 4) ** 2
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(quality):.1f}"'
            f' y2="{y(quality):.1f}"/><text class="tick" x="{_LEFT - 6}" y="{y(quality) + 4:.1f}"'
            f' text-anchor="end">{quality:.2f}</text>'
            f'<text class="tick" x="{x(cost):.1f}" y="{HEIGHT - _BOTTOM + 18}"'
            f' text-anchor="middle">{escape(usd(cost))}</text>'
        )
    for node in nodes:
        line = front([point for point in points if point.node == node])
        corners = " ".join(f"{x(p.cost_usd):.1f},{y(p.quality):.1f}" for p in line)
        parts.append(f'<polyline points="{corners}" fill="none" stroke="{colour[node]}"/>')
    for point in points:
        fill = colour[point.node] if point.is_measured else "none"
        said = "measured" if point.is_measured else "foretold"
        title = f"{point.node} on {point.model}: {usd(point.cost_usd)} a call, "
        title += f"quality {point.quality:.3f} ({said})"
        parts.append(
            f'<circle cx="{x(point.cost_usd):.1f}" cy="{y(point.quality):.1f}" r="5"'
            f' fill="{fill}" stroke="{colour[point.node]}" stroke-width="2">'
            f"<title>{escape(title)}</title></circle>"
        )
    legend = "".join(
        f'<li><span style="background:{colour[node]}"></span>{escape(node)}</li>' for node in nodes
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" class="pareto"'
        f' aria-label="cost against quality">{"".join(parts)}'
        f'<text class="axis" x="{WIDTH / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        "USD per call (square-root scale)</text>"
        f'<text class="axis" transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)"'
        f' text-anchor="middle">quality</text></svg><ul class="legend">{legend}</ul>'
    )
