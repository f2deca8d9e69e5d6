"""A graph as an SVG drawing: boxes in layers, edges between them, no script and no outside font.

A node's layer is the longest way to it from the start, loops left out; within a layer nodes stand
in the order of the graph. Plain enough to be drawn here, which keeps a report one file that needs
no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from graphroute.ir.tally import Shape

WIDTH: Final = 190
HEIGHT: Final = 52
GAP_X: Final = 30
GAP_Y: Final = 46
_PAD: Final = 20


def picture(shape: Shape, told: Mapping[str, Sequence[str]]) -> str:
    """The drawing; `told` has one or two short lines to stand under a node's name."""
    layers = _layers(shape)
    rows: dict[int, list[str]] = {}
    for name, layer in layers.items():
        rows.setdefault(layer, []).append(name)
    widest = max((len(names) for names in rows.values()), default=1)
    width = widest * (WIDTH + GAP_X) - GAP_X + 2 * _PAD + 60
    height = len(rows) * (HEIGHT + GAP_Y) - GAP_Y + 2 * _PAD
    places: dict[str, tuple[float, float]] = {}
    for number, layer in enumerate(sorted(rows)):
        used = len(rows[layer]) * (WIDTH + GAP_X) - GAP_X
        for column, name in enumerate(rows[layer]):
            x = (width - 60 - used) / 2 + column * (WIDTH + GAP_X)
            places[name] = (x, _PAD + number * (HEIGHT + GAP_Y))
    lines = [_edge(places, layers, *edge) for edge in shape.edges]
    boxes = [_box(name, *places[name], told.get(name, ())) for name in places]
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{min(width, 1100):.0f}" role="img"'
        f' aria-label="graph {escape(shape.name)}" class="graph">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _layers(shape: Shape) -> dict[str, int]:
    """The layer of each node and end; edges that close a loop do not count.

    >>> _layers(Shape(name="g", fingerprint="", nodes=("a", "b"),
    ...     edges=(("a", "b", 1.0), ("b", "a", 0.5))))
    {'a': 0, 'b': 1}
    """
    names = list(shape.nodes)
    names += [end for edge in shape.edges for end in edge[:2] if end not in names]
    names = list(dict.fromkeys(names))
    after: dict[str, list[str]] = {name: [] for name in names}
    entered: dict[str, int] = dict.fromkeys(names, 0)
    for source, target, _ in shape.edges:
        after[source].append(target)
        entered[target] += 1
    starts = [name for name in names if not entered[name]] or names[:1]
    order, closing = _walked(starts + names, after)
    layers = dict.fromkeys(names, 0)
    for name in order:
        for target in after[name]:
            if (name, target) not in closing:
                layers[target] = max(layers[target], layers[name] + 1)
    return {name: layers[name] for name in sorted(names, key=lambda n: layers[n])}


def _walked(
    starts: Sequence[str], after: Mapping[str, Sequence[str]]
) -> tuple[list[str], set[tuple[str, str]]]:
    """A topological order by depth-first search, and the edges that close a loop."""
    done: list[str] = []
    closing: set[tuple[str, str]] = set()
    state: dict[str, int] = {}
    for start in starts:
        if start in state:
            continue
        state[start] = 1
        stack = [(start, iter(after[start]))]
        while stack:  # not recursive: a graph may be a thousand nodes long
            name, targets = stack[-1]
            for target in targets:
                if state.get(target) == 1:
                    closing.add((name, target))
                elif target not in state:
                    state[target] = 1
                    stack.append((target, iter(after[target])))
                    break
            else:
                state[name] = 2
                done.append(name)
                stack.pop()
    return done[::-1], closing


def _box(name: str, x: float, y: float, told: Sequence[str]) -> str:
    short = {"__start__": "start", "__end__": "end"}.get(name.rpartition("/")[2], name)
    lines = [f'<tspan x="{x + 10:.0f}" class="name">{escape(_cut(short))}</tspan>']
    lines += [f'<tspan x="{x + 10:.0f}" dy="14">{escape(_cut(text))}</tspan>' for text in told[:2]]
    kind = "step" if told else "other"
    return (
        f'<g class="{kind}"><title>{escape(" · ".join((name, *told)))}</title>'
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + 10:.0f}" y="{y + 17:.0f}">{"".join(lines)}</text></g>'
    )


def _edge(
    places: Mapping[str, tuple[float, float]],
    layers: Mapping[str, int],
    source: str,
    target: str,
    chance: float,
) -> str:
    (x1, y1), (x2, y2) = places[source], places[target]
    kind = "maybe" if chance < 1 else "sure"
    label = f"<title>{escape(source)} → {escape(target)}: {chance:.0%}</title>"
    if layers[target] > layers[source]:
        x1, x2, y1 = x1 + WIDTH / 2, x2 + WIDTH / 2, y1 + HEIGHT
        bend = (y2 - y1) / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} "
        path += f"{x2:.0f} {y2:.0f}"
    else:
        # Back around the right side, so that a loop is not drawn through the boxes.
        x1, x2, y1, y2 = x1 + WIDTH, x2 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2
        out = max(x1, x2) + 45
        path = f"M{x1:.0f} {y1:.0f}C{out:.0f} {y1:.0f} {out:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    return f'<path class="edge {kind}" marker-end="url(#tip)" d="{path}">{label}</path>'


def _cut(text: str) -> str:
    return text if len(text) <= 28 else f"{text[:27]}…"
